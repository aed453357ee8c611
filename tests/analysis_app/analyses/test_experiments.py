"""Runs laid over each other, and the text of a batch: against the run's own files, the data and the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
import yaml

import lab
from analysis_app.analyses import batch as batches
from analysis_app.analyses.batch import Batches
from analysis_app.analyses.experiments import MAX_RUNS, overlay
from analysis_app.library.runs import Library, NotFoundError
from lab.data.dataset import LabData
from lab.loading import load_data
from lab.model import cross_entropy, flops_per_token
from lab.runs import open_run
from tests.analysis_app.conftest import STEPS, Server


def another(runs: Path, folder: Path, name: str = "other", **data: Any) -> Path:
    """A run like `tiny` under another name, with another learning rate and other settings of its data."""
    shutil.copytree(runs / "tiny", folder / name)
    path = folder / name / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["model"]["optimizer"]["lr"] = 0.5
    config["data"] |= data
    path.write_text(yaml.safe_dump(config))
    return folder / name


@pytest.fixture
def two(runs: Path, tmp_path: Path) -> Path:
    """A folder with `tiny` and `other`."""
    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    another(runs, tmp_path)
    return tmp_path


# ---------------------------------------------------------------- over each other


def test_curves_are_those_of_the_runs_on_every_axis(two: Path) -> None:
    lines = (two / "other" / "metrics.jsonl").read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["step"] <= 6]
    (two / "other" / "metrics.jsonl").write_text("\n".join(kept) + "\n")
    found = overlay(Library(two), ["tiny", "other"], "val/loss")
    model = lab.load("tiny", root=two).model
    for line in found.runs:
        history = open_run(line.name, two).metrics()
        rows = [row for row in history.rows if row.get("val/loss") is not None]
        np.testing.assert_array_equal(line.curve.step, [row["step"] for row in rows])
        np.testing.assert_array_equal(line.curve.tokens, [row["tokens"] for row in rows])
        np.testing.assert_allclose(line.curve.minutes, [row["time"] / 60 for row in rows])
        np.testing.assert_allclose(line.curve.value, [row["val/loss"] for row in rows])
        assert line.flops_per_token == flops_per_token(model.config)
        assert line.parameters == sum(p.numel() for p in model.parameters())
    rows = open_run("other", two).metrics().rows
    assert found.common_tokens == rows[-1]["tokens"]
    assert found.unit == "nats per token"
    assert {"train/loss", "val/loss", "val/bits_per_byte"} <= set(found.metrics)


def test_what_sets_runs_apart(two: Path) -> None:
    found = dict(overlay(Library(two), ["tiny", "other"]).differences)
    was = open_run("tiny", two).config()
    assert was is not None
    assert found == {"model.optimizer.lr": {"tiny": str(was["model"]["optimizer"]["lr"]), "other": "0.5"}}
    data = json.loads((two / "other" / "data.json").read_text())
    data["corpus"]["fingerprint"] = "f" * 64
    (two / "other" / "data.json").write_text(json.dumps(data))
    assert "(content of the corpus)" in dict(overlay(Library(two), ["tiny", "other"]).differences)


def test_runs_with_holes_are_shown_with_what_there_is(two: Path) -> None:
    shutil.rmtree(two / "other" / "snapshots")
    shutil.rmtree(two / "other" / "checkpoints")
    (two / "other" / "config.yaml").write_text(": : :")
    found = overlay(Library(two), ["tiny", "other"]).runs[1]
    assert (found.parameters, found.flops_per_token) == (None, None)
    assert "axis of FLOPs" in str(found.problem)
    (two / "other" / "metrics.jsonl").write_text("")
    found = overlay(Library(two), ["other"]).runs[0]
    assert "no train/loss was measured" in str(found.problem)


def test_choices_that_cannot_be(two: Path) -> None:
    library = Library(two)
    with pytest.raises(ValueError, match="0 runs: choose 1 to"):
        overlay(library, [])
    with pytest.raises(ValueError, match="could not be told apart"):
        overlay(library, [str(i) for i in range(MAX_RUNS + 1)])
    with pytest.raises(ValueError, match="no metric 'loss'"):
        overlay(library, ["tiny"], "loss")
    with pytest.raises(NotFoundError):
        overlay(library, ["tiny", "../tiny"])


# ---------------------------------------------------------------- a batch


def test_a_batch_is_what_training_saw_and_its_loss_what_training_measured(runs: Path) -> None:
    shown = Batches(Library(runs))
    run = open_run("tiny", runs)
    data = load_data(run)
    history = {row["step"]: row.get("train/loss") for row in run.metrics().rows}
    for batch in (0, 4, 8):
        found = shown.show("tiny", batch)
        tokens, targets = data.step_batch(batch)
        ids = torch.cat([tokens.flatten(0, 1), targets.flatten(0, 1)[:, -1:]], dim=1)
        assert [one.ids for one in found.sequences] == ids.tolist()
        assert found.step == batch  # there is a snapshot of just that step
        assert found.recorded_loss == history[batch]
        assert found.mean_loss == pytest.approx(history[batch], abs=2e-3)
        model, _ = lab.load("tiny", batch, root=runs)
        with torch.no_grad():
            expected = cross_entropy(model(tokens[0]), targets[0], "none")
        np.testing.assert_allclose(np.stack([one.loss for one in found.sequences]), expected, atol=1e-4)
    assert found.epoch == 1 + int(data.epochs_seen(8))
    assert shown.show("tiny", 9).step == max(step for step in found.steps if step <= 9)  # those that met it
    assert shown.show("tiny", 9, step=STEPS).step == STEPS
    assert "never learns from batch 999" in shown.show("tiny", 999).notes[0]


def test_a_large_batch_comes_in_parts(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_TOKENS", 32)
    shown = Batches(Library(runs))
    whole = load_data(open_run("tiny", runs)).step_batch(3)[0].flatten(0, 1)
    parts = [shown.show("tiny", 3, first=first) for first in (0, 2)]
    assert [one.ids[:-1] for part in parts for one in part.sequences] == whole.tolist()
    assert "2 of the batch's 4 sequences" in parts[0].notes[-1]
    with pytest.raises(NotFoundError, match="sequence 4: batch 3 has 4"):
        shown.show("tiny", 3, first=4)


def test_targets_that_do_not_count_are_not_scored(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = LabData(corpus="arithmetic", context_length=16, batch_size=2)
    monkeypatch.setattr(batches, "load_data", lambda run, download: data)
    found = Batches(Library(runs)).show("tiny", 0)
    _, targets = data.step_batch(0)
    ignored = targets.flatten(0, 1).numpy() < 0
    assert ignored.any()
    for one, row in zip(found.sequences, ignored, strict=True):
        np.testing.assert_array_equal(np.isnan(one.loss), row[: len(one.loss)])
        assert one.counts == [False, *(~row).tolist()][: len(one.ids)]
        assert one.mean_loss == pytest.approx(np.nanmean(one.loss))
    data = LabData(corpus="induction", context_length=48, batch_size=2)  # of 64 symbols; the model knows fewer
    with pytest.raises(ValueError, match="these weights do not know"):
        Batches(Library(runs)).show("tiny", 0)


def test_a_corpus_that_is_gone_is_said(runs: Path, tmp_path: Path) -> None:
    missing = tmp_path / "nothing.txt"
    another(runs, tmp_path, "moved", path=str(missing))
    library = Library(tmp_path)
    with pytest.raises(ValueError, match=r"nothing\.txt"):
        Batches(library).show("moved", 0)
    missing.write_text("another text altogether. " * 2000)
    with pytest.raises(ValueError, match="no longer the one that 'moved' learned from"):
        Batches(library).show("moved", 0)
    another(runs, tmp_path, "published", corpus="shakespeare", path=None, data_dir=str(tmp_path / "empty"))
    with pytest.raises(ValueError, match="not on this machine any more"):
        Batches(library).show("published", 0)
    (tmp_path / "published" / "config.yaml").unlink()
    with pytest.raises(ValueError, match=r"has no config\.yaml"):
        Batches(library).show("published", 0)


def test_a_run_without_weights_shows_its_text_plain(runs: Path, tmp_path: Path) -> None:
    run = another(runs, tmp_path)
    for folder in ("snapshots", "checkpoints"):
        shutil.rmtree(run / folder)
    found = Batches(Library(tmp_path)).show("other", 1)
    assert (found.step, found.mean_loss, found.sequences[0].loss) == (None, None, None)
    assert "not coloured" in found.notes[0]


def test_routes(server: Server, runs: Path) -> None:
    found = httpx.post(f"{server.url}/api/analyze/batch", json={"run": "tiny", "batch": 4}, timeout=60).json()
    expected = Batches(Library(runs)).show("tiny", 4)
    assert [one["tokens"] for one in found["sequences"]] == [one.tokens for one in expected.sequences]
    assert found["mean_loss"] == pytest.approx(expected.mean_loss, abs=1e-5)
    found = httpx.post(f"{server.url}/api/analyze/overlay", json={"runs": ["tiny"]}, timeout=60).json()
    assert found["runs"][0]["curve"]["step"] == open_run("tiny", runs).metrics().series("train/loss")[0]
    for path, body, status in (
        ("batch", {"run": "tiny", "batch": -1}, 422),
        ("batch", {"run": "tiny", "batch": 1, "first": 99}, 404),
        ("batch", {"run": "../tiny", "batch": 1}, 404),
        ("batch", {"run": "tiny", "batch": 1, "step": 999}, 404),
        ("overlay", {"runs": ["tiny"], "metric": "<img>"}, 422),
    ):
        answer = httpx.post(f"{server.url}/api/analyze/{path}", json=body)
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    assert {"/api/analyze/overlay", "/api/analyze/batch"} <= set(paths)
