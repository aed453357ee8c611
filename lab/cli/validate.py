"""`python -m lab validate RUN`: the loss of a checkpoint on its whole validation split."""

from __future__ import annotations

import torch
from rich.console import Console

from lab.cli.farewell import scoreboard
from lab.cli.lightning_cli import LabCLI
from lab.cli.origin import Origin, pick_checkpoint, refuse_other_data, value_of
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
        run = open_run(name, value_of("--run.root", args) or "runs")
        checkpoint = pick_checkpoint(run, step or None)
        if not any(a in ("--config", "-c") or a.startswith("--config=") for a in args):
            args = ["--config", str(run.config_path), *args]
    cli = LabCLI("validate", args)
    state = LabCheckpointIO().load_checkpoint(checkpoint.path, weights_only=True)
    cli.datamodule.prepare_data()
    cli.datamodule.setup("validate")
    refuse_other_data(Origin("fork", run, checkpoint), {}, cli.datamodule)
    if state["hyper_parameters"]["config"]["vocab_size"] != cli.datamodule.vocab_size:
        raise SettingsError(
            f"the data has {cli.datamodule.vocab_size} tokens, the checkpoint"
            f" {state['hyper_parameters']['config']['vocab_size']}: validate with the run's own configuration"
        )
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
