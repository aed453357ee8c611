"""Everything that a run's files say, read once.

What is missing, torn or of another format becomes a sentence in `problems` and an empty value, and no error: the report
covers what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lab.diagnosis import Evidence, Finding, apply_rules, diagnose, limits_of
from lab.diagnosis.finding import Found
from lab.report.formatting import plural
from lab.runs import CheckpointInfo, Run, Status, metrics, open_run
from lab.runs.events import MILESTONE, Event, of_kind
from lab.runs.facts import Facts, dig
from lab.runs.lines import Row
from lab.runs.metrics_log import MetricsHistory
from lab.runs.predictions import Predictions, outcomes, read_predictions
from lab.runs.reference_texts import BundleInfo, read_bundle
from lab.runs.seams import Seam
from lab.runs.series import Columns, Floats, Series
from lab.runs.validation import curve_metric, errors_of, result_metric

T = TypeVar("T")
E = TypeVar("E", bound=Event)
DAMAGED = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, OSError)
"""What reading or computing raises where a file holds something else than it should."""


@dataclass
class RunRecord:
    """What is known of a run. `problems` says in a sentence each what could not be read."""

    run: Run
    status: Status
    config: dict[str, Any]
    data: dict[str, Any]
    predictions: Predictions | None
    events: list[Event]
    samples: list[Row]
    checkpoints: list[CheckpointInfo]
    snapshots: list[CheckpointInfo]
    bundles: list[BundleInfo]
    columns: Columns
    rows: int
    outcomes: dict[str, float | None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The run's."""
        return self.run.name

    def of(self, metric: str) -> Series:
        """A metric; an empty series where it was never measured."""
        return self.columns[metric]

    def layers(self, metric: str) -> dict[int, Series]:
        """`stats/entropy.layer0`, … by layer, those that have values."""
        return {layer: series for layer, series in self.columns.layers(metric).items() if len(series)}

    def last_of_layers(self, metric: str) -> dict[int, float]:
        """The newest value by layer."""
        return {layer: float(series.values[-1]) for layer, series in self.layers(metric).items()}

    @cached_property
    def facts(self) -> Facts:
        """The configuration, data.json, the plan and the seams, by type."""
        return Facts.gather(self.config, self.data, self.status, self.run.seams())

    @property
    def settings(self) -> Mapping[str, Any]:
        """The configuration under dotted names."""
        return self.facts.settings

    @property
    def baselines(self) -> dict[str, float]:
        """Losses to compare with, in nats per token, worst first: uniform, unigram, bigram, xz, floor."""
        return self.facts.baselines

    @property
    def train(self) -> Series:
        """Training losses."""
        return self.of(metrics.TRAIN_LOSS)

    @property
    def val(self) -> Series:
        """The validation curve: on the subset that looks read, or on the whole split (`val_metric`)."""
        return self.of(self.val_metric)

    @cached_property
    def val_metric(self) -> str:
        """What the validation curve is: `val/subset_loss` or `val/loss`."""
        return curve_metric(self.columns)

    @property
    def val_errors(self) -> Floats | None:
        """Standard errors of the validation curve where it is the subset's, one for each of its points."""
        errors = errors_of(self.columns, self.val_metric)
        if self.val_metric == metrics.VAL_LOSS or not np.array_equal(errors.steps, self.val.steps):
            return None
        return errors.values

    @property
    def final_val(self) -> float | None:
        """The newest validation loss, on the whole split where that was read then."""
        return self.of(result_metric(self.columns)).last

    @property
    def final_bits(self) -> float | None:
        """The newest bits per byte, of the whole split where that was read then."""
        return self.of(result_metric(self.columns, metrics.VAL_BITS_PER_BYTE)).last

    @property
    def measured_on(self) -> str:
        """What the newest validation loss was measured on, with its standard error, to be put behind it."""
        metric = result_metric(self.columns)
        error = errors_of(self.columns, metric).last
        if metric == metrics.VAL_LOSS:
            return "on the whole validation split" if len(self.of(metrics.VAL_SUBSET_LOSS)) else ""
        return "on a random subset of the validation split" + ("" if error is None else f", ± {error:.3f}")

    @property
    def best(self) -> tuple[int, float] | None:
        """`(step, value)` of the lowest validation loss on the text that is held out now."""
        seams = self.facts.seams
        val = self.val.between(seams.validated_since) if seams else self.val
        if not len(val):
            return None
        at = int(val.values.argmin())
        return int(val.steps[at]), float(val.values[at])

    @property
    def steps(self) -> int:
        """Optimizer steps done, by the status or else by the metrics."""
        seen = self.columns.step
        return max(self.status.step or 0, seen) if self.status.state == "broken" else (self.status.step or seen)

    @property
    def whole(self) -> bool:
        """Whether the losses begin at step 0; those of a fork begin later."""
        return len(self.train) > 0 and self.train.steps[0] == 0

    @cached_property
    def tokens_per_step(self) -> int | None:
        """Tokens a step learns from, as it is now."""
        if (found := self.facts.tokens_per_step) and found > 0:
            return int(found)
        return self.status.tokens // self.status.step if self.status.tokens and self.status.step else None

    @property
    def stretches(self) -> tuple[Seam, ...]:
        """What held from which step on."""
        return self.facts.seams.all if self.facts.seams else ()

    @property
    def changes(self) -> tuple[Seam, ...]:
        """Where settings were changed in the middle of the run."""
        return tuple(seam for seam in self.stretches if seam.changed)

    @property
    def tokens(self) -> int | None:
        """Tokens seen."""
        return self.status.tokens if self.status.tokens is not None else self.facts.tokens(self.steps)

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
        return self.facts.parameters

    @property
    def seconds(self) -> float | None:
        """Of training, without pauses."""
        return self.of("time").last

    def events_of(self, kind: type[E]) -> list[E]:
        """Events of a kind, oldest first."""
        return of_kind(self.events, kind)

    @cached_property
    def watched(self) -> bool:
        """Whether the diagnosis rules were applied during training."""
        settings = [name for name in self.settings if name.startswith("doctor.")]
        return bool(self._reported) or (bool(settings) and self.settings.get("doctor.every") != 0)

    @cached_property
    def milestones(self) -> list[Finding]:
        """What instruments saw the model learn."""
        return [finding for finding in self.events_of(Finding) if finding.family == MILESTONE]

    @cached_property
    def _reported(self) -> list[Finding]:
        return [finding for finding in self.events_of(Finding) if finding.family != MILESTONE]

    @cached_property
    def findings(self) -> list[Finding]:
        """What the rules found during training; of a run to which they were not applied, what they find now."""
        if self.watched:
            return self._reported
        try:
            return diagnose(self.run).findings
        except DAMAGED:
            return []

    @cached_property
    def limits(self) -> SimpleNamespace:
        """The diagnosis's thresholds, as this run sets them."""
        return limits_of(self.facts)

    @cached_property
    def holds(self) -> dict[str, Found]:
        """What the diagnosis rules find at the end of the run, by rule."""
        try:
            found = apply_rules(Evidence(self.facts, self.columns, self.events), self.limits)
        except DAMAGED:
            return {}
        return {rule: hit for rule, hit in found.items() if hit}

    @property
    def ended_well(self) -> bool:
        """Whether the run reached its last step."""
        return self.status.state == "completed"

    @cached_property
    def bundle(self) -> dict[str, NDArray[Any]]:
        """The newest recording of the reference texts (`lab.runs.reference_texts`) that opens; empty without one."""
        for info in reversed(self.bundles):
            try:
                return read_bundle(info.path)
            except (ValueError, TypeError):
                continue
        return {}


def read_record(run: Run) -> RunRecord:
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
    record = RunRecord(
        run=run,
        status=status,
        config=tried(lambda: run.config() or {}, {}),
        data=tried(lambda: run.data() or {}, {}),
        predictions=tried(lambda: read_predictions(run), None),
        outcomes=outcomes(history),
        events=tried(run.events, list[Event]()),
        samples=tried(run.samples, []),
        checkpoints=tried(run.checkpoints, []),
        snapshots=tried(run.snapshots, []),
        bundles=tried(run.reference_texts, []),
        columns=Columns.of(history),
        rows=len(history),
        problems=problems,
    )
    if not record.config and not run.config_path.exists():
        problems.append("there is no config.yaml: settings are not known")
    if not record.data and not run.data_path.exists():
        problems.append("there is no data.json: text, vocabulary and baselines are not known")
    if not len(history):
        problems.append("there are no metrics: losses, speed and all other curves are not known")
    return record


def parent_of(record: RunRecord) -> tuple[str, int | None, Run | None] | None:
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
