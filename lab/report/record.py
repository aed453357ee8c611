"""Everything a run directory says, read once and forgivingly.

What is missing, torn or foreign becomes a sentence in `problems` and an empty value: a report on what is left is worth
more than a traceback about what is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lab.diagnosis import diagnose
from lab.report.words import plural
from lab.runs import CheckpointInfo, Run, Status, open_run
from lab.runs.compare import flatten
from lab.runs.history import RESERVED, MetricsHistory
from lab.runs.journal import Row
from lab.runs.predictions import Predictions, outcomes, read_predictions
from lab.runs.probes import ProbeInfo, read_probe

Numbers = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Series:
    """A metric where it has a value: `steps` `[n]` and `values` `[n]`, by step."""

    steps: Numbers
    values: Numbers

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def last(self) -> float | None:
        """The newest value."""
        return float(self.values[-1]) if len(self) else None

    @property
    def first(self) -> float | None:
        """The oldest value."""
        return float(self.values[0]) if len(self) else None

    def at(self, step: float) -> float | None:
        """The newest value at or before a step."""
        index = int(np.searchsorted(self.steps, step, side="right"))
        return float(self.values[index - 1]) if index else None

    def between(self, start: float, stop: float) -> Series:
        """The part with start <= step <= stop."""
        kept = slice(np.searchsorted(self.steps, start, side="left"), np.searchsorted(self.steps, stop, side="right"))
        return Series(self.steps[kept], self.values[kept])


NOTHING = Series(np.empty(0), np.empty(0))


@dataclass
class Record:
    """What is known of a run. `problems` says in a sentence each what could not be read."""

    run: Run
    status: Status
    config: dict[str, Any]
    data: dict[str, Any]
    predictions: Predictions | None
    events: list[Row]
    samples: list[Row]
    checkpoints: list[CheckpointInfo]
    snapshots: list[CheckpointInfo]
    probes: list[ProbeInfo]
    series: dict[str, Series]
    rows: int
    outcomes: dict[str, float | None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The run's."""
        return self.run.name

    def of(self, metric: str) -> Series:
        """A metric; an empty series where it was never measured."""
        return self.series.get(metric, NOTHING)

    def layers(self, metric: str) -> dict[int, Series]:
        """`stats/entropy.layer0`, … by layer."""
        prefix = f"{metric}.layer"
        found = {name[len(prefix) :]: series for name, series in self.series.items() if name.startswith(prefix)}
        return {int(layer): found[layer] for layer in sorted(filter(str.isdigit, found), key=int)}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The configuration under dotted names."""
        return flatten(self.config)

    @cached_property
    def baselines(self) -> dict[str, float]:
        """Losses to compare with, in nats per token, worst first: uniform, unigram, bigram, xz, floor."""
        found = dig(self.data, "baselines", "nats_per_token")
        known = {k: float(v) for k, v in found.items() if is_number(v)} if isinstance(found, dict) else {}
        return dict(sorted(known.items(), key=lambda item: -item[1]))

    @cached_property
    def train(self) -> Series:
        """Training losses."""
        return self.of("train/loss")

    @cached_property
    def val(self) -> Series:
        """Validation losses."""
        return self.of("val/loss")

    @property
    def steps(self) -> int:
        """Optimizer steps done, by the status or else by the metrics."""
        seen = max((int(s.steps[-1]) for s in self.series.values() if len(s)), default=0)
        return max(self.status.step or 0, seen) if self.status.state == "broken" else (self.status.step or seen)

    @cached_property
    def tokens_per_step(self) -> int | None:
        """Tokens a step learns from."""
        found = self.data.get("tokens_per_step")
        if is_number(found) and found > 0:
            return int(found)
        return self.status.tokens // self.status.step if self.status.tokens and self.status.step else None

    @property
    def tokens(self) -> int | None:
        """Tokens seen."""
        if self.status.tokens is not None:
            return self.status.tokens
        return self.steps * self.tokens_per_step if self.tokens_per_step else None

    @cached_property
    def model(self) -> dict[str, Any]:
        """The model's whole configuration with its vocabulary, from a snapshot's facts or else the settings."""
        for info in reversed([*self.checkpoints, *self.snapshots]):
            if info.model_config:
                return info.model_config
        found = dig(self.config, "model", "config")
        return found | {"vocab_size": self.data.get("vocab_size")} if isinstance(found, dict) else {}

    @property
    def parameters(self) -> int | None:
        """How many the model has."""
        found = self.status.details.get("parameters")
        return int(found) if is_number(found) else None

    @property
    def seconds(self) -> float | None:
        """Of training, without pauses."""
        return self.of("time").last

    def events_of(self, *kinds: str) -> list[Row]:
        """Events of these kinds, oldest first."""
        return [event for event in self.events if event["kind"] in kinds]

    @cached_property
    def watched(self) -> bool:
        """Whether the doctor examined the run while it trained."""
        settings = [name for name in self.settings if name.startswith("doctor.")]
        told = any(isinstance(event.get("rule"), str) for event in self.events_of("finding"))
        return told or (bool(settings) and self.settings.get("doctor.every") != 0)

    @cached_property
    def findings(self) -> list[dict[str, Any]]:
        """What the doctor found, as fields of a finding event; of a run he did not watch, what he finds afterwards."""
        if self.watched:
            return [event for event in self.events_of("finding") if isinstance(event.get("rule"), str)]
        try:
            return [finding.payload() | {"step": finding.step} for finding in diagnose(self.run).findings]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, OSError):
            return []

    @cached_property
    def ended_well(self) -> bool:
        """Whether the run reached its last step."""
        return self.status.state == "completed"

    def bundle(self, which: int = -1) -> dict[str, NDArray[Any]] | None:
        """A probe bundle, the newest that can be read by default; None where there is none."""
        for info in reversed(self.probes[: which + 1 or None]) if which < 0 else self.probes[which : which + 1]:
            try:
                return read_probe(info.path)
            except (ValueError, TypeError):
                continue
        return None


def read_record(run: Run) -> Record:
    """Read all of a run. Never fails on what a run directory may hold."""
    problems: list[str] = []

    def tried(get: Callable[[], T], otherwise: T) -> T:
        try:
            return get()
        except (ValueError, OSError, TypeError, KeyError) as error:
            reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            problems.append(reason.replace(f"{run.path}/", "").splitlines()[0] if reason else "a file cannot be read")
            return otherwise

    status = run.status()
    if status.state == "broken" and status.reason:
        problems.append(status.reason)
    history = tried(run.metrics, MetricsHistory())
    if history.skipped:
        problems.append(f"{plural(history.skipped, 'damaged line')} of metrics.jsonl, skipped")
    record = Record(
        run=run,
        status=status,
        config=tried(run.config, None) or {},
        data=tried(run.data, None) or {},
        predictions=tried(lambda: read_predictions(run), None),
        outcomes=outcomes(history),
        events=[e for e in tried(run.events, []) if isinstance(e.get("kind"), str)],
        samples=tried(run.samples, []),
        checkpoints=tried(run.checkpoints, []),
        snapshots=tried(run.snapshots, []),
        probes=tried(run.probes, []),
        series=columns(history),
        rows=len(history),
        problems=problems,
    )
    if not record.config and not run.config_path.exists():
        problems.append("there is no config.yaml: the settings are not known")
    if not record.data and not run.data_path.exists():
        problems.append("there is no data.json: text, vocabulary and baselines are not known")
    if not len(history):
        problems.append("there are no metrics: nothing is known of the training itself")
    return record


def columns(history: MetricsHistory) -> dict[str, Series]:
    """Every metric as a series, and `time` and `wall` likewise; one pass over the rows."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for row in history.rows:
        step = row["step"]
        for name, value in row.items():
            if value is not None and (name not in RESERVED or name in ("time", "wall", "tokens")):
                steps, values = found.setdefault(name, ([], []))
                steps.append(step)
                values.append(value)
    return {name: Series(np.array(steps, float), np.array(values, float)) for name, (steps, values) in found.items()}


def parent_of(record: Record) -> tuple[str, int | None, Run | None] | None:
    """`(name, step, run)` of the run this one was forked from; the run is None where it is not beside it."""
    parent = record.status.parent
    if not parent or not isinstance(parent.get("run"), str):
        return None
    step = parent.get("step")
    try:
        run = open_run(parent["run"], record.run.path.parent, names_only=True)
    except (ValueError, OSError):
        run = None
    return parent["run"], step if isinstance(step, int) else None, run


def dig(tree: Any, *names: str) -> Any:
    """What lies under nested names; None where any of them is missing."""
    for name in names:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def is_number(value: Any) -> bool:
    """A finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
