"""The text of a batch: against the run's own files, the data and the model."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import lab
from analysis_app.analyses import batch as batches
from analysis_app.analyses.batch import batch_text
from analysis_app.library import Library, NotFoundError
from lab.data.dataset import LabData
from lab.loading import load_data
from lab.model import cross_entropy
from lab.runs import open_run
from tests.analysis_app.conftest import STEPS, another


def test_a_batch_is_what_training_saw_and_its_loss_what_training_measured(runs: Path) -> None:
    library = Library(runs)
    run = open_run("tiny", runs)
    data = load_data(run)
    history = {row["step"]: row.get("train/loss") for row in run.metrics().rows}
    for batch in (0, 4, 8):
        found = batch_text(library, "tiny", batch)
        tokens, targets = data.step_batch(batch)
        ids = torch.cat([tokens.flatten(0, 1), targets.flatten(0, 1)[:, -1:]], dim=1)
        assert [one["ids"] for one in found["sequences"]] == ids.tolist()
        assert found["step"] == batch  # there is a snapshot of just that step
        assert found["recorded_loss"] == history[batch]
        assert found["mean_loss"] == pytest.approx(history[batch], abs=2e-3)
        model, _ = lab.load("tiny", batch, root=runs)
        with torch.no_grad():
            expected = cross_entropy(model(tokens[0]), targets[0], "none")
        np.testing.assert_allclose(np.stack([one["loss"] for one in found["sequences"]]), expected, atol=1e-4)
    assert found["epoch"] == 1 + int(data.epochs_seen(8))
    met = max(step for step in found["steps"] if step <= 9)  # the last weights before the batch
    assert batch_text(library, "tiny", 9)["step"] == met
    assert batch_text(library, "tiny", 9, step=STEPS)["step"] == STEPS
    assert "never learns from batch 999" in batch_text(library, "tiny", 999)["notes"][0]


def test_a_large_batch_comes_in_parts(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_TOKENS", 32)
    library = Library(runs)
    whole = load_data(open_run("tiny", runs)).step_batch(3)[0].flatten(0, 1)
    parts = [batch_text(library, "tiny", 3, first=first) for first in (0, 2)]
    assert [one["ids"][:-1] for part in parts for one in part["sequences"]] == whole.tolist()
    assert "2 of the batch's 4 sequences" in parts[0]["notes"][-1]
    with pytest.raises(NotFoundError, match="sequence 4: batch 3 has 4"):
        batch_text(library, "tiny", 3, first=4)


def test_targets_that_do_not_count_are_not_scored(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = LabData(corpus="arithmetic", context_length=16, batch_size=2)
    monkeypatch.setattr(batches, "load_data", lambda run, step=None, *, download=True: data)
    found = batch_text(Library(runs), "tiny", 0)
    _, targets = data.step_batch(0)
    ignored = targets.flatten(0, 1).numpy() < 0
    assert ignored.any()
    for one, row in zip(found["sequences"], ignored, strict=True):
        np.testing.assert_array_equal(np.isnan(one["loss"]), row[: len(one["loss"])])
        assert one["counts"] == [False, *(~row).tolist()][: len(one["ids"])]
        assert one["mean_loss"] == pytest.approx(np.nanmean(one["loss"]))
    data = LabData(corpus="induction", context_length=48, batch_size=2)  # of 64 symbols; the model knows fewer
    with pytest.raises(ValueError, match="outside these weights' vocabulary"):
        batch_text(Library(runs), "tiny", 0)


def test_a_corpus_that_is_gone_is_said(runs: Path, tmp_path: Path) -> None:
    missing = tmp_path / "nothing.txt"
    another(runs, tmp_path, "moved", path=str(missing))
    library = Library(tmp_path)
    with pytest.raises(ValueError, match=r"nothing\.txt"):
        batch_text(library, "moved", 0)
    missing.write_text("another text altogether. " * 2000)
    with pytest.raises(ValueError, match="no longer the one that 'moved' learned from"):
        batch_text(library, "moved", 0)
    another(runs, tmp_path, "published", corpus="shakespeare", path=None, data_dir=str(tmp_path / "empty"))
    with pytest.raises(ValueError, match="not on this machine any more"):
        batch_text(library, "published", 0)
    (tmp_path / "published" / "config.yaml").unlink()
    with pytest.raises(ValueError, match=r"has no config\.yaml"):
        batch_text(library, "published", 0)


def test_a_run_without_weights_shows_its_text_plain(runs: Path, tmp_path: Path) -> None:
    run = another(runs, tmp_path)
    for folder in ("snapshots", "checkpoints"):
        shutil.rmtree(run / folder)
    found = batch_text(Library(tmp_path), "other", 1)
    assert (found["step"], found["mean_loss"], found["sequences"][0]["loss"]) == (None, None, None)
    assert "not coloured" in found["notes"][0]
