"""What is decided once, before the first step: the data made ready, the levers, the number of steps, what changed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any

from lab.data.places import same_places
from lab.errors import SettingsError
from lab.fitting.origin import Origin, history, refuse_other_architecture, refuse_other_data, same_text
from lab.fitting.rates import RateChange, Scheduled, rate_change
from lab.model import count_parameters
from lab.runs.configurations import PLACES, changed_settings, flatten
from lab.runs.seams import Seam, Seams, held_out_of
from lab.runs.status import last_status
from lab.settings.parse import Settings
from lab.training.bare import seconds_per_step
from lab.training.horizon import DECIDES_STEPS, Done, resolve_steps
from lab.training.levers import Levers, choose_levers
from lab.training.schedules import Course

NAMES_FILES = {"data.path", "data.tokenizer", *PLACES}
MUST_HOLD = ("tokens_per_step", "context_length", "total_steps", "text", "held_out")


@dataclass
class Decisions:
    """What a fit goes by.

    Args:
        steps: Optimizer steps of the whole run; of one in minutes as its clock has it by now.
        horizon: The sentence that says why so many.
        levers: Chosen by device.
        facts: What data.json will hold.
        seams: What holds from which step on, the last from this start on.
        changed: Setting → (what the checkpoint was trained with, now).
        compares: Whether losses measured before compare with those from now on.
        rate: What becomes of the learning rate, where that is another.
    """

    steps: int
    horizon: str
    levers: Levers
    facts: dict[str, Any]
    seams: Seams
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    compares: bool = True
    rate: RateChange | None = None


def decide(settings: Settings, origin: Origin) -> Decisions:
    """Prepare the data, choose levers, turn the horizon into steps, compare with what the checkpoint was trained with.

    Raises `SettingsError` for a run that cannot go on with these settings.
    """
    data, module = settings.data, settings.module
    before = history(origin)
    changed = _changes(before, settings)
    data.prepare_data()
    data.setup("fit")
    refuse_other_data(origin, before, changed, data)
    refuse_other_architecture(origin, module.config)
    stored = last_status(origin.run) if origin.run else None
    levers = levers_of(settings, recorded=stored.levers if stored else None)
    levers.apply(module.model)
    if before and same_text(origin, before, data) is None:
        before = before.renamed(before.last.text, data.corpus.fingerprint())
    planned, sentence, course = _length(settings, origin, before, changed, levers)
    steps = course.total if course else planned
    module.course = course
    if settings.values.horizon.minutes is not None:
        module.schedule_config = module.schedule_config.fitted(planned)
    if problems := module.schedule_config.problems(planned):
        raise SettingsError("\n".join(problems))
    refuse_behind(origin, steps)
    changed |= moved_levers(stored.levers if stored else {}, levers)
    optimizer, schedule = module.optimizer_config, module.schedule_config
    after = Scheduled(schedule, planned, course)
    rate, module.rise = rate_change(origin, before.last, optimizer, after) if before else (None, None)
    facts = data.facts() | subset_facts(settings)
    seams = _seams(settings, origin, before, changed, planned, facts, rate)
    data.begin = (seams.last.step, seams.last.sequences)
    held_out = before.last.held_out if before else None
    compares = origin.kind == "new" or (origin.kind == "resume" and held_out in (None, seams.last.held_out))
    return Decisions(steps, sentence, levers, facts, seams, changed, compares, rate)


def refuse_behind(origin: Origin, steps: int) -> None:
    """Raise `SettingsError` for a horizon that the run has reached already."""
    if origin.step >= steps:
        raise SettingsError(
            f"run {origin.run.name if origin.run else ''!r} has done {origin.step:,} of {steps:,} steps already:"
            f" give a longer horizon, for example --horizon.steps {2 * origin.step}"
        )


def subset_facts(settings: Settings) -> dict[str, Any]:
    """What data.json says of the part of the validation split that looks read; nothing where that is all of it."""
    rows = settings.group("validation").subset(settings.data)
    if rows is None:
        return {}
    tokens, n_bytes = settings.data.val_counts(rows)
    return {"val_subset": {"windows": len(rows), "tokens": tokens, "bytes": n_bytes}}


def _changes(before: Seams | None, settings: Settings) -> dict[str, tuple[Any, Any]]:
    """Settings that are not what the checkpoint was trained with; one that is newer than it, where it is set."""
    if before is None:
        return {}
    old, chosen = flatten(before.last.settings), settings.chosen()
    found = {k: v for k, v in changed_settings(old, settings.tree).items() if k in old or k in chosen}
    moved = [name for name in NAMES_FILES & found.keys() if same_places(*found[name], before.last.folder)]
    return {name: change for name, change in found.items() if name not in moved}


def _length(
    settings: Settings, origin: Origin, before: Seams | None, changed: dict[str, Any], levers: Levers
) -> tuple[int, str, Course | None]:
    """The number of steps, and why: as it was decided before, unless something that decides it has changed.

    Then also the course that a run in minutes had taken by its checkpoint.
    """
    data, module = settings.data, settings.module
    total = before.last.total_steps if before else None
    as_before = before is not None and before.last.tokens_per_step == data.tokens_per_step
    if total and as_before and not any(name.startswith(DECIDES_STEPS) for name in changed):
        course = origin.course
        revised = f", {course.total:,} as the clock had it at step {origin.step:,}" if course else ""
        return total, f"{total:,} steps, as decided when the run began{revised}", course
    timed = settings.values.horizon.minutes is not None
    seconds = seconds_per_step(module.config, module.optimizer_config, data, levers) if timed else None
    n_parameters = count_parameters(module.config)["total"]
    done = Done(origin.step, before.tokens_at(origin.step), _seconds_of(origin) if timed else 0.0) if before else Done()
    steps, why = resolve_steps(settings.group("horizon"), data.tokens_per_step, n_parameters, seconds, done)
    return steps, why, None


def _seconds_of(origin: Origin) -> float:
    """Training seconds up to the checkpoint."""
    steps, seconds = origin.run.metrics().series("time") if origin.run else ([], [])
    return max((time for step, time in zip(steps, seconds, strict=True) if step <= origin.step), default=0.0)


def _seams(
    settings: Settings,
    origin: Origin,
    before: Seams | None,
    changed: dict[str, Any],
    steps: int,
    facts: dict[str, Any],
    rate: RateChange | None,
) -> Seams:
    """What held before the start, and from here on where that is something else."""
    data, text = settings.data, facts["corpus"]["fingerprint"]
    now = Seam(
        origin.step if before else 0,
        before.tokens_at(origin.step) if before else 0,
        before.next_sequence(origin.step, text, data.context_length) if before else 0,
        data.tokens_per_step,
        data.context_length,
        steps,
        text,
        held_out_of(facts),
        settings.tree,
        {name: {"from": was, "to": to} for name, (was, to) in changed.items()},
        (rate.before, rate.after) if rate else None,
        None if (rise := settings.module.rise) is None else (rise.step, rise.factor),
        os.getcwd(),
    )
    if before is None:
        return Seams([now])
    same = all(getattr(before.last, name) == getattr(now, name) for name in MUST_HOLD)
    if same and not changed:  # where the files are may be named from another folder than before
        return before.then(replace(before.last, settings=now.settings, folder=now.folder))
    return before.then(now)


def moved_levers(recorded: dict[str, Any], levers: Levers) -> dict[str, tuple[Any, Any]]:
    """Levers that another machine, or the person, moves in the middle of a run: `levers.threads` → (before, now)."""
    now = {name: lever["value"] for name, lever in levers.as_dict().items()}
    before = {name: lever.get("value") for name, lever in recorded.items() if isinstance(lever, dict)}
    return {f"levers.{name}": (before[name], now[name]) for name in now if before.get(name, now[name]) != now[name]}


def levers_of(settings: Settings, config: Any = None, recorded: Any = None) -> Levers:
    """The levers of these settings for their model, or for another `config`."""
    module = settings.module
    return choose_levers(
        settings.group("levers"),
        precision=settings.values.trainer.precision,
        config=config or module.config,
        device=settings.device,
        fused=module.optimizer_config.fused,
        recorded=recorded,
    )
