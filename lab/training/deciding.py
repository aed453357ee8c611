"""What a run decides while it trains, from what it measures: recorded at its step, taken again there when resumed.

A threads' count, the length of a run in minutes, the change-over to compiled code: each follows from a clock, so a
second process would decide it otherwise, and compute other bits. Here is the one way to decide such a thing:

    class Threads(Deciding):
        what = "threads"
        settings = ("levers.threads",)              # a change of these by the user frees the run of what it decided

        def decide(self, fit): return (1, "another process fills a core") if … else None
        def apply(self, fit, value): torch.set_num_threads(value)

`decide` is asked after each step, before looks and checkpoint. What it returns is written to events.jsonl (`Decided`),
forced to the disk, and only then applied: so no step was ever taken with a decision that is not on record. Then:

- killed and resumed from the checkpoint of step S: what held at S comes from the checkpoint, each decision recorded
  behind S is applied at its step again, and nothing new is decided up to the step that had been reached. The steps
  that are done twice get the same bits.
- resumed a second time from before: the same, up to the furthest step that was ever reached.
- resumed with another value of one of `settings`: what was decided is dropped, said in a line, and the run decides anew
  from there on. Later resumes know that: such a change is in the event `Resumed`.
- a fork begins with what held at its checkpoint, unless one of `settings` is changed, and repeats none of its parent's
  later decisions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, ClassVar

from lab.runs.events import Decided, Event, Resumed, Rewound, Started
from lab.training.callback import FitCallback, FitContext


class Deciding(FitCallback):
    """Decides one thing of a run between two steps; a subclass says what, and how it is done.

    With several processes nothing is decided: each would measure something else.
    """

    what: ClassVar[str]
    """Its name in events.jsonl."""
    settings: ClassVar[tuple[str, ...]] = ()
    """How the names of the settings begin whose change drops what was decided."""

    def __init__(self) -> None:
        self.held: Decided | None = None
        """What holds now; None: nothing was decided yet."""
        self._ahead: list[Decided] = []
        self._reached = -1

    def decide(self, fit: FitContext) -> tuple[Any, str] | None:
        """A new value, plain enough for JSON, and why in a sentence; None: it stays as it is."""
        raise NotImplementedError

    def apply(self, fit: FitContext, value: Any) -> None:
        """Let `value` hold for the next update; also called at a start, with what holds there."""
        raise NotImplementedError

    def start(self, fit: FitContext) -> None:
        """Take up what was decided before."""
        events = fit.logbook.run.events()
        begun = next((event for event in reversed(events) if isinstance(event, Started | Resumed)), None)
        changed = _changes(begun, self.settings) if begun else {}
        recorded, self._reached = on_record(events, self.what, self.settings)
        if changed:
            if self.held or any(isinstance(event, Decided) and event.what == self.what for event in events):
                fit.say(f"{self.what}: decided anew from step {fit.step:,} on, as {', '.join(changed)} changed")
            self.held = None
        known = self.held.step if self.held else -1
        self._ahead = [decided for decided in recorded if decided.step >= fit.step and decided.step > known]
        if self.held is not None:
            self.apply(fit, self.held.value)
        self._repeat(fit)

    def after_step(self, fit: FitContext) -> None:
        """Repeat what is on record for this step, or decide."""
        if fit.step <= self._reached or self._ahead:
            self._repeat(fit)
            return
        may = fit.n_processes == 1 and fit.step < fit.total_steps and not fit.stopping
        if may and (found := self.decide(fit)) is not None:
            decided = Decided(step=fit.step, what=self.what, value=found[0], reason=found[1])
            fit.logbook.event(decided)
            fit.say(f"step {fit.step:,}: {decided.reason}")
            self._hold(fit, decided)

    def _repeat(self, fit: FitContext) -> None:
        while self._ahead and self._ahead[0].step <= fit.step:
            self._hold(fit, self._ahead.pop(0))

    def _hold(self, fit: FitContext, decided: Decided) -> None:
        self.held = decided
        self.apply(fit, decided.value)

    def state_dict(self) -> dict[str, Any]:
        """What holds."""
        if self.held is None:
            return {"held": None}
        return {"held": {name: asdict(self.held)[name] for name in ("step", "what", "value", "reason")}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what held."""
        held = state_dict.get("held")
        self.held = None if held is None else Decided(**held)


def on_record(events: Iterable[Event], what: str, settings: tuple[str, ...] = ()) -> tuple[list[Decided], int]:
    """What was decided of `what` and holds, by step, and the furthest step that training came to before it went back.

    >>> made = Decided(step=6, what="threads", value=1, reason="another process fills a core")
    >>> on_record([made, Rewound(step=5, rewound_from=9)], "threads") == ([made], 9)
    True
    """
    found: list[Decided] = []
    reached, dropped = -1, False
    before: Started | Resumed | None = None
    for event in events:
        if isinstance(event, Started | Resumed):
            # What changed is told against the checkpoint; a second start from there is compared with the first.
            again = before is not None and (event.step or 0) <= (before.step or 0)
            dropped = _changes(event, settings) != (_changes(before, settings) if before and again else {})
            before = event
            if dropped:
                found, reached = [], -1
        elif isinstance(event, Decided) and event.what == what:
            found = [*(earlier for earlier in found if earlier.step < event.step), event]
        elif isinstance(event, Rewound) and not dropped:
            reached = max(reached, event.rewound_from)
    return found, reached


def _changes(begun: Started | Resumed, settings: tuple[str, ...]) -> dict[str, Any]:
    return {name: change for name, change in begun.changed.items() if name.startswith(settings)} if settings else {}
