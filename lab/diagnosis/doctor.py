"""The doctor: examines a run again and again as it grows, and says each thing once.

Live and afterwards are the same: `diagnose` reads a finished run's rows in their order and examines at the same steps
at which the callback would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab.diagnosis.facts import Facts
from lab.diagnosis.finding import LEVELS, Finding
from lab.diagnosis.history import History
from lab.diagnosis.rules import RULES
from lab.diagnosis.thresholds import limits
from lab.runs.history import MetricsDelta
from lab.runs.run import Run
from lab.runs.snapshots import is_snapshot_step

EXAMINATIONS = 100
LEAST_STEPS = 5
CLEAR = 3
"""So many examinations in a row without it, and a finding is over."""
MOST_EVENTS = 6
"""Of one rule in one run: what comes and goes is not told for ever."""


def cadence(total_steps: int | None) -> int:
    """Optimizer steps between two examinations, after a start at 0, 1, 2, 4, 8, …"""
    return max(LEAST_STEPS, (total_steps or 0) // EXAMINATIONS)


@dataclass
class _State:
    finding: Finding
    clear: int = 0
    told: int = 1


class Doctor:
    """Watches one run. Feed `history`, then `examine`.

    Args:
        history: The run so far; grows outside of this.
        thresholds: Overrides by name; `ValueError` for one that does not exist.
    """

    def __init__(self, history: History, thresholds: Mapping[str, float] | None = None) -> None:
        self.history = history
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

    def recall(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take over what an earlier process of this run has told."""
        for event in events:
            rule = RULES.get(str(event.get("rule"))) if event.get("kind") == "finding" else None
            if rule is None or event.get("level") not in LEVELS:
                continue
            since, step, ended = (event.get(name) for name in ("since", "step", "ended"))
            told = self._known[rule.name].told + 1 if rule.name in self._known else 1
            finding = Finding(
                rule.name, rule.family, event["level"], str(event.get("what")), since if type(since) is int else 0,
                step if type(step) is int else 0, event.get("metric"), event.get("value"), event.get("threshold"),
                rule.why, rule.tries, rule.source, ended if type(ended) is int else None,
            )  # fmt: skip
            self._known[rule.name] = _State(finding, told=told)

    def examine(self, step: int | None = None) -> list[Finding]:
        """What is new, has grown worse or is over since the last examination, as of `step` (the newest)."""
        step = self.history.step if step is None else step
        found = {name: hit for name, rule in RULES.items() if (hit := rule.check(self.history, self.limits))}
        silenced = {other for name in found for other in RULES[name].explains}
        told = []
        for name, rule in RULES.items():
            if name in silenced:
                continue
            hit = found.get(name)
            finding = rule.finding(hit, step) if hit else None
            if (change := self._compare(name, finding, step)) is not None:
                told.append(change)
        return told

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
    """A run examined from its first row to its last: what was found when, and what stands at the end."""

    told: list[Finding]  # in the order of discovery, with what became worse or was over
    findings: list[Finding]  # as of the end
    history: History


def diagnose(run: Run, thresholds: Mapping[str, float] | None = None) -> Diagnosis:
    """Examine a run directory. What is missing or damaged in it is not examined, and no error.

    `thresholds` come on top of those of the run's own configuration (`doctor.thresholds`).
    """
    facts = Facts.of(run)
    own = {
        k.removeprefix("doctor.thresholds."): v for k, v in facts.settings.items() if k.startswith("doctor.thresholds.")
    }
    known = {name: value for name, value in own.items() if _is_threshold(name, value)}
    doctor = Doctor(History(facts), known | dict(thresholds or {}))
    every, told = cadence(facts.total_steps), []
    events = [event for event in run.events() if event.get("kind") != "finding"]
    rows = run.metrics().rows
    for step, part in examinations(rows, every):
        doctor.history.apply(MetricsDelta(rows=part))
        told += doctor.examine(step)
    doctor.history.apply(MetricsDelta(), events)
    told += doctor.examine()
    return Diagnosis(told, doctor.findings, doctor.history)


def examinations(rows: list[dict[str, Any]], every: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """`(step, rows)`: the rows up to each step at which to examine, each row once."""
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if is_snapshot_step(row["step"], every):
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
