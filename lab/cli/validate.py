"""`python -m lab validate RUN`: the loss of a checkpoint on its whole validation split."""

from __future__ import annotations

import torch
from rich.console import Console

from lab.cli.farewell import scoreboard
from lab.cli.lightning_cli import LabCLI
from lab.cli.origin import (
    Origin,
    pick_checkpoint,
    refuse_other_architecture,
    refuse_other_data,
    root_of,
    value_of,
    with_stored_configuration,
)
from lab.cli.parser import SettingsError
from lab.runs import open_run
from lab.training.checkpoint_io import LabCheckpointIO
from lab.training.levers import choose_levers

console = Console(highlight=False)


def validate(args: list[str]) -> int:
    """Measure the newest checkpoint of RUN, or the one at RUN@STEP, with the run's own data."""
    if args and not args[0].startswith("-"):
        args = ["--weights", *args]
    wanted = value_of("--weights", args)
    if (not wanted or wanted.startswith("-")) and not {"-h", "--help"} & set(args):
        raise SettingsError("say which run to validate: python -m lab validate RUN, or RUN@STEP")
    name, _, step = (wanted or "").partition("@")
    if wanted:
        run = open_run(name, root_of(args))
        checkpoint = pick_checkpoint(run, step or None)
        args = with_stored_configuration(run, args)
    cli = LabCLI("validate", args)
    state = LabCheckpointIO().load_checkpoint(checkpoint.path, weights_only=True)
    cli.datamodule.prepare_data()
    cli.datamodule.setup("validate")
    origin = Origin("fork", run, checkpoint)
    refuse_other_data(origin, {}, cli.datamodule)
    refuse_other_architecture(origin, cli.model.config)
    with torch.no_grad():
        cli.model.load_state_dict(state["state_dict"])
    levers = choose_levers(
        cli.config_init.validate.levers,
        precision=cli.settings.trainer.precision,
        config=cli.model.config,
        device="cpu" if cli.settings.trainer.accelerator == "cpu" else None,
    )
    levers.apply(cli.model.model)
    trainer = cli.build_trainer(
        [], logger=False, precision=levers.precision, enable_checkpointing=False, enable_model_summary=False
    )
    trainer.validate(cli.model, datamodule=cli.datamodule, verbose=False)
    console.print(f"[bold]{run.name}[/bold] at step {checkpoint.step:,}")
    console.print(scoreboard(cli.model.validated, cli.datamodule.baselines))
    return 0
