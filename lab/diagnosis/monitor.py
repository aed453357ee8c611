"""Applies the rules to a run again and again as it grows, and reports each finding once.

Live and afterwards are the same: `diagnose` reads a finished run's rows in their order and applies the rules at the
same steps as `lab.callbacks` does during training. A hundred times, however long a run is: the time grows with its
lines and not with their square.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from lab.diagnosis.evidence import Evidence
from lab.diagnosis.finding import Found
from lab.diagnosis.rules import RULES
from lab.diagnosis.thresholds import limits
from lab.runs.cadence import Cadence, is_log_spaced
from lab.runs.events import LEVELS, Event, Finding, of_kind
from lab.runs.facts import Facts
from lab.runs.metrics_log import MetricsDelta, MetricsReader
from lab.runs.run import Run

CADENCE = Cadence(None, per_run=100, least=5)  # examinations of a run
CLEAR = 3  # examinations in a row without it before a finding ends
MOST_EVENTS = 6  # per rule and run, for findings that come and go


def apply_rules(evidence: Evidence, limits: Any) -> dict[str, Found | None]:
    """What each rule finds now, by its name; without rules whose finding only follows from another rule's."""
    found = {name: rule.check(evidence, limits) for name, rule in RULES.items()}
    explained = {other for name, hit in found.items() if hit for other in RULES[name].explains}
    return {name: hit for name, hit in found.items() if name not in explained}


def limits_of(facts: Facts, overrides: Mapping[str, float] | None = None) -> SimpleNamespace:
    """The thresholds of a run: those of its configuration (`doctor.thresholds`), less what is none, and `overrides`."""
    own = {}
    for setting, value in facts.settings.items():
        name = setting.removeprefix("doctor.thresholds.")
        if name != setting and _is_threshold(name, value):
            own[name] = value
    return limits(own | dict(overrides or {}))


@dataclass
class _State:
    finding: Finding
    clear: int = 0
    told: int = 1


class Monitor:
    """Follows one run. Feed its `evidence`, then `examine`.

    Args:
        evidence: The run so far; grows outside of this.
        thresholds: Overrides by name; `ValueError` for one that does not exist.
    """

    def __init__(self, evidence: Evidence, thresholds: Mapping[str, float] | None = None) -> None:
        self.evidence = evidence
        self.limits = limits(thresholds)
        self._known: dict[str, _State] = {}

    @property
    def findings(self) -> list[Finding]:
        """Everything found so far: what holds now, what is above a note, what was seen first.

        What was seen first is closest to the cause; what is worst often only follows from it.
        """
        found = [state.finding for state in self._known.values()]
        order = list(RULES)
        return sorted(found, key=lambda f: (f.ended is not None, f.level == "note", f.step, order.index(f.rule)))

    def recall(self, events: Iterable[Event]) -> None:
        """Take over the findings that an earlier process of this run has reported."""
        for finding in of_kind(events, Finding):
            if finding.rule in RULES:
                told = self._known[finding.rule].told + 1 if finding.rule in self._known else 1
                self._known[finding.rule] = _State(finding, told=told)

    def examine(self, step: int | None = None) -> list[Finding]:
        """What is new, has grown worse or is over since the last examination, as of `step` (the newest)."""
        step = self.evidence.step if step is None else step
        changes = [
            self._compare(name, RULES[name].finding(hit, step) if hit else None, step)
            for name, hit in apply_rules(self.evidence, self.limits).items()
        ]
        return [change for change in changes if change is not None]

    def _compare(self, name: str, now: Finding | None, step: int) -> Finding | None:
        state = self._known.get(name)
        if now is None:
            if state is None or state.finding.ended is not None:
                return None
            state.clear += 1
            return self._tell(state, state.finding.over(step)) if state.clear >= CLEAR else None
        if state is None:
            self._known[name] = _State(now)
            return now
        state.clear = 0
        old = state.finding
        if old.ended is None and LEVELS.index(now.level) == LEVELS.index(old.level):
            # The newest measurement of the same, under the date of its discovery.
            state.finding = replace(now, step=old.step, since=min(old.since, now.since))
            return None
        return self._tell(state, now)

    def _tell(self, state: _State, finding: Finding) -> Finding | None:
        state.finding, state.clear = finding, 0
        state.told += 1
        return finding if state.told <= MOST_EVENTS else None


@dataclass(frozen=True)
class Diagnosis:
    """A run examined from its first row to its last: what was found when, and what holds at the end."""

    told: list[Finding]  # in the order of discovery, with what became worse or was over
    findings: list[Finding]  # as of the end
    evidence: Evidence


def diagnose(run: Run, thresholds: Mapping[str, float] | None = None) -> Diagnosis:
    """Examine a run directory. What is missing or damaged in it is not examined, and no error.

    `thresholds` come on top of those of the run's own configuration (`doctor.thresholds`).
    """
    facts = Facts.of(run)
    monitor = Monitor(Evidence(facts), vars(limits_of(facts, thresholds)))
    rows, told = MetricsReader(run).poll().rows, []
    # Where the plan is not known, or was outrun, it is what was done: the steps at which it was examined live.
    every = CADENCE.steps(max([facts.total_steps or 0, *(row["step"] for row in rows[-1:])]))
    events = [event for event in run.events() if not isinstance(event, Finding)]
    for step, part in examinations(rows, every):
        monitor.evidence.apply(MetricsDelta(rows=part))
        told += monitor.examine(step)
    monitor.evidence.apply(MetricsDelta(), events)
    told += monitor.examine()
    return Diagnosis(told, monitor.findings, monitor.evidence)


def examinations(rows: list[dict[str, Any]], every: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """`(step, rows)`: the rows up to each step at which to examine, each row once."""
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if is_log_spaced(row["step"], every):
            yield row["step"], part
            part = []
    if part:
        yield part[-1]["step"], part


def _is_threshold(name: str, value: Any) -> bool:
    try:
        limits({name: value})
    except ValueError:
        return False
    return True
