"""Ablation is that of `lab.interp`, with means of validation text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch

from analysis_app.analyses.ablation import MOST_PIECES, ablation
from analysis_app.library import Library
from lab import interp
from tests.analysis_app.conftest import validation_pieces

TEXT = "the cat sat"


def test_ablation_is_that_of_interp(library: Library, loaded, runs: Path) -> None:
    model, tokenizer = loaded
    pieces = torch.tensor(validation_pieces(runs))
    half = len(pieces) // 2
    means = interp.part_means(model, pieces[:half])
    told: list[tuple[int, int]] = []
    found = ablation(library.open("tiny"), text=TEXT, progress=lambda done, of: told.append((done, of)))
    assert told == [(i, 21) for i in range(1, 22)]
    ids = tokenizer.encode(TEXT)
    np.testing.assert_allclose(found["heads"], interp.ablate(model, ids, means).heads, atol=1e-6)
    np.testing.assert_allclose(found["zero_heads"], interp.ablate(model, ids).heads, atol=1e-6)
    assert found["mean_over"] == half * 16
    expected = interp.ablate(model, pieces[half : half + MOST_PIECES], means)
    over = found["validation"]
    assert over.pieces == min(MOST_PIECES, len(pieces) - half)
    np.testing.assert_allclose(over.heads, expected.heads, atol=1e-6)
    np.testing.assert_allclose(over.mlp_errors, expected.mlp_errors, atol=1e-6)
    assert (over.head_errors > 0).all()


def test_without_validation_text_zeros_take_the_place(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "tiny", tmp_path / "bare")
    data = json.loads((tmp_path / "bare" / "data.json").read_text())
    del data["val_slice"]
    (tmp_path / "bare" / "data.json").write_text(json.dumps(data))
    found = ablation(Library(tmp_path).open("bare"), text=TEXT)
    assert found["mean_over"] == 0
    assert found["validation"] is None
    np.testing.assert_array_equal(found["heads"], found["zero_heads"])
