"""Runs and models by name: what is found, what is kept in memory, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lab
from analysis_app.analyses.predictions import predictions
from analysis_app.library import Library, NotFoundError

TEXT = "the cat sat"


@pytest.mark.parametrize("name", ["../tiny", "/etc", "..", "tiny/checkpoints", ".", "", "a/../tiny", "<img src=x>"])
def test_names_that_walk_are_not_found(library: Library, name: str) -> None:
    with pytest.raises(NotFoundError):
        library.open(name)


def test_a_model_that_was_given_up_comes_back(runs: Path) -> None:
    small = Library(runs, budget_bytes=1)
    first, last = small.steps("tiny")[0], small.steps("tiny")[-1]
    before = predictions(small.open("tiny", first), TEXT)
    kept = small.open("tiny", first)
    predictions(small.open("tiny", last), TEXT)
    assert small.open("tiny", first) is not kept
    np.testing.assert_array_equal(predictions(small.open("tiny", first), TEXT)["loss"], before["loss"])


def test_weights_that_many_want_at_once_are_read_once(runs: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    library = Library(runs)
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda step: library.open("tiny", step), [0, 4] * 8))
    assert len({id(one) for one in opened}) == 2


def test_a_published_folder_opens_like_a_run(runs: Path, tmp_path: Path, loaded) -> None:
    from lab.exporting import save_gpt2

    model, tokenizer = lab.load("tiny", root=runs)
    save_gpt2(model, tmp_path / "published")
    (tmp_path / "published" / "tokenizer.json").write_text(tokenizer.to_json())
    library = Library(tmp_path)
    assert [run.name for run in library.runs()] == ["published"]
    expected = predictions(Library(runs).open("tiny"), text=TEXT)["loss"]
    np.testing.assert_allclose(predictions(library.open("published"), text=TEXT)["loss"], expected, atol=1e-4)
