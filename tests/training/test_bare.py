"""Bare training is fit without its machinery: the same losses, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.__main__ import main
from lab.cli.lightning_cli import LabCLI
from lab.runs import open_run
from lab.training.bare import BareTraining
from lab.training.levers import choose_levers
from lab.training.pace import seconds_per_step
from tests.tiny import tiny_args

QUIET = [x for g in ("samples", "probes", "attention_maps", "activation_histograms") for x in (f"--{g}.every", "0")]
MORE = (*QUIET, "--model.config.dropout", "0.1", "--data.tokens_per_step", "128", "--model.optimizer.name", "muon")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LabCLI]:
    """A finished fit of six steps, and the same settings built once more."""
    folder = tmp_path_factory.mktemp("bare")
    assert main(["fit", *tiny_args(folder, *MORE, steps=6)]) == 0
    cli = LabCLI("fit", tiny_args(folder, *MORE, steps=6, name=None))
    cli.datamodule.prepare_data()
    cli.datamodule.setup("fit")
    return folder / "runs" / "tiny", cli


def test_its_losses_are_those_of_fit(prepared: tuple[Path, LabCLI]) -> None:
    run, cli = prepared
    levers = choose_levers(config=cli.model.config, device="cpu")
    training = BareTraining(
        cli.model.config, cli.model.optimizer_config, cli.model.schedule_config, cli.datamodule, levers, 6, 1337
    )
    metrics = open_run(run).metrics()
    assert [training.step(n) for n in range(6)] == metrics.series("train/loss")[1]
    assert training.val_loss() == pytest.approx(metrics.latest("val/loss"), rel=1e-6)
    assert training.val_loss(32) != training.val_loss()


def test_the_pace_is_a_time(prepared: tuple[Path, LabCLI], monkeypatch: pytest.MonkeyPatch) -> None:
    _, cli = prepared
    monkeypatch.setattr("lab.training.pace.MOST_SECONDS", 0.0)
    levers = choose_levers(config=cli.model.config, device="cpu")
    assert seconds_per_step(cli.model.config, cli.model.optimizer_config, cli.datamodule, levers) > 0
