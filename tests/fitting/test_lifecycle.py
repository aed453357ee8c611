"""A fit from the person's side: what lies in the run directory afterwards, going on, branching off, going wrong."""

from __future__ import annotations

import json
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml

from lab.__main__ import main
from lab.runs import open_run
from lab.runs.events import Resumed, of_kind
from tests.tiny import losses, tiny_args


def fit(*args: str) -> int:
    return main(["fit", *args])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A completed run of 12 steps."""
    tmp_path = tmp_path_factory.mktemp("finished")
    assert (
        fit(*tiny_args(tmp_path, "--checkpoint.every", "4", "--checkpoint.keep", "9", "--validation.every", "6")) == 0
    )
    return tmp_path / "runs" / "tiny"


def test_a_run_directory_is_complete(finished: Path) -> None:
    for name in (
        "run.json",
        "data.json",
        "config.yaml",
        "metrics.jsonl",
        "events.jsonl",
        "tokenizer.json",
        "schedule.png",
    ):
        assert (finished / name).stat().st_size > 0, name
    status = open_run(finished).status()
    assert (status.state, status.step, status.total_steps) == ("completed", 12, 12)
    assert status.tokens == 12 * 4 * 16
    assert status.levers["precision"]["reason"]
    assert [i.step for i in open_run(finished).checkpoints()] == [4, 8, 12]
    assert [i.step for i in open_run(finished).snapshots()] == list(range(13))
    facts = json.loads((finished / "checkpoints" / "last.json").read_text())
    assert facts["losses"]["val/loss"] == pytest.approx(open_run(finished).metrics().latest("val/loss"))
    assert facts["model_config"]["vocab_size"] == json.loads((finished / "data.json").read_text())["vocab_size"]


def test_the_curve_begins_with_the_untrained_model(finished: Path) -> None:
    metrics = open_run(finished).metrics()
    vocab_size = json.loads((finished / "data.json").read_text())["vocab_size"]
    for name in ("train/loss", "val/loss"):
        steps, values = metrics.series(name)
        assert steps[0] == 0
        assert values[0] == pytest.approx(torch.log(torch.tensor(float(vocab_size))).item(), rel=0.05)
    assert metrics.series("train/loss")[0] == list(range(12))
    assert metrics.series("val/loss")[0] == [0, 6, 12]


def test_every_checkpoint_holds_data_only(finished: Path) -> None:
    for path in (finished / "checkpoints").glob("*.ckpt"):
        assert torch.load(path, weights_only=True, map_location="cpu")["global_step"] > 0


def test_the_probe_loss_beside_the_weights_is_theirs(finished: Path) -> None:
    import lab
    from lab.model.reference import reference_loss

    tokens = torch.tensor(json.loads((finished / "data.json").read_text())["probe"]["tokens"])
    for info in (*open_run(finished).snapshots()[-2:], *open_run(finished).checkpoints()[-2:]):
        model, _ = lab.load(str(finished), step=info.step)
        assert reference_loss(model, tokens) == pytest.approx(info.probe_loss, abs=1e-4)


def test_the_stored_configuration_repeats_the_run(finished: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert "name" not in config["run"]
    assert "vocab_size" not in config["model"]["config"]
    assert fit("--config", str(finished / "config.yaml"), "--run.root", str(tmp_path), "--run.name", "again") == 0
    assert losses(tmp_path / "again") == losses(finished)


def test_without_a_setting_checkpoints_fall_on_validated_steps(tmp_path: Path) -> None:
    assert fit(*tiny_args(tmp_path, "--checkpoint.keep", "99", steps=57)) == 0  # a twentieth: 2, a tenth: 5
    checkpoints = open_run(tmp_path / "runs" / "tiny").checkpoints()
    assert len(checkpoints) > 8
    assert all("val/loss" in info.losses for info in checkpoints)


def test_accumulation_changes_no_loss(tmp_path: Path) -> None:
    whole = tiny_args(tmp_path, "--data.batch_size=8", "--trainer.precision=64-true", name="whole")
    parts = tiny_args(
        tmp_path, "--data.batch_size=2", "--data.tokens_per_step=128", "--trainer.precision=64-true", name="parts"
    )
    assert fit(*whole) == fit(*parts) == 0
    a = open_run(tmp_path / "runs" / "whole").metrics().series("train/loss")[1]
    b = open_run(tmp_path / "runs" / "parts").metrics().series("train/loss")[1]
    assert a == pytest.approx(b, rel=1e-6)


def test_a_loss_that_is_not_finite_stops_before_the_update(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ruin = (
        "--model.optimizer.lr=1e30",
        "--model.optimizer.clip=null",
        "--trainer.precision=32-true",
        "--checkpoint.every=1",
    )
    assert fit(*tiny_args(tmp_path, *ruin)) == 1
    run = open_run(tmp_path / "runs" / "tiny")
    status, last = run.status(), run.checkpoints()[-1]
    assert status.state == "failed"
    assert f"lab batch RUN {last.step}" in (status.message or "")
    state = torch.load(last.path, weights_only=True)["state_dict"]
    assert all(torch.isfinite(t).all() for t in state.values())


def poison(batch: int) -> str:
    """A callback whose gradient is infinite at one batch, once a process."""
    return f"--trainer.callbacks+={{class_path: {__name__}.Poison, init_args: {{batch: {batch}}}}}"


class Poison(L.Callback):
    """Spoils a gradient before the update that makes step `batch` + 1."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def on_before_optimizer_step(self, trainer: L.Trainer, module: L.LightningModule, *_: object) -> None:
        if trainer.global_step == self.batch:
            next(module.parameters()).grad.fill_(float("nan"))  # type: ignore[union-attr]


@pytest.mark.parametrize("batch", [0, 5])
def test_what_is_not_finite_is_saved_before_it_and_gone_on_from(
    batch: int, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(*tiny_args(tmp_path, poison(batch), "--checkpoint.every=0", "--validation.every=6")) == 1
    run = open_run(tmp_path / "runs" / "tiny")
    assert [info.step for info in run.checkpoints()] == [batch]
    message = run.status().message or ""
    assert (
        f"at step {batch} (batch {batch}): stopped before the update, saved: weights and newest checkpoint" in message
    )
    assert f"--resume tiny --run.root {run.path.parent}" in capsys.readouterr().out
    again = ("--resume", "tiny", "--run.root", str(run.path.parent), "--trainer.callbacks=null")
    assert fit(*again, "--model.optimizer.lr=1e-4") == 0
    assert [event.step for event in of_kind(run.events(), Resumed)] == [batch]
    assert run.status().state == "completed"
    whole = losses(finished)
    found = losses(run.path)
    assert {step: loss for step, loss in found.items() if step <= batch} == {s: whole[s] for s in range(batch + 1)}


def test_ruined_weights_are_not_saved_over_sound_ones(tmp_path: Path) -> None:
    ruin = ("--model.optimizer.lr=1e30", "--model.optimizer.clip=null", "--trainer.precision=32-true")
    assert fit(*tiny_args(tmp_path, *ruin, "--checkpoint.every=0")) == 1
    run = open_run(tmp_path / "runs" / "tiny")
    assert run.checkpoints() == []
    assert "not saved (the weights of that step are ruined" in (run.status().message or "")


def test_a_taken_name_is_refused_and_nothing_is_touched(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()}
    args = ["--config", str(finished / "config.yaml"), "--run.root", str(finished.parent)]
    assert fit(*args, "--run.name", "tiny") == 2
    assert "exists" in capsys.readouterr().err
    assert fit(*args, "--run.name", "../elsewhere") == 2
    assert before == {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()}


@pytest.mark.parametrize("left", [b"", bytes(300), b'{"format": 1, "sta', b"[]", None])
def test_what_a_torn_run_json_held_lies_beside_the_checkpoint(
    left: bytes | None, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, name = finished.parent, f"torn-{len(left or ())}-{left is None}"
    more = ("--run.root", str(root), "--run.name", name, "--horizon.minutes=0.2")
    assert fit("--fork", "tiny@4", *more, "--checkpoint.every=5", "--trainer.max_time={microseconds: 1}") == 0
    run = open_run(root / name)
    before = run.status()
    assert before.parent == {"run": "tiny", "step": 4}
    if left is None:
        run.status_path.unlink()
    else:
        run.status_path.write_bytes(left)
    capsys.readouterr()
    again = ("--resume", run.name, "--run.root", str(root))
    assert fit(*again) == 0  # stopped at once: that the horizon is not timed anew is what is asked
    assert "run.json" in capsys.readouterr().err
    after = run.status()
    assert (after.total_steps, after.parent, after.created) == (before.total_steps, before.parent, before.created)
    assert {n: v["value"] for n, v in after.levers.items()} == {n: v["value"] for n, v in before.levers.items()}
    assert after.details["horizon"] == f"{before.total_steps:,} steps, as decided when the run began"
