"""Dashboards, read back by readers that no one here wrote: TensorBoard's accumulator, W&B's own records."""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto import wandb_internal_pb2

from lab.__main__ import main
from lab.callbacks.loggers import close_loggers, make_loggers
from lab.runs import create_run, open_run
from tests.tiny import lab, tiny_args

EVERYTHING = {"scalars": 0, "images": 0, "histograms": 0, "tensors": 0}
BLOCK = 32768


def fit(*args: str) -> int:
    return main(["fit", *args])


def tensorboard_scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = EventAccumulator(str(run / "tensorboard"), size_guidance=EVERYTHING)
    accumulator.Reload()
    return {tag: [(e.step, e.value) for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


def wandb_records(file: Path) -> Iterator[wandb_internal_pb2.Record]:
    """The records of an offline run: a LevelDB log (7-byte header; crc, length, type; 32 KiB blocks) of protobufs."""
    data, position, parts = file.read_bytes(), 7, b""
    while position + 7 <= len(data):
        if BLOCK - position % BLOCK < 7:
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def wandb_history(run: Path) -> tuple[set[str], list[dict[str, object]], dict[str, object]]:
    """Run ids, history rows and configuration of all offline files of a run, once they are flushed."""
    ids, rows, config = set(), [], {}
    for file in sorted((run / "wandb").glob("offline-run-*/run-*.wandb")):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            records = list(wandb_records(file))
            if any(r.WhichOneof("record_type") == "exit" for r in records):
                break
            time.sleep(0.2)
        for record in records:
            kind = record.WhichOneof("record_type")
            if kind == "run":
                ids.add(record.run.run_id)
                config |= {i.key: json.loads(i.value_json) for i in record.run.config.update}
            elif kind == "config":
                config |= {i.key: json.loads(i.value_json) for i in record.config.update}
            elif kind == "history":
                rows.append({i.key or i.nested_key[0]: json.loads(i.value_json) for i in record.history.item})
    return ids, rows, config


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 12 steps seen by both dashboards, stopped after 8 of them by a longer horizon being asked for later."""
    tmp_path = tmp_path_factory.mktemp("tracked")
    both = ("--tensorboard", "true", "--wandb", "offline", "--log.dashboards_every", "1")
    assert fit(*tiny_args(tmp_path, *both, "--checkpoint.every", "4", "--checkpoint.keep", "9", steps=12)) == 0
    run = tmp_path / "runs" / "tiny"
    (run / "checkpoints" / "step-00000012.json").unlink()  # as if it had been killed between steps 8 and 12
    assert fit("--resume", "tiny", "--run.root", str(tmp_path / "runs")) == 0
    return run


def test_tensorboard_shows_the_metrics_of_metrics_jsonl_without_doubled_steps(tracked: Path) -> None:
    shown = tensorboard_scalars(tracked)
    metrics = open_run(tracked).metrics()
    for name in ("train/loss", "train/grad_norm", "train/lr", "val/loss", "val/perplexity", "val/bits_per_byte"):
        steps, values = metrics.series(name)
        assert [step for step, _ in shown[name]] == steps, name
        assert [value for _, value in shown[name]] == pytest.approx(values, rel=1e-6)
    assert dict(shown["tokens"])[4] == 4 * 64


def test_tensorboards_slow_reader_shows_no_step_twice_either(tracked: Path) -> None:
    """The one behind `--load_fast=false`, which keeps numbers, pictures and texts alike as tensors."""
    reader = plugin_event_accumulator.EventAccumulator(
        str(tracked / "tensorboard"), size_guidance={plugin_event_accumulator.TENSORS: 0}
    )
    reader.Reload()
    tags = set(reader.Tags()["tensors"]) - {"tokens"}  # told with every line, several of one step
    assert {"val/loss", "train/loss", "samples/text_summary"} < tags
    for tag in tags:
        steps = [event.step for event in reader.Tensors(tag)]
        assert steps == sorted(set(steps)), tag


def test_tensorboard_knows_the_configuration(tracked: Path) -> None:
    assert "model.optimizer.lr: 0.001" in (tracked / "tensorboard" / "hparams.yaml").read_text()


def test_wandb_gets_the_same_names_one_id_and_the_configuration(tracked: Path) -> None:
    ids, rows, config = wandb_history(tracked)
    assert len(ids) == 1
    assert ids.pop().startswith("tiny-")
    by_step: dict[int, float] = {}
    for row in rows:  # a resumed run repeats steps; the later row counts, as in metrics.jsonl
        if "train/loss" in row:
            by_step[row["trainer/global_step"]] = row["train/loss"]
    steps, values = open_run(tracked).metrics().series("train/loss")
    assert sorted(by_step) == steps
    assert [by_step[s] for s in steps] == pytest.approx(values, rel=1e-6)
    assert config["model.config.n_layers"] == 2


def test_online_without_a_key_goes_on_offline_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert fit(*tiny_args(tmp_path, "--wandb", "online", steps=2)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "no API key" in out
    assert "logging offline" in out
    assert list((tmp_path / "runs" / "tiny" / "wandb").glob("offline-run-*"))


def test_online_without_a_network_is_noticed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.callbacks.loggers import why_offline

    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://203.0.113.1:9")  # TEST-NET-3: nobody answers there
    begin = time.monotonic()
    reason = why_offline()
    assert reason is not None
    assert "no connection" in reason
    assert time.monotonic() - begin < 60  # a look of two seconds on a busy machine; the system's own takes minutes


def test_a_dashboard_that_cannot_begin_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TensorBoardLogger, "log_hyperparams", refuse)
    run = create_run(tmp_path, "full")
    found, notes = make_loggers(run, tensorboard=True, wandb="off", start_step=0, configuration={})
    assert found == []
    assert "the run goes on without it" in notes[0]


@pytest.mark.slow
def test_offline_wandb_warns_of_nothing(tmp_path: Path) -> None:
    done = lab("fit", *tiny_args(tmp_path, "--wandb", "offline", steps=2))
    assert done.returncode == 0, done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()


def test_weights_and_biases_is_reached_by_its_public_names_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning's own logger imports `wandb.sdk.lib.RunDisabled` and `wandb.wandb_run`, which W&B is about to drop."""
    import wandb.sdk.lib

    monkeypatch.delattr(wandb.sdk.lib, "RunDisabled", raising=False)
    monkeypatch.setitem(sys.modules, "wandb.wandb_run", None)
    run = create_run(tmp_path, "public")
    loggers, notes = make_loggers(run, tensorboard=False, wandb="offline", start_step=0, configuration={"a": 1})
    assert (len(loggers), notes) == (1, [])
    loggers[0].log_metrics({"train/loss": 1.5}, 3)
    close_loggers(loggers)
    _, rows, config = wandb_history(run.path)
    assert config["a"] == 1
    assert any(row.get("train/loss") == 1.5 and row.get("trainer/global_step") == 3 for row in rows)
