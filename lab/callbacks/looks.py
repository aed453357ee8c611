"""The budget of all looks but validation: instruments, snapshots and checkpoints give way where they take too long."""

from __future__ import annotations

import math
from typing import Any

from lab.callbacks.checkpoints import Checkpoints
from lab.callbacks.instrument import Instrument
from lab.callbacks.snapshots import Snapshots
from lab.callbacks.throughput import Throughput
from lab.runs.cadence import Cadence
from lab.training.callback import FitContext
from lab.training.deciding import Deciding
from lab.training.looking import LOOKS_SHARE, LookTimes, allotted, fits

TOLD = 3  # looks that the reason of a decision names


class LooksBudget(Deciding):
    """Keeps instruments, snapshots and checkpoints whose cadence is not set within 5 % of the run's wall-clock.

    Of a run of a minute or more; a shorter one may spend what one of a minute may. What each takes is measured. Where
    all that is planned would take more, those that would take the most happen half as often, and again, until it fits:
    a recorded decision (`lab.training.deciding`). The look after the last step stays, and a cadence that is set is kept
    whatever it takes.
    """

    what = "looks"

    def __init__(self) -> None:
        super().__init__()
        self._times: LookTimes | None = None
        self._restored: dict[str, Any] = {}

    def start(self, fit: FitContext) -> None:
        """Who looks, and what that took in earlier processes of this run."""
        self._times = fit.looks
        if self._restored:
            fit.looks.restore(self._restored)
        if fit.logbook.run.status().details.get("steps_seconds"):  # of an earlier process: known again at the end
            fit.logbook.status.update(details={"steps_seconds": None})
        super().start(fit)

    def decide(self, fit: FitContext) -> tuple[dict[str, int], str] | None:
        """Of the looks at even distances every how many happens, by name, at a step where one is due."""
        plans, step, total = planned(fit), fit.step, fit.total_steps
        nth = {name: fit.looks.nth.get(name, 1) for name in plans}
        if not any(plan.due(step, total, nth[name]) for name, plan in plans.items()):
            return None
        run = fit.looks.run_seconds(fit.logbook.clock.seconds(), total - step)
        spent = sum(fit.looks.seconds.get(name, 0.0) for name in plans)

        def ahead(name: str) -> float:
            return plans[name].count(total, step, nth[name]) * each(fit, name, plans[name])

        before, at_first = dict(nth), spent + sum(map(ahead, plans))
        while not fits(LOOKS_SHARE, run, spent, sum(map(ahead, plans))):
            most = max(plans, key=lambda name: ahead(name) if nth[name] else 0.0)
            if not (nth[most] and ahead(most)):
                break  # nothing is left that could give way
            nth[most] = 0 if 2 * nth[most] * plans[most].steps(total) >= total else 2 * nth[most]
        if nth == before:
            return None
        fewer = sorted((name for name in plans if nth[name] != before[name]), key=lambda name: -fit.looks.each(name))
        told = ", ".join(_words(name, nth[name], plans[name].steps(total)) for name in fewer[:TOLD])
        told += f" and {len(fewer) - TOLD} more" if len(fewer) > TOLD else ""
        share = LOOKS_SHARE * at_first / allotted(LOOKS_SHARE, run)
        return nth, f"{told}: looks and checkpoints would take {share:.0%} of the run instead of {LOOKS_SHARE:.0%}"

    def apply(self, fit: FitContext, value: dict[str, int]) -> None:
        """From now on every so manieth look of each."""
        fit.looks.nth = dict(value)

    def end(self, fit: FitContext) -> None:
        """Seconds by who looked, and those of the steps, into run.json."""
        seconds = {name: round(value, 3) for name, value in sorted(fit.looks.seconds.items())}
        steps = {"computing": round(fit.looks.computing, 3), "waiting": round(fit.looks.waiting, 3)}
        known = None if math.isnan(fit.looks.computing) else steps
        fit.logbook.status.update(details={"looks_seconds": seconds, "steps_seconds": known})

    def state_dict(self) -> dict[str, Any]:
        """What holds, and what looks have taken."""
        return {**super().state_dict(), "times": self._times.state() if self._times else self._restored}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take these back from a checkpoint."""
        super().load_state_dict(state_dict)
        self._restored = state_dict.get("times") or {}


def planned(fit: FitContext) -> dict[str, Cadence]:
    """Who looks at a cadence that is not set, by the name of its group, and when."""
    found: dict[str, Cadence] = {}
    for callback in fit.callbacks:
        if isinstance(callback, Instrument) and callback.every is None and not isinstance(callback, Throughput):
            found[callback.group] = callback.planned(fit)
        elif isinstance(callback, Snapshots) and callback.every is None:
            found["snapshots"] = callback.cadence
        elif isinstance(callback, Checkpoints) and callback.every is None:
            found["checkpoint"] = callback.planned(fit)
    return found


def each(fit: FitContext, name: str, plan: Cadence) -> float:
    """Seconds of a further look; not known after a single one of those that look often at first."""
    return fit.looks.each(name) if fit.looks.counts.get(name, 0) > plan.early else 0.0


def _words(name: str, nth: int, every: int) -> str:
    return f"{name} every {nth * every:,} steps" if nth else f"{name} at the end only"
