"""A finding: what ails a run, since when, the evidence, and what to try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

Level = Literal["note", "warning", "alarm"]
LEVELS: tuple[Level, ...] = ("note", "warning", "alarm")
"""note: worth knowing; warning: the run would be better otherwise; alarm: the run is not worth going on with."""


@dataclass(frozen=True)
class Found:
    """What a rule has to say of this run: the part of a finding that differs from run to run.

    Args:
        level: See `LEVELS`.
        what: One sentence, with the measured numbers.
        since: The step from which on it holds.
        metric: The logged name that the value comes from; None: a setting or an event.
        value: As measured.
        threshold: What it was compared with.
    """

    level: Level
    what: str
    since: int
    metric: str | None = None
    value: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Finding:
    """A `Found` with what is known of its rule, and the steps at which it was seen.

    `step` is when it was detected; `ended` when it was seen to be over, None while it holds.
    """

    rule: str
    family: str
    level: Level
    what: str
    since: int
    step: int
    metric: str | None
    value: float | None
    threshold: float | None
    why: str
    tries: tuple[str, ...]
    source: str
    ended: int | None = None

    def payload(self) -> dict[str, Any]:
        """The fields of a `finding` event beside kind, step and wall."""
        found = {name: getattr(self, name) for name in ("rule", "family", "level", "what", "since")}
        found |= {name: getattr(self, name) for name in ("metric", "value", "threshold", "why")}
        found |= {"try": list(self.tries), "source": self.source}
        return found | ({"ended": self.ended} if self.ended is not None else {})

    def over(self, step: int) -> Finding:
        """The same, seen to be over at `step`: no more than a note."""
        return replace(self, level="note", step=step, ended=step, what=f"over at step {step}: {self.what}")


Check = Callable[[Any, Any], "Found | None"]


@dataclass(frozen=True)
class Rule:
    """One disease: how it is told, why it matters and what helps.

    `check(history, limits)` is a pure function of the run so far; `family` is the file it stands in. While it holds,
    the rules named in `explains` say nothing: what they see follows from it.
    """

    name: str
    family: str
    check: Check
    why: str
    tries: tuple[str, ...]
    explains: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The file that decides."""
        return f"lab/diagnosis/{self.family}.py"

    def finding(self, found: Found, step: int) -> Finding:
        """What was found, with what is known of the disease."""
        return Finding(
            self.name, self.family, found.level, found.what, found.since, step, found.metric, found.value,
            found.threshold, self.why, self.tries, self.source,
        )  # fmt: skip


class Family:
    """The rules of one file, gathered by its decorator."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rules: list[Rule] = []

    def rule(self, why: str, *tries: str, explains: tuple[str, ...] = ()) -> Callable[[Check], Check]:
        """Register the function under its own name."""

        def register(check: Check) -> Check:
            self.rules.append(Rule(check.__name__, self.name, check, why, tries, explains))
            return check

        return register
