"""Runs laid over each other: against the run's own files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest

import lab
from analysis_app.analyses.batch import batch_text
from analysis_app.analyses.experiments import MAX_RUNS, overlay
from analysis_app.library import Library, NotFoundError
from lab.model import flops_per_token
from lab.runs import open_run
from scripts.page_server import Server
from tests.analysis_app.conftest import another
from tests.patience import PATIENCE


@pytest.fixture
def two(runs: Path, tmp_path: Path) -> Path:
    """A folder with `tiny` and `other`."""
    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    another(runs, tmp_path)
    return tmp_path


def test_curves_are_those_of_the_runs_on_every_axis(two: Path) -> None:
    lines = (two / "other" / "metrics.jsonl").read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["step"] <= 6]
    (two / "other" / "metrics.jsonl").write_text("\n".join(kept) + "\n")
    found = overlay(Library(two), ["tiny", "other"], "val/loss")
    model = lab.load("tiny", root=two).model
    for line in found["runs"]:
        history = open_run(line["name"], two).metrics()
        rows = [row for row in history.rows if row.get("val/loss") is not None]
        np.testing.assert_array_equal(line["curve"].step, [row["step"] for row in rows])
        np.testing.assert_array_equal(line["curve"].tokens, [row["tokens"] for row in rows])
        np.testing.assert_allclose(line["curve"].minutes, [row["time"] / 60 for row in rows])
        np.testing.assert_allclose(line["curve"].value, [row["val/loss"] for row in rows])
        assert line["flops_per_token"] == flops_per_token(model.config)
        assert line["parameters"] == sum(p.numel() for p in model.parameters())
    rows = open_run("other", two).metrics().rows
    assert found["common_tokens"] == rows[-1]["tokens"]
    assert found["unit"] == "nats per token"
    assert {"train/loss", "val/loss", "val/bits_per_byte"} <= set(found["metrics"])


def test_what_sets_runs_apart(two: Path) -> None:
    found = dict(overlay(Library(two), ["tiny", "other"])["differences"])
    was = open_run("tiny", two).config()
    assert was is not None
    assert found == {"model.optimizer.lr": {"tiny": str(was["model"]["optimizer"]["lr"]), "other": "0.5"}}
    data = json.loads((two / "other" / "data.json").read_text())
    data["corpus"]["fingerprint"] = "f" * 64
    (two / "other" / "data.json").write_text(json.dumps(data))
    assert "(content of the corpus)" in dict(overlay(Library(two), ["tiny", "other"])["differences"])


def test_runs_with_holes_are_shown_with_what_there_is(two: Path) -> None:
    shutil.rmtree(two / "other" / "snapshots")
    shutil.rmtree(two / "other" / "checkpoints")
    (two / "other" / "config.yaml").write_text(": : :")
    found = overlay(Library(two), ["tiny", "other"])["runs"][1]
    assert (found["parameters"], found["flops_per_token"]) == (None, None)
    assert "axis of FLOPs" in str(found["problem"])
    (two / "other" / "metrics.jsonl").write_text("")
    found = overlay(Library(two), ["other"])["runs"][0]
    assert "no train/loss was measured" in str(found["problem"])


def test_choices_that_cannot_be(two: Path) -> None:
    library = Library(two)
    with pytest.raises(ValueError, match="0 runs: choose 1 to"):
        overlay(library, [])
    with pytest.raises(ValueError, match="could not be distinguished"):
        overlay(library, [str(i) for i in range(MAX_RUNS + 1)])
    with pytest.raises(ValueError, match="no metric 'loss'"):
        overlay(library, ["tiny"], "loss")
    with pytest.raises(NotFoundError):
        overlay(library, ["tiny", "../tiny"])


def test_routes(server: Server, runs: Path) -> None:
    found = httpx.post(f"{server.url}/api/analyze/batch", json={"run": "tiny", "batch": 4}, timeout=PATIENCE).json()
    expected = batch_text(Library(runs), "tiny", 4)
    assert [one["tokens"] for one in found["sequences"]] == [one["tokens"] for one in expected["sequences"]]
    assert found["mean_loss"] == pytest.approx(expected["mean_loss"], abs=1e-5)
    found = httpx.post(f"{server.url}/api/analyze/overlay", json={"runs": ["tiny"]}, timeout=PATIENCE).json()
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
