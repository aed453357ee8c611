"""What is decided once, before the first step: the data made ready, the levers, the number of steps."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lab.errors import SettingsError
from lab.fitting.origin import Origin, refuse_other_architecture, refuse_other_data
from lab.model import count_parameters
from lab.runs.configurations import changed_settings
from lab.settings.parse import Settings
from lab.training.bare import seconds_per_step
from lab.training.horizon import resolve_steps
from lab.training.levers import Levers, choose_levers

DECIDES_STEPS = ("horizon.", "data.tokens_per_step", "data.batch_size")


@dataclass
class Decisions:
    """`steps` of the whole run, and `horizon`, the sentence that says why; `changed`: setting → (stored, now)."""

    steps: int
    horizon: str
    levers: Levers
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def decide(settings: Settings, origin: Origin) -> Decisions:
    """Prepare the data, choose levers, turn the horizon into steps, compare with the stored configuration.

    Raises `SettingsError` for a run that cannot go on with these settings.
    """
    data, module = settings.data, settings.module
    changed: dict[str, tuple[Any, Any]] = {}
    if origin.run is not None:
        with suppress(ValueError):  # damaged, and another was given, which replaces it
            changed = changed_settings(origin.run.config() or {}, settings.tree)
    data.prepare_data()
    data.setup("fit")
    refuse_other_data(origin, changed, data)
    refuse_other_architecture(origin, module.config)
    stored = origin.run.status() if origin.run else None
    levers = levers_of(settings, recorded=stored.levers if stored else None)
    levers.apply(module.model)
    if stored and stored.total_steps and not any(name.startswith(DECIDES_STEPS) for name in changed):
        steps, sentence = stored.total_steps, f"{stored.total_steps:,} steps, as decided when the run began"
    else:
        timed = settings.values.horizon.minutes is not None
        seconds = seconds_per_step(module.config, module.optimizer_config, data, levers) if timed else None
        n_parameters = count_parameters(module.config)["total"]
        steps, sentence = resolve_steps(settings.group("horizon"), data.tokens_per_step, n_parameters, seconds)
    if problems := module.schedule_config.problems(steps):
        raise SettingsError("\n".join(problems))
    if origin.step >= steps:
        raise SettingsError(
            f"run {origin.run.name if origin.run else ''!r} has done {origin.step:,} of {steps:,} steps already:"
            f" give a longer horizon, for example --horizon.steps {2 * origin.step}"
        )
    return Decisions(steps, sentence, levers, changed | moved_levers(stored.levers if stored else {}, levers))


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
