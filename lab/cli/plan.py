"""`python -m lab plan`: what a run will cost and where it will end, said before it starts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml
from rich.console import Console

from lab.callbacks.snapshots import PER_RUN, Snapshots
from lab.cli.fit import Plan, decide, schedule_figure
from lab.cli.lightning_cli import HORIZONS, LabCLI
from lab.cli.origin import Origin, value_of
from lab.cli.parser import SettingsError
from lab.cli.pilot import pilots
from lab.cli.plan_page import print_plan, without
from lab.cli.predict import earlier_runs
from lab.cli.rehearsal import Rehearsal, rehearse
from lab.cli.room import FRAGMENTED, memory_there_is, process_peak, step_of
from lab.model import GPTConfig
from lab.planning.finished import Finished
from lab.planning.inverse import Choice, largest
from lab.planning.ladder import Rung, ladder, size
from lab.planning.law import Floor, Forecast, NotEnough, Trained, forecast_loss
from lab.planning.memory import FRAGMENTED_SPREAD
from lab.planning.sizes import Sizes, sizes
from lab.planning.store import keep_plan, plan_path
from lab.training.levers import choose_levers
from lab.training.pace import seconds_per_step
from lab.training.schedules import lr_factor

console = Console(highlight=False)
MINUTES_SPREAD = 0.06
"""Relative standard deviation of measured minutes: a machine's other users, its clock, its temperature."""


@dataclass
class Planned:
    """Everything a plan says; None and empty: not asked for, or not known."""

    cli: LabCLI
    plan: Plan
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
            "horizon": self.plan.horizon,
            "levers": self.plan.levers.as_dict(),
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


def plan(args: list[str]) -> int:
    """Say it; returns the exit code."""
    minutes = value_of("--minutes", args)
    if minutes is not None:
        args = [*without(args, *(f"horizon.{unit}" for unit in HORIZONS)), "--horizon.minutes", minutes]
    quiet = any(arg == "--json" or arg.startswith("--json=") for arg in args)
    cli = LabCLI("plan", args)
    choice = None
    if minutes is not None:
        choice = choose(cli, progress(quiet))
        cli = LabCLI("plan", [*args, *shape_flags(choice.config)])
    planned = make(cli, choice, progress(quiet))
    path = plan_path(yaml.safe_load(cli.config_text), cli.settings.data.cache_dir)
    keep_plan(path, planned.forecasts)
    if cli.settings.schedule:
        save_schedule(planned, Path(cli.settings.schedule))
    if cli.settings.json:
        sys.stdout.write(orjson.dumps(planned.as_dict(), default=str, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        print_plan(console, planned, args)
    return 0


def progress(quiet: bool) -> Callable[[str], None]:
    """What says on stderr what is being measured: those minutes are long without a word."""
    errors = Console(stderr=True, highlight=False, quiet=quiet)
    return lambda line: errors.print(line, style="dim")


def make(cli: LabCLI, choice: Choice | None, say: Callable[[str], None]) -> Planned:
    """The plan, part by part."""
    settings, module, data = cli.settings, cli.model, cli.datamodule
    decided = decide(cli, Origin("new"))
    step = step_of(data, decided.levers, module.optimizer_config.name)
    per_epoch = data.sequences.per_epoch
    planned = Planned(
        cli,
        decided,
        sizes(
            module.config,
            step,
            steps=decided.steps,
            tokens_per_epoch=None if per_epoch is None else per_epoch * data.context_length,
            checkpoints=min(settings.checkpoint.keep + 1, 99),
            snapshots=snapshots_taken(cli, decided.steps),
        ),
        earlier_runs(settings, cli.config_text, data, data.facts()),
        Floor.of(data.baselines),
        choice,
    )
    if settings.measure:
        say("a few real steps, thrown away …")
        measure(planned, step)
    else:
        planned.memory_predicted = process_peak(module.config, step, decided.levers)
    if settings.pilot:
        climb(planned, say)
    forecast(planned)
    return planned


def snapshots_taken(cli: LabCLI, steps: int) -> int:
    """Snapshots of a whole run."""
    every = cli.settings.snapshots.every
    callback = Snapshots(max(1, steps // PER_RUN) if every is None else every)
    return sum(callback.due(n, steps) for n in range(steps + 1))


def measure(planned: Planned, step: Any) -> None:
    """Minutes and memory from a rehearsal, beside what was predicted of memory without it."""
    cli, decided = planned.cli, planned.plan
    planned.rehearsal = seen = rehearse(cli, decided)
    weights = planned.sizes.memory.weights
    on_gpu = not decided.levers.device.startswith("cpu")
    before = 0 if on_gpu else seen.memory_before - weights
    planned.memory_predicted = process_peak(cli.model.config, step, decided.levers, before)
    peak = max(seen.memory_bytes, planned.memory_predicted) if not on_gpu else seen.memory_bytes
    planned.forecasts["minutes"] = Forecast.around(
        seen.run_seconds(decided.steps) / 60, MINUTES_SPREAD, f"{seen.steps} real steps, and what looks at them"
    )
    half = FRAGMENTED_SPREAD * peak
    planned.forecasts["peak_memory_bytes"] = Forecast(
        float(peak), peak - half, peak + half, f"counted on fake tensors, times {FRAGMENTED} for fragmented memory"
    )


def climb(planned: Planned, say: Callable[[str], None]) -> None:
    """Train the ladder."""
    cli, decided = planned.cli, planned.plan
    planned.rungs = ladder(cli.model.config, decided.steps)
    if not planned.rungs:
        planned.unsaid["ladder"] = (
            f"not enough to say: a ladder within a tenth of {decided.steps:,} steps would have runs too short to tell"
            " anything of the end; plan a longer run, or see how finished runs end"
        )
        return
    run_one = pilots(
        cli.model.config,
        cli.model.optimizer_config,
        cli.model.schedule_config,
        cli.datamodule,
        decided.levers,
        decided.steps,
        cli.settings.seed_everything,
    )
    for i, rung in enumerate(planned.rungs, 1):
        trained = run_one(rung)
        planned.pilots.append(trained)
        say(
            f"pilot {i} of {len(planned.rungs)}: {rung.config.d_model} wide, {rung.steps:,} steps:"
            f" {trained.loss:.3f} nats in {trained.seconds:.0f} s"
        )


def forecast(planned: Planned) -> None:
    """The final validation loss: from the ladder where there is one, else from finished runs."""
    config, tokens = planned.cli.model.config, planned.sizes.tokens or 0
    sources = {"ladder": planned.pilots, "finished runs": planned.finished.runs}
    for source, runs in sources.items():
        if source == "ladder" and not runs:
            continue
        name = f"the {source}" if source == "ladder" else source
        try:
            found = forecast_loss(runs, size(config), tokens, name, planned.floor)
        except NotEnough as why:
            planned.unsaid[source] = str(why)
            continue
        planned.forecasts.setdefault("final_val_loss", found)
        if source == "finished runs":
            planned.forecasts["final_val_loss_from_runs"] = found


def choose(cli: LabCLI, say: Callable[[str], None]) -> Choice:
    """The largest sensible network for `--minutes`, by what a few widths do here."""
    data, module = cli.datamodule, cli.model
    data.prepare_data()
    data.setup("fit")

    def levers_of(config: GPTConfig) -> Any:
        device = "cpu" if cli.settings.trainer.accelerator == "cpu" else None
        return choose_levers(
            cli.instrument("levers"), precision=cli.settings.trainer.precision, config=config, device=device
        )

    def speed(config: GPTConfig) -> float:
        levers = levers_of(config)
        seconds = seconds_per_step(config, module.optimizer_config, data, levers)
        say(f"{config.n_layers} layers, {config.d_model} wide: {data.tokens_per_step / seconds:,.0f} tokens/s")
        return data.tokens_per_step / seconds

    def fits(config: GPTConfig) -> bool:
        levers = levers_of(config)
        step = step_of(data, levers, module.optimizer_config.name)
        return process_peak(config, step, levers) <= memory_there_is(levers)

    per_epoch = data.sequences.per_epoch
    try:
        return largest(
            module.config,
            60 * cli.settings.minutes,
            speed,
            fits,
            None if per_epoch is None else per_epoch * data.context_length,
        )
    except ValueError as error:
        raise SettingsError(f"--minutes: {error}") from None


def shape_flags(config: GPTConfig) -> list[str]:
    """The flags that give a fit this shape."""
    shape = {"n_layers": config.n_layers, "n_heads": config.n_heads, "d_model": config.d_model, "d_mlp": "null"}
    shape |= {"n_kv_heads": config.n_kv_heads} if config.n_kv_heads is not None else {}
    return [word for name, value in shape.items() for word in (f"--model.config.{name}", str(value))]


def save_schedule(planned: Planned, path: Path) -> None:
    """The learning rate over the run as a picture. Raises `SettingsError` for a place or a format that won't do."""
    try:
        schedule_figure(planned.cli, planned.plan.steps).savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise SettingsError(f"--schedule {path}: {error}") from None


def schedule_values(planned: Planned, points: int) -> list[float]:
    """The learning rate's factor at so many steps, evenly over the run."""
    steps = planned.plan.steps
    at = [round(i * (steps - 1) / max(1, points - 1)) for i in range(points)]
    return [lr_factor(step, steps, planned.cli.model.schedule_config) for step in at]
