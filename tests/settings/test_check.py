"""All groups of settings against each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.settings.arguments import Arguments
from lab.settings.parse import Settings
from tests.settings.test_parse import fit_errors
from tests.tiny import lab, tiny_args


def test_values_that_cannot_go_together_are_reported_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = fit_errors(
        capsys,
        *tiny_args(tmp_path),
        "--model.config.d_model=33",
        "--model.optimizer.lr=-1",
        "--data.context_length=64",
        "--data.val_fraction=3",
    )
    text = "\n".join(lines)
    for word in ("d_model", "lr", "context_length", "val_fraction"):
        assert word in text
    assert not (tmp_path / "runs").exists(), "a refused fit left a run directory behind"


@pytest.mark.parametrize(
    "name",
    [
        "EMAWeightAveraging",
        "lightning.pytorch.callbacks.WeightAveraging",
        "StochasticWeightAveraging",
        "tests.callbacks.swapping.OwnAverage",
    ],
)
def test_averaged_weights_in_the_place_of_those_trained_are_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--trainer.callbacks.swa_lrs", "0.1"] if name.startswith("Stochastic") else []
    (line,) = fit_errors(capsys, *tiny_args(tmp_path), "--trainer.callbacks", name, *more)
    assert f"trainer.callbacks has {name.rpartition('.')[2]}: it validates and saves averaged weights" in line
    assert not (tmp_path / "runs").exists()


def test_the_check_opens_the_tokenizer_and_the_token_files(tmp_path: Path) -> None:
    (tmp_path / "tok.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tok\.json is no tokenizer that opens here"):
        Settings("fit", Arguments.of([*tiny_args(tmp_path), "--data.tokenizer", str(tmp_path / "tok.json")]))
    (tmp_path / "ids.bin").write_text("this is a text and no ids " * 100)
    asked = {"data.corpus": "tokens", "data.path": str(tmp_path / "ids.bin"), "data.tokenizer": "gpt2"}
    words = [word for name, value in asked.items() for word in (f"--{name}", value)]
    with pytest.raises(ValueError, match=r"ids\.bin is text"):
        Settings("fit", Arguments.of([*tiny_args(tmp_path), *words]))


@pytest.mark.parametrize(
    "horizon",
    [
        ("horizon.steps", "10"),
        ("horizon.tokens", "640"),
        ("horizon.tokens_per_parameter", "0.02"),
        ("horizon.minutes", "0.02"),
        ("horizon.steps", "200"),
    ],
    ids=" ".join,
)
def test_the_check_refuses_a_horizon_where_the_fit_does(horizon: tuple[str, str], tmp_path: Path) -> None:
    name, value = horizon
    args = tiny_args(tmp_path, "--model.schedule.warmup_steps", "20", "--data.tokenizer", "bytes")
    at = args.index("--horizon.steps")
    args[at : at + 2] = [f"--{name}", value]
    checked = lab("fit", *args, "--check")
    assert not (tmp_path / "runs" / "tiny").exists()
    done = lab("fit", *args)
    assert (checked.returncode, done.returncode) in ((0, 0), (2, 2))
    assert ("warmup_steps is 20" in checked.stderr) == ("warmup_steps is 20" in done.stderr) == (done.returncode == 2)


def test_the_check_refuses_a_horizon_that_the_run_has_reached(tmp_path: Path) -> None:
    assert lab("fit", *tiny_args(tmp_path, steps=4)).returncode == 0
    again = ("fit", "--resume", str(tmp_path / "runs" / "tiny"), "--horizon.steps", "3")
    found = [lab(*again, *more) for more in (["--check"], [])]
    assert [one.returncode for one in found] == [2, 2]
    assert "has done 4 of 3 steps already" in found[0].stderr
    assert found[0].stderr == found[1].stderr
