"""A rule, and what it finds in a run; both together are an event (`lab.runs.events.Finding`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from lab.runs.events import Finding, Level


@dataclass(frozen=True)
class Found:
    """What a rule finds in a run: the part of a finding that differs from run to run.

    Args:
        level: See `lab.runs.events.LEVELS`.
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


Check = Callable[[Any, Any], "Found | None"]


@dataclass(frozen=True)
class Rule:
    """One fault: how it is recognised, why it matters and what helps.

    `check(evidence, limits)` is a pure function of the run so far; `family` is the file it is in. While it finds
    something, the rules named in `explains` are left out: what they find follows from it.
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
        """What was found, with what is known of the fault."""
        return Finding(
            step=step, rule=self.name, family=self.family, why=self.why, tries=self.tries, source=self.source,
            **asdict(found),
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
