"""`python -m lab fit`: from checked settings to a finished run directory, in the order in which things happen."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import yaml
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.memory import is_oom_error
from matplotlib.figure import Figure
from rich.console import Console
from rich.text import Text

from lab.callbacks.checkpoints import Checkpoints
from lab.callbacks.forecast import Reforecast
from lab.callbacks.instruments import INSTRUMENTS
from lab.callbacks.interrupts import Interrupts
from lab.callbacks.progress import LabProgressBar
from lab.callbacks.run_control import RunControl
from lab.callbacks.samples import Samples
from lab.callbacks.throughput import total_memory
from lab.callbacks.tracking import close_loggers, make_loggers
from lab.cli.farewell import say_farewell
from lab.cli.introduction import data_line, epochs_clause, introduction, model_line, root_flag
from lab.cli.lightning_cli import LabCLI
from lab.cli.origin import Origin, differences, find_origin, refuse_other_architecture, refuse_other_data
from lab.cli.parser import SettingsError
from lab.cli.predict import seal_predictions
from lab.figures.schedule import draw_schedule
from lab.model import GPTConfig, count_parameters
from lab.planning.law import Forecast
from lab.runs import Run, create_run
from lab.runs.atomic import WriteError, write_whole
from lab.runs.compare import flatten
from lab.runs.records import write_json
from lab.runs.status import ACTIVE_STATES
from lab.training.checkpoint_io import LabCheckpointIO
from lab.training.horizon import resolve_steps
from lab.training.levers import Levers, choose_levers
from lab.training.logbook import Logbook
from lab.training.module import NonFiniteLoss
from lab.training.pace import seconds_per_step
from lab.training.schedules import lr_factor
from lab.training.trainer import LabTrainer

console = Console(highlight=False)


@dataclass
class Plan:
    """What is decided once, before the first step."""

    steps: int
    horizon: str
    levers: Levers
    changed: dict[str, tuple[Any, Any]]
    said: Forecast | None = None
    """What the lab says of its final validation loss."""


def fit(args: list[str]) -> int:
    """Pretrain; returns the exit code (0 completed, or stopped as asked, 130/143 interrupted, 1 not finite)."""
    with Interrupts() as interrupts:
        return fit_interruptibly(args, interrupts)


def fit_interruptibly(args: list[str], interrupts: Interrupts) -> int:
    """`fit`, inside the handlers of Ctrl-C and SIGTERM."""
    origin, args = find_origin(args)
    cli = LabCLI("fit", args)
    if cli.settings.check:
        # The vocabulary is known only once there is data; the size is that of everything else.
        config = GPTConfig(**{**vars(cli.settings.model.config), "vocab_size": 2})
        console.print(f"settings are fine: {model_line(config)}, plus its vocabulary")
        return 0
    plan = decide(cli, origin)
    run = origin.run if origin.kind == "resume" else create_run(cli.settings.run.root, cli.settings.run.name)
    assert run is not None
    logbook = Logbook(
        run,
        plan.steps,
        cli.datamodule.tokens_per_step,
        levers=plan.levers.as_dict(),
        details={
            "horizon": plan.horizon,
            "parameters": count_parameters(cli.model.config)["total"],
            "tokens_per_step": cli.datamodule.tokens_per_step,
            "memory_bytes": total_memory(plan.levers.device),
            "defaults": cli.chosen(),
        },
        **({"parent": {"run": origin.run.name, "step": origin.step}} if origin.kind == "fork" and origin.run else {}),
    )
    try:
        facts = cli.datamodule.facts()
        write_beginnings(cli, run, plan, facts)
        plan.said = seal_predictions(cli, run, plan.steps, facts)
        introduce(cli, run, plan, origin, facts)
        return train(cli, run, plan, origin, logbook, interrupts)
    except SystemExit:
        if logbook.status.state in ACTIVE_STATES:
            step = logbook.run.status().step or origin.step
            logbook.end("stopped", step, f"interrupted at step {step}")
        raise
    except Exception as error:  # before the first step: a dashboard, a picture, a full disk
        if logbook.status.state in ACTIVE_STATES:
            logbook.end("failed", origin.step, f"{type(error).__name__}: {error}")
        raise
    finally:
        logbook.close()


def decide(cli: LabCLI, origin: Origin) -> Plan:
    """Data prepared, levers chosen, horizon turned into steps, differences to the stored configuration found."""
    settings, data, module = cli.settings, cli.datamodule, cli.model
    changed: dict[str, tuple[Any, Any]] = {}
    if origin.run is not None:
        with suppress(ValueError):  # damaged, and another was given: it is written anew
            changed = differences(origin.run.config() or {}, yaml.safe_load(cli.config_text))
    data.prepare_data()
    data.setup("fit")
    refuse_other_data(origin, changed, data)
    refuse_other_architecture(origin, module.config)
    stored = origin.run.status() if origin.run else None
    levers = choose_levers(
        cli.instrument("levers"),
        precision=settings.trainer.precision,
        config=module.config,
        device="cpu" if settings.trainer.accelerator == "cpu" else None,
        fused=module.optimizer_config.fused,
        recorded=stored.levers if stored else None,
    )
    levers.apply(module.model)
    recorded = stored.total_steps if stored else None
    if recorded and not any(k.startswith(("horizon.", "data.tokens_per_step", "data.batch_size")) for k in changed):
        steps, sentence = recorded, f"{recorded:,} steps, as decided when the run began"
    else:
        pace = (
            seconds_per_step(module.config, module.optimizer_config, data, levers) if settings.horizon.minutes else None
        )
        steps, sentence = resolve_steps(
            cli.instrument("horizon"), data.tokens_per_step, count_parameters(module.config)["total"], pace
        )
    if problems := module.schedule_config.problems(steps):
        raise SettingsError("\n".join(problems))
    if origin.step >= steps:
        raise SettingsError(
            f"run {origin.run.name if origin.run else ''!r} has done {origin.step:,} of {steps:,} steps already:"
            f" give a longer horizon, for example --horizon.steps {2 * origin.step}"
        )
    return Plan(steps, sentence, levers, changed)


def write_beginnings(cli: LabCLI, run: Run, plan: Plan, facts: dict[str, Any]) -> None:
    """What is known before the first step: configuration, data, vocabulary, and the schedule as a picture."""
    data = cli.datamodule
    write_whole(run.config_path, cli.config_text)
    write_json(run.data_path, facts)
    write_whole(run.tokenizer_path, data.tokenizer.to_json())
    schedule_figure(cli, plan.steps).savefig(run.path / "schedule.png", dpi=120)


def schedule_figure(cli: LabCLI, total_steps: int) -> Figure:
    """The learning rate over a run of so many steps."""
    module = cli.model
    every = max(1, total_steps // 500)
    steps = sorted({*range(0, total_steps, every), total_steps - 1})
    factors = [lr_factor(s, total_steps, module.schedule_config) for s in steps]
    return draw_schedule(
        steps,
        {name: [lr * f for f in factors] for name, lr in module.optimizer_config.learning_rates().items()},
        phases=module.schedule_config.phases(total_steps),
        tokens_per_step=cli.datamodule.tokens_per_step,
    )


def train(cli: LabCLI, run: Run, plan: Plan, origin: Origin, logbook: Logbook, interrupts: Interrupts) -> int:
    """The fit itself, and how it ended."""
    loggers, notes = make_loggers(
        run,
        tensorboard=cli.settings.tensorboard,
        wandb=cli.settings.wandb,
        start_step=origin.step,
        configuration=flatten(yaml.safe_load(cli.config_text)),
    )
    for note in notes:
        console.print(note, style="yellow")
    trainer = make_trainer(cli, run, plan, origin, loggers, interrupts)
    trainer.logbook = logbook
    logbook.event(
        "resumed" if origin.kind == "resume" else "started",
        origin.step,
        changed={k: {"from": a, "to": b} for k, (a, b) in plan.changed.items()},
    )
    checkpoint = str(origin.checkpoint.path) if origin.checkpoint else None
    try:
        trainer.fit(cli.model, datamodule=cli.datamodule, ckpt_path=checkpoint, weights_only=True)
    except NonFiniteLoss as error:
        logbook.end("failed", trainer.global_step, str(error))
        console.print(Text(str(error), style="red"))
        return 1
    except WriteError as error:
        logbook.end("failed", trainer.global_step, str(error))
        raise
    except Exception as error:
        logbook.end("failed", trainer.global_step, f"{type(error).__name__}: {error}")
        if is_oom_error(error):
            raise SettingsError(out_of_memory(cli)) from None
        # Not a mistake in the settings, whatever its type: it keeps its traceback.
        raise RuntimeError(f"training failed at step {trainer.global_step}") from error
    finally:
        close_loggers(loggers)
    if interrupts.why is not None and trainer.global_step < plan.steps:
        logbook.end("stopped", trainer.global_step, f"{interrupts.why} at step {trainer.global_step}")
        again = f"python -m lab fit --resume {run.name}{root_flag(cli.settings)}"
        console.print(f"stopped at step {trainer.global_step:,}, saved. Go on: {again}", soft_wrap=True)
        return 0 if interrupts.signal is None else 128 + interrupts.signal
    logbook.end("completed" if trainer.global_step >= plan.steps else "stopped", trainer.global_step)
    say_farewell(console, cli.model, cli.datamodule, run)
    return 0


def out_of_memory(cli: LabCLI) -> str:
    """What to do when a step does not fit: its micro-batches can be made smaller without changing what it learns."""
    data = cli.datamodule
    return (
        f"out of memory with data.batch_size {data.batch_size}: give --data.tokens_per_step {data.tokens_per_step} and"
        f" a smaller data.batch_size, such as {max(1, data.batch_size // 2)} (the results stay the same), or a smaller"
        " model or context"
    )


def make_trainer(
    cli: LabCLI, run: Run, plan: Plan, origin: Origin, loggers: list[Logger], interrupts: Interrupts
) -> LabTrainer:
    """The trainer with its callbacks, in the order in which they act on a step: what measures before what saves."""
    checkpoints, samples = cli.instrument("checkpoint"), cli.instrument("samples")
    assert isinstance(checkpoints, Checkpoints)
    assert isinstance(samples, Samples)
    callbacks = [
        cli.instrument("log"),
        *(cli.instrument(instrument.group) for instrument in INSTRUMENTS),
        cli.instrument("validation"),
        Reforecast(plan.said),
        cli.instrument("snapshots"),
        interrupts,
        checkpoints,
        LabProgressBar(),
        RunControl(interrupts, checkpoints, samples, keep_rate=origin.kind != "fork"),
    ]
    return cli.build_trainer(
        callbacks,
        logger=loggers,
        plugins=[LabCheckpointIO(background=True)],
        precision=plan.levers.precision,
        max_steps=plan.steps,
        max_epochs=-1,
        val_check_interval=2**40,  # never by Lightning's count of batches: the Validation callback decides
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=run.path,
    )


def introduce(cli: LabCLI, run: Run, plan: Plan, origin: Origin, facts: dict[str, Any]) -> None:
    """Say what is about to happen."""
    rows = {
        "model": model_line(cli.model.config),
        "data": data_line(facts),
        "horizon": plan.horizon + epochs_clause(cli.datamodule.epochs_seen(plan.steps)),
        "levers": "\n".join(plan.levers.lines()),
    }
    if origin.run and origin.checkpoint:
        verb = "go on with" if origin.kind == "resume" else "start from"
        rows["origin"] = (
            f"{verb} {origin.run.name} at step {origin.step:,}: weights, optimizer state, data position and clock"
            " restored; random state follows from seed and step"
        )
    if plan.changed:
        rows["changed"] = "\n".join(f"{k}: {a} → {b}" for k, (a, b) in plan.changed.items())
    if notes := cli.model.optimizer_config.unused() + cli.model.schedule_config.unused():
        rows["note"] = "\n".join(notes)
    console.print(introduction(run, rows))
