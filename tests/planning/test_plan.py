"""`plan`, and the predictions that a fit seals and scores, as a person types them."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab.__main__ import main
from lab.console.plan import bar
from lab.console.predictions import interview
from lab.model import GPTConfig, count_parameters, flops_per_token
from lab.planning.memory_check import INSTRUMENT_BYTES, PROCESS_BYTES
from lab.runs import open_run
from lab.runs.predictions import read_predictions
from lab.settings.arguments import Arguments
from lab.settings.groups import PredictConfig
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
    assert sealed.sealed < run.events()[0]["wall"], "sealed before it started"
    for words in (
        "final loss: you said 4.550",
        f"it was {truth:.3f}",
        "final loss: the lab said",
        "overfit: you said no",
    ):
        assert words in out
    assert "predict" not in (run.config() or {})
    for name in ("forecast/final_val_loss", "forecast/low", "forecast/high"):
        steps, _ = run.metrics().series(name)
        assert steps[0] == pytest.approx(0.2 * STEPS, abs=8)
        assert steps[-1] == STEPS

    # It goes on: what was said stays said, and is held against the new end.
    assert main(["fit", "--resume", "one", "--run.root", str(desk / "runs"), "--horizon.steps", str(STEPS + 8)]) == 0
    again = read_predictions(run)
    assert again is not None
    assert again.sealed == sealed.sealed
    assert again.of("person", "final_val_loss").outcome == run.metrics().latest("val/loss")  # type: ignore[union-attr]
    more = ["--resume", "one", "--run.root", str(desk / "runs"), "--horizon.steps", "500", "--predict.minutes", "1"]
    assert main(["fit", *more]) == 2
    assert "sealed" in capsys.readouterr().err


def test_finished_runs_forecast_too(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = plan_json(desk, capsys, "--measure", "false", steps=40)
    assert found["rehearsal"] is None
    assert "not enough to say" in found["unsaid"]["finished runs"]


def test_on_the_terminal_in_80_columns(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    picture = desk / "schedule.svg"
    assert main(["plan", *args(desk, "--measure", "false", "--schedule", str(picture))]) == 0
    out = capsys.readouterr().out
    for word in ("Parameters", "Learning rate", "warm-up", "activations", "tokens a parameter", "not enough to say"):
        assert word in out
    command = next(line for line in out.splitlines() if "lab fit" in line)
    assert max(len(line) for line in out.splitlines() if line != command) <= 80
    assert "--schedule" not in command
    assert picture.read_text().startswith("<?xml")


def test_minutes_choose_the_model(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = plan_json(desk, capsys, "--minutes", "0.01", "--measure", "false")
    assert found["parameters"]["total"] > 0
    assert "0.01 minutes" in found["horizon"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--horizon.steps", "0"], "horizon.steps"),
        (["--minutes", "-3"], "horizon.minutes is -3"),
        (["--predict.final_loss", "[2, 1]"], "predict.final_loss"),
        (["--model.config.n_layers", "nine"], "whole number"),
        (["--pilots"], "no such setting"),
        (["--data.batch_size", "4000000", "--data.path", "long.txt"], "long.txt does not exist"),
        (["--schedule", "schedule.xyz", "--measure", "false"], "--schedule"),
    ],
)
def test_a_mistake_is_a_line(desk: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str) -> None:
    assert main(["plan", *args(desk, *more)]) == 2
    err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert words in "\n".join(err)
    assert len(err) == 1


def test_what_cannot_fit_is_told_what_does(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "lab.planning.memory_check.memory_there_is", lambda levers: PROCESS_BYTES + INSTRUMENT_BYTES + 6_000_000
    )
    assert main(["plan", *args(desk, "--data.batch_size", "64")]) == 2
    assert re.search(r"with data.batch_size \d+ and data.tokens_per_step 1024 it fits", capsys.readouterr().err)
    monkeypatch.setattr(
        "lab.planning.memory_check.memory_there_is", lambda levers: PROCESS_BYTES + INSTRUMENT_BYTES + 300_000
    )
    monkeypatch.setattr("lab.planning.memory_check.PARTS", (0.25,))
    assert main(["plan", *args(desk, "--data.batch_size", "2")]) == 2
    assert "would fit" in capsys.readouterr().err


def test_the_person_is_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter(["high", "1.8-2.0", "4", "", "150 20", "30", "by counting"])
    asked = PredictConfig(ask=True)
    interview(asked, first=True, ask=lambda _: next(answers))
    assert (asked.final_loss, asked.minutes, asked.overfit, asked.sample_quality) == ([1.8, 2.0], 4.0, None, 30.0)
    assert asked.mental_model == "by counting"
    assert capsys.readouterr().out.count("number") == 2
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(ValueError, match="no terminal"):
        interview(PredictConfig(ask=True), first=False)


def test_small_words() -> None:
    flags = {"pilot": 0, "minutes": 0, "json": 0}
    line = "--pilot --minutes 10 --json true --horizon.steps 3 --minutes=4 --y 1".split()  # noqa: SIM905
    assert Arguments.of(line).without(*flags).words() == ["--horizon.steps", "3", "--y", "1"]
    assert len(bar(1.0)) == 28
    assert bar(1e-9)
