"""The reference texts of a run, read from its bundles."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from analysis_app.analyses.reference_texts import ReferenceTexts
from lab.data.tokenizers import load_tokenizer
from lab.runs import Run, open_run


@pytest.fixture
def copied(runs: Path, tmp_path: Path) -> Run:
    """A copy of `tiny` that may be damaged."""
    return Run(Path(shutil.copytree(open_run("tiny", runs).path, tmp_path / "tiny")))


def texts_of(run: Run) -> ReferenceTexts:
    return ReferenceTexts(run, load_tokenizer(run.tokenizer_path))


def test_the_beginning_of_a_text_is_found_and_cut_exactly(copied: Run) -> None:
    texts = texts_of(copied)
    assert texts.texts
    assert texts.problems == []
    index, n = texts.find(texts.texts[0][:6]) or (-1, 0)
    assert (index, n) == (0, 6)  # a token is a character
    assert texts.find("no such text") is None
    assert texts.find("") is None
    step = max(texts.paths)
    whole, cut = texts.frame(step, 0, len(texts.ids[0])), texts.frame(step, 0, n)
    np.testing.assert_array_equal(cut.patterns, whole.patterns[..., :n, :n])
    np.testing.assert_array_equal(cut.token_loss, whole.token_loss[: n - 1])


def test_a_damaged_bundle_is_passed_over_and_named(copied: Run) -> None:
    first = copied.reference_texts()[0].path
    first.write_bytes(b"not an archive")
    texts = texts_of(copied)
    assert texts.ids
    assert len(texts.problems) == 1
    assert first.name in texts.problems[0]
    with pytest.raises(ValueError, match=first.name):
        texts.frame(min(texts.paths), 0, 4)


def test_a_run_without_bundles_has_no_texts(copied: Run) -> None:
    shutil.rmtree(copied.reference_texts_dir)
    texts = texts_of(copied)
    assert (texts.ids, texts.find("the")) == ([], None)
