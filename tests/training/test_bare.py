"""Bare training is fit without its machinery: the same losses, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.__main__ import main
from lab.runs import open_run
from lab.settings.arguments import Arguments
from lab.settings.parse import Settings
from lab.training.bare import BareTraining, seconds_per_step
from lab.training.levers import choose_levers
from tests.tiny import tiny_args

QUIET = [x for g in ("samples", "probes", "attention_maps", "activation_histograms") for x in (f"--{g}.every", "0")]
MORE = (*QUIET, "--model.config.dropout", "0.1", "--data.tokens_per_step", "128", "--model.optimizer.name", "muon")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    """A finished fit of six steps, and the same settings built once more."""
    folder = tmp_path_factory.mktemp("bare")
    assert main(["fit", *tiny_args(folder, *MORE, steps=6)]) == 0
    settings = Settings("fit", Arguments.of(tiny_args(folder, *MORE, steps=6, name=None))).build()
    settings.data.prepare_data()
    settings.data.setup("fit")
    return folder / "runs" / "tiny", settings


def test_its_losses_are_those_of_fit(prepared: tuple[Path, Settings]) -> None:
    run, settings = prepared
    levers = choose_levers(config=settings.module.config, device="cpu")
    training = BareTraining(
        settings.module.config,
        settings.module.optimizer_config,
        settings.module.schedule_config,
        settings.data,
        levers,
        6,
        1337,
    )
    metrics = open_run(run).metrics()
    assert [training.step(n) for n in range(6)] == metrics.series("train/loss")[1]
    assert training.val_loss() == pytest.approx(metrics.latest("val/loss"), rel=1e-6)
    assert training.val_loss(32) != training.val_loss()


def test_the_pace_is_a_time(prepared: tuple[Path, Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    _, settings = prepared
    monkeypatch.setattr("lab.training.bare.MOST_SECONDS", 0.0)
    levers = choose_levers(config=settings.module.config, device="cpu")
    assert seconds_per_step(settings.module.config, settings.module.optimizer_config, settings.data, levers) > 0
