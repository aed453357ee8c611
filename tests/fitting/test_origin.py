"""Going on with a run and branching off from one: what is restored, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lab.runs import open_run
from tests.fitting.test_lifecycle import finished, fit  # noqa: F401
from tests.tiny import losses, tiny_args


@pytest.mark.promise("resume")
def test_a_stopped_run_goes_on_bit_for_bit(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "tiny"
    shutil.copytree(finished, copy)
    for info in open_run(copy).checkpoints()[1:]:  # as if it had been killed after step 4
        info.path.unlink()
    assert fit("--resume", "tiny", "--run.root", str(tmp_path)) == 0
    assert losses(copy) == losses(finished)
    events = [json.loads(line)["kind"] for line in (copy / "events.jsonl").read_text().splitlines()]
    assert "resumed" in events
    assert "rewound" in events
    assert "step 4" in capsys.readouterr().out


def test_a_resume_lets_the_configuration_win_and_says_what_changed(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, tmp_path / "tiny")
    assert (
        fit("--resume", "last", "--run.root", str(tmp_path), "--horizon.steps", "16", "--model.optimizer.lr", "0.005")
        == 0
    )
    out = capsys.readouterr().out
    assert "model.optimizer.lr: 0.001 → 0.005" in out
    rates = open_run(tmp_path / "tiny").metrics().series("train/lr")[1]
    assert rates[12] > 0.0005  # the schedule of 16 steps, five times as high as the stored optimizer's


def test_a_resume_refuses_another_architecture(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, tmp_path / "tiny")
    before = (tmp_path / "tiny" / "config.yaml").read_text()
    assert (
        fit("--resume", "tiny", "--run.root", str(tmp_path), "--model.config.n_layers", "3", "--horizon.steps", "20")
        == 2
    )
    assert "n_layers was 2" in capsys.readouterr().err
    assert (tmp_path / "tiny" / "config.yaml").read_text() == before


def test_a_complete_run_says_how_to_go_on(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("--resume", "tiny", "--run.root", str(finished.parent)) == 2
    assert "--horizon.steps" in capsys.readouterr().err


def test_a_fork_starts_from_its_parents_weights_and_names_it(finished: Path, tmp_path: Path) -> None:
    root = finished.parent
    assert (
        fit("--fork", "tiny@8", "--run.root", str(root), "--run.name", "child", "--model.optimizer.lr", "0.0001") == 0
    )
    child, parent = open_run("child", root), open_run("tiny", root)
    assert child.status().parent == {"run": "tiny", "step": 8}
    ours, theirs = child.metrics().series("train/loss"), parent.metrics().series("train/loss")
    assert ours[0] == [8, 9, 10, 11]
    assert ours[1][0] == theirs[1][8]  # same weights, same batch
    assert ours[1][2] != theirs[1][10]  # another learning rate


@pytest.mark.parametrize("wanted", ["tiny@7", "nobody@8"])
def test_a_fork_of_what_is_not_there_names_what_is(
    wanted: str, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit("--fork", wanted, "--run.root", str(finished.parent)) == 2
    err = capsys.readouterr().err
    assert ("4, 8, 12" in err) or ("tiny" in err)


def test_a_stored_callback_is_found_under_its_present_name(tmp_path: Path) -> None:
    assert fit("--config", "configs/broken/no_mask.yaml", *tiny_args(tmp_path, steps=4)) == 0
    path = tmp_path / "runs" / "tiny" / "config.yaml"
    text = path.read_text()
    assert "lab.callbacks.faults." in text
    path.write_text(text.replace("lab.callbacks.faults.", "lab.callbacks.sabotage."))
    assert fit("--resume", "tiny", "--run.root", str(tmp_path / "runs"), "--horizon.steps", "6") == 0
    assert "lab.callbacks.faults." in path.read_text()
