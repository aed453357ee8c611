"""`plan`, and the predictions that a fit seals and scores, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.__main__ import main
from lab.model import GPTConfig, count_parameters, flops_per_token
from lab.runs import open_run
from lab.runs.predictions import read_predictions
from tests.tiny import tiny_args

STEPS = 160
QUIET = [x for g in ("samples", "probes", "attention_maps", "activation_histograms") for x in (f"--{g}.every", "0")]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.planning.rehearsal.SECONDS", 0.0)
    monkeypatch.setattr("lab.training.bare.MOST_SECONDS", 0.0)
    monkeypatch.setattr("lab.forecasting.ladder.FEWEST_STEPS", 5)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plan")


def args(desk: Path, *more: str, steps: int = STEPS) -> list[str]:
    return [*tiny_args(desk, *QUIET, "--model.config.d_model", "64", steps=steps, name=None), *more]


def plan_json(desk: Path, capsys: pytest.CaptureFixture[str], *more: str, steps: int = STEPS) -> dict[str, Any]:
    assert main(["plan", *args(desk, *more, "--json", steps=steps)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.promise("predict")
def test_a_plan_with_a_pilot_then_the_fit_that_scores_it(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = plan_json(desk, capsys, "--pilot")
    config = GPTConfig(n_layers=2, n_heads=2, d_model=64, context_length=16, vocab_size=20)
    assert found["parameters"] == count_parameters(config)
    assert found["flops"] == STEPS * 64 * flops_per_token(config)
    assert found["epochs"] == pytest.approx(STEPS * 4 / (14_940 / 16), rel=0.02)
    assert found["rehearsal"]["steps"] >= 12
    assert found["rehearsal"]["memory_bytes"] > found["memory"]["peak"]
    cost = sum(p["steps"] * 64 * flops_per_token(GPTConfig(**p["config"])) for p in found["pilots"])
    assert 0 < cost <= 0.1 * found["flops"]
    loss = found["forecasts"]["final_val_loss"]
    assert loss["low"] < loss["value"] < loss["high"]
    assert loss["seed_noise"] > 0
    assert not list((desk / "runs").glob("*")), "a plan leaves no run behind"

    said = ["--predict.final_loss", "[0.1, 9]", "--predict.minutes", "100", "--predict.overfit", "false"]
    said += ["--predict.mental_model", "it counts"]
    assert main(["fit", *args(desk, *said, "--run.name", "one")]) == 0
    out = capsys.readouterr().out
    run = open_run("one", desk / "runs")
    sealed = read_predictions(run)
    assert sealed is not None
    truth = run.metrics().latest("val/loss")
    mine, theirs = sealed.of("person", "final_val_loss"), sealed.of("lab", "final_val_loss")
    assert mine is not None
    assert theirs is not None
    assert (mine.value, mine.outcome, mine.inside) == (pytest.approx(4.55), truth, True)
    assert (theirs.value, theirs.outcome) == (loss["value"], truth)
    assert sealed.mental_model == "it counts"
    assert sealed.sealed < run.events()[0].wall, "sealed before it started"
    for words in (
        "final validation loss: you said 4.550",
        f"it was {truth:.3f}",
        "final validation loss: the lab said",
        "overfitting: you said no",
    ):
        assert words in out
    assert "predict" not in (run.config() or {})
    for name in ("forecast/final_val_loss", "forecast/low", "forecast/high"):
        steps, _ = run.metrics().series(name)
        assert steps[0] == pytest.approx(0.2 * STEPS, abs=8)
        assert steps[-1] == STEPS

    # It goes on: what was said of its first end stays said, and was scored once.
    assert main(["fit", "--resume", "one", "--run.root", str(desk / "runs"), "--horizon.steps", str(STEPS + 8)]) == 0
    again = read_predictions(run)
    assert again is not None
    assert again.sealed == sealed.sealed
    assert again.closed
    assert again.of("person", "final_val_loss").outcome == truth != run.metrics().latest("val/loss")  # type: ignore[union-attr]
    more = ["--resume", "one", "--run.root", str(desk / "runs"), "--horizon.steps", "500", "--predict.minutes", "1"]
    assert main(["fit", *more]) == 2
    assert "sealed" in capsys.readouterr().err


def test_finished_runs_forecast_too(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = plan_json(desk, capsys, "--measure", "false", steps=40)
    assert found["rehearsal"] is None
    assert "not enough to say" in found["unsaid"]["finished runs"]


def test_minutes_choose_the_model(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = plan_json(desk, capsys, "--minutes", "0.01", "--measure", "false")
    assert found["parameters"]["total"] > 0
    assert "0.01 minutes" in found["horizon"]
