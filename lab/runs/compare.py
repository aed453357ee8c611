"""Runs side by side: their losses at one point of training, the settings that tell them apart, and which of them are
one configuration under several seeds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from lab.runs import metrics
from lab.runs.metrics_log import MetricsHistory

LOSSES = (metrics.TRAIN_LOSS, metrics.VAL_LOSS, metrics.VAL_BITS_PER_BYTE)

Axis = Literal["step", "tokens", "time"]

WINDOW = 0.1
"""Of training so far: the stretch over which a metric of single batches is averaged."""
SEEDS = ("seed_everything", "data.seed")
IRRELEVANT = ("run.", "tensorboard", "wandb")
"""How settings begin that say where a run lies and who shows it: they make no other run."""
PLACES = ("data.cache_dir", "data.data_dir")
WATCHING = (
    *("log.", "validation.", "snapshots.", "checkpoint.", "throughput.", "gradient_noise.", "activation_histograms."),
    *("probes.", "attention_maps.", "samples.", "doctor.", "audit.", "predict."),
)
"""How settings begin that say how closely a run is watched. Each step seeds itself, so they change no loss."""


@dataclass(frozen=True)
class Comparison:
    """Losses of several runs at the farthest point of `axis` that all of them reached, `at`.

    `at` is None if one has no rows. `values[run][metric]` is the last measurement at or before that point; of single
    batches (`train/…`) the mean over the last tenth before it, for one batch is mostly luck. None where there is none.
    """

    axis: Axis
    at: float | None
    values: dict[str, dict[str, float | None]]


def compare_losses(
    histories: Mapping[str, MetricsHistory], axis: Axis = "tokens", metrics: Sequence[str] = LOSSES
) -> Comparison:
    """Compare runs (name → metrics) where they are comparable: after as many tokens (steps, seconds) each."""
    ends = [max((row[axis] for row in h.rows if row.get(axis) is not None), default=None) for h in histories.values()]
    known = [end for end in ends if end is not None]
    at = min(known) if known and len(known) == len(ends) else None
    values = {
        run: {metric: None if at is None else _value_at(history, metric, axis, at) for metric in metrics}
        for run, history in histories.items()
    }
    return Comparison(axis, at, values)


def config_differences(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Dotted setting → {run: value} for every setting that is not the same in all.

    A run that does not have the setting is left out of its values.

    >>> config_differences({"a": {"model": {"n_layers": 4}}, "b": {"model": {"n_layers": 6}}})
    {'model.n_layers': {'a': 4, 'b': 6}}
    """
    flat = {run: flatten(config) for run, config in configs.items()}
    names = sorted({name for settings in flat.values() for name in settings})
    found = {name: {run: settings[name] for run, settings in flat.items() if name in settings} for name in names}
    return {
        name: values
        for name, values in found.items()
        if len(values) < len(flat) or any(not _same(value, next(iter(values.values()))) for value in values.values())
    }


@dataclass(frozen=True)
class Group:
    """Runs of one configuration: they differ in their seeds alone. `seeds`: run → (weights', data's)."""

    runs: tuple[str, ...]
    seeds: dict[str, tuple[Any, Any]]


def group_by_configuration(configs: Mapping[str, Mapping[str, Any] | None]) -> list[Group]:
    """Put runs together whose configurations differ only in `SEEDS`, in the order in which they are given.

    A run whose configuration is not known (None) is alone.

    Examples:
        >>> a, b = {"seed_everything": 1, "lr": 0.1}, {"seed_everything": 2, "lr": 0.1}
        >>> [group.runs for group in group_by_configuration({"a": a, "b": b, "c": {"lr": 0.2}})]
        [('a', 'b'), ('c',)]
    """
    found: dict[str, list[str]] = {}
    seeds: dict[str, tuple[Any, Any]] = {}
    for run, config in configs.items():
        flat = flatten(config or {})
        seeds[run] = (flat.get(SEEDS[0]), flat.get(SEEDS[1]))
        rest = {name: value for name, value in flat.items() if matters(name) and name not in SEEDS}
        # `repr` keeps true and 1 apart, and takes whatever a YAML may hold.
        key = repr(sorted(rest.items(), key=lambda item: item[0])) if config is not None else f"unknown: {run}"
        found.setdefault(key, []).append(run)
    return [Group(tuple(runs), {run: seeds[run] for run in runs}) for runs in found.values()]


def matters(setting: str) -> bool:
    """Whether a setting has a say in what a run becomes, rather than where it lies and how closely it is watched."""
    return is_choice(setting) and not setting.startswith(WATCHING)


def is_choice(setting: str) -> bool:
    """Whether a setting says something of a run, rather than where it and its data lie."""
    return not setting.startswith(IRRELEVANT) and setting not in PLACES


def text_of(data: Mapping[str, Any]) -> str | None:
    """Which text a run is about, whatever its split, from its data.json; None where it does not say.

    The corpus's own fingerprint holds the split too, which another seed draws otherwise.
    """
    corpus, splits = data.get("corpus"), data.get("splits")
    if not isinstance(corpus, Mapping) or not corpus.get("name"):
        return None
    parts = splits.values() if isinstance(splits, Mapping) else []
    size = sum(part.get("bytes") or 0 for part in parts if isinstance(part, Mapping))
    return repr((sorted((k, v) for k, v in corpus.items() if k != "fingerprint"), size))


def held_out_of(data: Mapping[str, Any]) -> str | None:
    """Which text a run is validated on, as its beginning and its size; None where data.json does not say."""
    beginning, size = data.get("val_slice"), data.get("validation")
    text = beginning.get("text") if isinstance(beginning, Mapping) else None
    return repr((text, size)) if text is not None else None


def vocabulary_of(data: Mapping[str, Any]) -> str | None:
    """Which vocabulary a run's losses are about: its fingerprint; None where data.json does not say."""
    tokenizer = data.get("tokenizer")
    found = tokenizer.get("fingerprint") if isinstance(tokenizer, Mapping) else None
    return None if found is None else str(found)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level of dotted names; lists and empty mappings are values."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)  # True == 1, but not as a setting


def _value_at(history: MetricsHistory, metric: str, axis: Axis, at: float) -> float | None:
    rows = [row for row in history.rows if row.get(metric) is not None and row.get(axis) is not None]
    index = bisect_right([row[axis] for row in rows], at)
    if not index:
        return None
    if not metric.startswith("train/"):
        return float(rows[index - 1][metric])
    start = bisect_right([row[axis] for row in rows], (1 - WINDOW) * at, hi=index - 1)
    return fmean(row[metric] for row in rows[start:index])
