"""Runs compared: one metric of several runs over steps, tokens, minutes and FLOPs, and the settings that differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import Field

from analysis_app.analyses.curves import curve
from analysis_app.analyses.declaration import Answer, PackedRequest, analysis
from analysis_app.library import Library
from analysis_app.library.cursor import read_history
from lab.model import GPTConfig, count_parameters, flops_per_token
from lab.runs import MetricsHistory, Run, metrics
from lab.runs.aligned_losses import compare_losses
from lab.runs.configurations import config_differences
from lab.runs.metrics import METRICS, describe

MAX_RUNS = 8  # as many colours as can be distinguished
HIDDEN = ("run.name",)  # settings that differ in all runs


@analysis("overlay", PackedRequest)
def overlay(
    library: Library,
    runs: Annotated[list[str], Field(description="names of runs", max_length=100)],
    metric: Annotated[
        str, Field(description="one that the runs log, such as val/bits_per_byte", max_length=200)
    ] = metrics.TRAIN_LOSS,
) -> Answer:
    """One metric of several runs over steps, tokens, minutes and FLOPs, and the settings that differ between them.

    From the `cursor` of a run a WebSocket goes on where its curve ends (`analysis_app.server.websocket`).

    Raises `NotFoundError` for a run that is not there, `ValueError` for too many or none.
    """
    names = list(dict.fromkeys(runs))
    if not 1 <= len(names) <= MAX_RUNS:
        raise ValueError(f"{len(names)} runs: choose 1 to {MAX_RUNS}, more curves could not be distinguished")
    if (declared := describe(metric)) is None:
        raise ValueError(f"there is no metric {metric[:60]!r}; there are {', '.join(METRICS)}")
    found = {run.name: run for run in (library.trained(name, "it has no training curves") for name in names)}
    read = {name: read_history(run) for name, run in found.items()}
    histories = {name: history for name, (history, _) in read.items()}
    comparison = compare_losses(histories, "tokens")
    known = {name for history in histories.values() for name in history.names() if name in METRICS}
    return {
        "metric": metric,
        "unit": declared.unit,
        "how_to_read": declared.how_to_read,
        "metrics": [name for name in METRICS if name in known],  # of all of the runs together, explained by the lab
        "common_tokens": comparison.at,  # the most that all of them have seen
        "runs": [
            {**_line(run, histories[name], metric, comparison.values[name]), "cursor": str(read[name][1])}
            for name, run in found.items()
        ],
        "differences": differences(found),
    }


def differences(runs: Mapping[str, Run]) -> list[tuple[str, dict[str, str]]]:
    """Every setting that is not the same in all runs, with its value in each as text; the corpus too, where its content
    differs.
    """
    configs: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        config, data = _record(run.config), _record(run.data)
        corpus = data.get("corpus") or {}
        print_ = str(corpus.get("fingerprint", ""))[:12] if isinstance(corpus, dict) else ""
        configs[name] = config | {"(content of the corpus)": print_ or "unknown"}
    found = config_differences(configs)
    return [
        (setting, {name: _text(value) for name, value in values.items()})
        for setting, values in found.items()
        if setting not in HIDDEN
    ]


def _line(run: Run, history: MetricsHistory, metric: str, at_common: dict[str, float | None]) -> Answer:
    status, config, problem = run.status(), _model_config(run), None
    found = curve(history, metric)
    if not len(found.value):
        problem = f"no {metric} was measured"
    elif config is None:
        problem = "its model's size is unknown: it has no place on an axis of FLOPs"
    seconds = next((row["time"] for row in reversed(history.rows) if row.get("time") is not None), None)
    return {
        "name": run.name,
        "state": status.state,
        "step": status.step,
        "tokens": status.tokens,
        "minutes": None if seconds is None else seconds / 60,
        "parameters": None if config is None else count_parameters(config)["total"],
        "flops_per_token": None if config is None else flops_per_token(config, _record(run.data).get("context_length")),
        "at_common": at_common,  # losses where all runs have seen as many tokens
        "curve": found,
        "problem": problem,  # why something of it is missing
    }


def _model_config(run: Run) -> GPTConfig | None:
    """From the facts beside its weights; no weights are read."""
    info = next(iter((*run.snapshots(), *run.checkpoints())), None)
    try:
        return None if info is None else GPTConfig(**info.model_config)
    except (TypeError, ValueError):
        return None


def _record(read: Any) -> dict[str, Any]:
    try:
        return read() or {}
    except ValueError:  # damaged: the run is shown without it
        return {}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
