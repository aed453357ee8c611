"""What a run will cost and where it will end, said before it starts: sizes, a rehearsal, pilots, forecasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lab.callbacks.checkpoints import KEEP
from lab.errors import NotEnough, SettingsError
from lab.fitting.decisions import Decisions, decide, levers_of
from lab.fitting.origin import Origin
from lab.forecasting.finished import Finished, earlier_runs
from lab.forecasting.kept import keep_plan, plan_path
from lab.forecasting.ladder import Rung, computing_parameters, ladder
from lab.forecasting.law import Floor, Forecast, Trained, forecast_loss
from lab.model import GPTConfig, count_parameters
from lab.planning.choose_model import Choice, largest
from lab.planning.memory import FRAGMENTED_SPREAD
from lab.planning.memory_check import (
    FRAGMENTED,
    process_peak,
    refuse_what_cannot_fit,
    step_of,
)
from lab.planning.pilots import pilots
from lab.planning.rehearsal import Rehearsal, rehearse
from lab.planning.sizes import Sizes, sizes
from lab.runs.configurations import flatten
from lab.settings.arguments import Arguments
from lab.settings.parse import HORIZONS, Settings
from lab.training.bare import seconds_per_step
from lab.training.horizon import HorizonConfig, resolve_steps
from lab.training.machine import total_memory
from lab.training.schedules import lr_factor

Say = Callable[[str], None]
CLOCK_SPREAD = 0.02  # relative standard deviation of the length of a run in minutes, whose steps follow the clock
MINUTES_SPREAD = 0.06  # relative standard deviation of measured minutes: other processes, clock, temperature


@dataclass
class Plan:
    """Everything a plan says; None and empty: not asked for, or not known."""

    settings: Settings
    decisions: Decisions
    sizes: Sizes
    finished: Finished
    floor: Floor | None
    choice: Choice | None = None
    rehearsal: Rehearsal | None = None
    memory_predicted: int = 0
    rungs: list[Rung] = field(default_factory=list)
    pilots: list[Trained] = field(default_factory=list)
    forecasts: dict[str, Forecast] = field(default_factory=dict)
    unsaid: dict[str, str] = field(default_factory=dict)
    """Why a forecast is missing, by what it rests on."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            **self.sizes.as_dict(),
            "horizon": self.decisions.horizon,
            "levers": self.decisions.levers.as_dict(),
            "memory_predicted": self.memory_predicted,
            "rehearsal": asdict(self.rehearsal) if self.rehearsal else None,
            "pilots": [
                {"config": asdict(rung.config), "steps": rung.steps, "seed": rung.seed, **asdict(trained)}
                for rung, trained in zip(self.rungs, self.pilots, strict=False)
            ],
            "finished_runs": {"used": self.finished.names, "left_out": self.finished.left_out},
            "forecasts": {name: asdict(forecast) for name, forecast in self.forecasts.items()},
            "unsaid": self.unsaid,
        }


def make_plan(arguments: Arguments, say: Say) -> Plan:
    """Plan the fit that `arguments` describe and keep its forecasts for that fit; `say` hears what is being measured.

    With `--minutes` the model is chosen first: the largest sensible one for that time on this machine.
    """
    minutes, choice = arguments.value("minutes"), None
    if minutes is not None:
        arguments = arguments.without(*(f"horizon.{unit}" for unit in HORIZONS))
        arguments = arguments.with_flags(**{"horizon.minutes": minutes})
        choice = choose(_prepared(arguments), say)
        arguments = arguments.with_flags(**shape_flags(choice.config))
    plan = _plan(_prepared(arguments), choice, say)
    keep_plan(plan_path(plan.settings.tree, plan.settings.values.data.cache_dir), plan.forecasts)
    return plan


def _prepared(arguments: Arguments) -> Settings:
    settings = Settings("plan", arguments)
    refuse_what_cannot_fit(settings)
    return settings.build()


def _plan(settings: Settings, choice: Choice | None, say: Say) -> Plan:
    values, module, data = settings.values, settings.module, settings.data
    decisions = decide(settings, Origin("new"))
    step = step_of(data, decisions.levers, module.optimizer_config.name)
    plan = Plan(
        settings,
        decisions,
        _sizes(settings, step, decisions.steps),
        earlier_runs(values.run.root, decisions.facts, flatten(settings.tree)),
        Floor.of(data.baselines),
        choice,
    )
    if values.measure:
        say("a rehearsal of a few real steps …")
        measure(plan, step)
    else:
        plan.memory_predicted = process_peak(module.config, step, decisions.levers)
    if values.pilot:
        train_pilots(plan, say)
    forecast(plan)
    return plan


def _sizes(settings: Settings, step: Any, steps: int) -> Sizes:
    return sizes(
        settings.module.config,
        step,
        steps=steps,
        tokens_per_epoch=tokens_per_epoch(settings),
        checkpoints=min((settings.values.checkpoint.keep or KEEP) + 1, 99),
        snapshots=settings.group("snapshots").cadence.count(steps),
    )


def tokens_per_epoch(settings: Settings) -> int | None:
    """Tokens of one pass over the text; None for a made corpus, which has no end."""
    per_epoch = settings.data.sequences.per_epoch
    return None if per_epoch is None else per_epoch * settings.data.context_length


def measure(plan: Plan, step: Any) -> None:
    """Minutes and memory from a rehearsal, beside what was predicted of memory without it."""
    decided = plan.decisions
    plan.rehearsal = seen = rehearse(plan.settings, decided)
    if (minutes := plan.settings.values.horizon.minutes) is not None:
        decided = plan.decisions = _by_clock(plan, seen, minutes)
        plan.sizes = _sizes(plan.settings, step, decided.steps)
    weights = plan.sizes.memory.weights
    on_gpu = not decided.levers.device.startswith("cpu")
    before = 0 if on_gpu else seen.memory_before - weights
    plan.memory_predicted = process_peak(plan.settings.module.config, step, decided.levers, before)
    peak = max(seen.memory_bytes, plan.memory_predicted) if not on_gpu else seen.memory_bytes
    spread = MINUTES_SPREAD if minutes is None else CLOCK_SPREAD
    plan.forecasts["minutes"] = Forecast.around(
        minutes or seen.run_seconds(decided.steps) / 60,
        spread,
        "the clock" if minutes is not None else f"{seen.steps} real steps, and what looks at them",
    )
    half = FRAGMENTED_SPREAD * peak
    plan.forecasts["peak_memory_bytes"] = Forecast(
        float(peak), peak - half, peak + half, f"counted on fake tensors, times {FRAGMENTED} for fragmented memory"
    )


def _by_clock(plan: Plan, seen: Rehearsal, minutes: float) -> Decisions:
    """The steps of a run in minutes as the rehearsal has them: with what looks at them, not a share for it."""
    steps = seen.steps_in(60 * minutes)
    data, parameters = plan.settings.data, count_parameters(plan.settings.module.config)["total"]
    _, sentence = resolve_steps(HorizonConfig(steps=steps), data.tokens_per_step, parameters)
    sentence += f" (an estimate: {minutes:g} minutes by the clock, looks included)"
    return replace(plan.decisions, steps=steps, horizon=sentence)


def train_pilots(plan: Plan, say: Say) -> None:
    """Train the ladder."""
    settings, decided = plan.settings, plan.decisions
    plan.rungs = ladder(settings.module.config, decided.steps)
    if not plan.rungs:
        plan.unsaid["ladder"] = (
            f"not enough to say: a ladder within a tenth of {decided.steps:,} steps would have runs too short to tell"
            " anything of the end; plan a longer run, or see how finished runs end"
        )
        return
    run_one = pilots(
        settings.module.config,
        settings.module.optimizer_config,
        settings.module.schedule_config,
        settings.data,
        decided.levers,
        decided.steps,
        settings.values.seed_everything,
    )
    for i, rung in enumerate(plan.rungs, 1):
        trained = run_one(rung)
        plan.pilots.append(trained)
        say(
            f"pilot {i} of {len(plan.rungs)}: {rung.config.d_model} wide, {rung.steps:,} steps:"
            f" {trained.loss:.3f} nats in {trained.seconds:.0f} s"
        )


def forecast(plan: Plan) -> None:
    """The final validation loss: from the ladder where there is one, else from finished runs."""
    config, tokens = plan.settings.module.config, plan.sizes.tokens or 0
    sources = {"ladder": plan.pilots, "finished runs": plan.finished.runs}
    for source, runs in sources.items():
        if source == "ladder" and not runs:
            continue
        name = f"the {source}" if source == "ladder" else source
        try:
            found = forecast_loss(runs, computing_parameters(config), tokens, name, plan.floor)
        except NotEnough as why:
            plan.unsaid[source] = str(why)
            continue
        plan.forecasts.setdefault("final_val_loss", found)
        if source == "finished runs":
            plan.forecasts["final_val_loss_from_runs"] = found


def choose(settings: Settings, say: Say) -> Choice:
    """The largest sensible network for `--minutes`, by what a few widths do here."""
    data, module = settings.data, settings.module
    data.prepare_data()
    data.setup("fit")

    def speed(config: GPTConfig) -> float:
        seconds = seconds_per_step(config, module.optimizer_config, data, levers_of(settings, config))
        say(f"{config.n_layers} layers, {config.d_model} wide: {data.tokens_per_step / seconds:,.0f} tokens/s")
        return data.tokens_per_step / seconds

    def fits(config: GPTConfig) -> bool:
        levers = levers_of(settings, config)
        need = process_peak(config, step_of(data, levers, module.optimizer_config.name), levers)
        return need <= total_memory(levers.device)

    try:
        return largest(module.config, 60 * settings.values.minutes, speed, fits, tokens_per_epoch(settings))
    except ValueError as error:
        raise SettingsError(f"--minutes: {error}") from None


def shape_flags(config: GPTConfig) -> dict[str, Any]:
    """The flags that give a fit this shape."""
    shape = {"n_layers": config.n_layers, "n_heads": config.n_heads, "d_model": config.d_model, "d_mlp": None}
    shape |= {"n_kv_heads": config.n_kv_heads} if config.n_kv_heads is not None else {}
    return {f"model.config.{name}": value for name, value in shape.items()}


def schedule_values(plan: Plan, points: int) -> list[float]:
    """The learning rate's factor at `points` steps, evenly over the run."""
    steps = plan.decisions.steps
    at = [round(i * (steps - 1) / max(1, points - 1)) for i in range(points)]
    return [lr_factor(step, steps, plan.settings.module.schedule_config) for step in at]
