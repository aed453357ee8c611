"""What a change in the middle of a run does to its learning rate, and how it goes without a jump."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from lab.fitting.origin import Origin
from lab.runs.checkpoints import list_checkpoints
from lab.runs.events import LrChanged, of_kind
from lab.runs.facts import dig
from lab.runs.seams import Seam
from lab.training.optimizers import OptimizerConfig
from lab.training.schedules import Course, Rise, ScheduleConfig, lr_factor

JUMP = 0.01  # relative; a rate moves by less from one step to the next of almost any schedule
REWARMED = 0.05  # of what is left: the warm-up that is proposed, as that of a new run

T = TypeVar("T")


@dataclass(frozen=True)
class RateChange:
    """The learning rate at `step` as it would have been (`before`), and as the schedule has it now (`after`).

    `ways`: how to go on without a jump, in a sentence.
    """

    step: int
    before: float
    after: float
    ways: str

    def sentence(self) -> str:
        """In a line."""
        times = f" (× {self.after / self.before:.3g})" if self.before > 0 else ""
        return f"{self.before:.3g} → {self.after:.3g} at step {self.step:,}{times}, {self.ways}"


@dataclass(frozen=True)
class Scheduled:
    """A schedule for so many steps, and how a run in minutes goes through it."""

    config: ScheduleConfig
    planned: int
    course: Course | None = None

    def factor(self, step: int, rise: Rise | None = None) -> float:
        """What the optimizer's own rate is multiplied with at `step`."""
        return lr_factor(step, self.planned, self.config, rise, self.course)

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.course.total if self.course else self.planned


def rate_change(
    origin: Origin, held: Seam, optimizer: OptimizerConfig, now: Scheduled
) -> tuple[RateChange | None, Rise | None]:
    """What the settings of now make of the rate at which `held` ends, and where a rise to it begins, if one was asked
    for or goes on; neither where nothing tells of the rate before."""
    config = _read(ScheduleConfig, dig(held.settings, "model", "schedule"))
    had = _read(OptimizerConfig, dig(held.settings, "model", "optimizer"))
    if config is None or had is None or not held.total_steps or origin.run is None:
        return None, None
    if dig(held.settings, "horizon", "minutes") is not None:
        config = config.fitted(held.total_steps)
    was, step = Scheduled(config, held.total_steps, origin.course), origin.step
    old, new = (next(iter(config.learning_rates().values())) for config in (had, optimizer))
    scale = _scale(origin)
    now_scale = scale if origin.kind == "resume" else 1.0
    rise = Rise(*held.rise) if held.rise else None
    before = old * scale * was.factor(step, rise)
    if abs(new * now_scale * now.factor(step, rise) - before) <= JUMP * before:
        return None, rise
    after, rewarm = new * now_scale * now.factor(step), now.config.rewarm_steps
    change = RateChange(step, before, after, _ways(origin, was, now))
    return change, Rise(step, before / (new * now_scale)) if rewarm and new * now_scale else None


def _ways(origin: Origin, was: Scheduled, now: Scheduled) -> str:
    assert origin.run is not None
    if rewarm := now.config.rewarm_steps:
        return f"over {rewarm:,} steps (model.schedule.rewarm_steps)"
    name, rest = origin.run.name, max(1, round(REWARMED * (now.total - origin.step)))
    ways = [f"fork with a warm-up: --fork {name}@{origin.step} --model.schedule.rewarm_steps {rest} (or here)"]
    if was.config.kind == "wsd":
        high = was.planned - was.config.decay(was.planned)
        early = [
            info.step
            for info in list_checkpoints(origin.run)
            if (was.course or Course(was.planned)).place(info.step) <= high
        ]
        ways += [f"start before the decay: --fork {name}@{early[-1]}"] if early else []
    else:
        ways.append("a run that may get longer: --model.schedule.kind wsd from its start, and go on before its decay")
    return f"from one step to the next. Without a jump: {'; '.join(ways)}"


def _scale(origin: Origin) -> float:
    """The factor by hand that the checkpoint was trained with."""
    found = of_kind(origin.run.events(), LrChanged) if origin.run else []
    return next((event.to for event in reversed(found) if (event.step or 0) <= origin.step), 1.0)


def _read(kind: type[T], tree: Any) -> T | None:
    known = {f.name for f in fields(kind)} if isinstance(tree, Mapping) else set()  # type: ignore[arg-type]
    with suppress(ValueError, TypeError):
        return kind(**{name: value for name, value in tree.items() if name in known}) if known else None
    return None
