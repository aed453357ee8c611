"""Patching is that of `lab.interp`; pairs of texts that cannot be patched are refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from analysis_app.analyses import patching
from analysis_app.library import Library
from lab import interp

TEXT, OTHER = "the cat sat", "the dog sat"


@pytest.mark.parametrize("site", patching.SITES)
def test_patching_is_that_of_interp(library: Library, loaded, site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patching, "LEAST_DIFFERENCE", 1e-4)  # 12 steps of training make small ones
    model, tokenizer = loaded
    clean, corrupt = tokenizer.encode("the ca"), tokenizer.encode("a do i")
    found = patching.patching(library.open("tiny"), "the ca", "a do i", site)
    answer = tokenizer.encode(found["answer"].replace("·", " "))[0]
    wrong = None if found["wrong"] is None else tokenizer.encode(found["wrong"].replace("·", " "))[0]
    expected = interp.activation_patching(model, clean, corrupt, answer, wrong, site=site)
    np.testing.assert_allclose(found["restored"], expected.restored, atol=1e-3)
    assert (found["clean"], found["corrupt"]) == pytest.approx((expected.clean, expected.corrupt), abs=1e-5)


def test_the_answer_is_what_the_texts_disagree_about() -> None:
    import torch

    different = torch.tensor([[-1.0, -2.0, -3.0], [-3.0, -2.0, -1.0]])
    assert patching._answers(different) == (0, 2)
    alike = torch.tensor([[-1.0, -2.0, -3.0], [-1.1, -2.0, -4.0]])
    assert patching._answers(alike) == (2, None)


def test_texts_that_cannot_be_patched_are_refused_in_words(library: Library) -> None:
    with pytest.raises(ValueError, match=re.escape("First: t | h | e. Second: a | t")):
        patching.patching(library.open("tiny"), "the", "at")
    with pytest.raises(ValueError, match="too little of a difference"):
        patching.patching(library.open("tiny"), TEXT, TEXT)
    with pytest.raises(ValueError, match="choose one of resid_pre"):
        patching.patching(library.open("tiny"), TEXT, OTHER, "nowhere")


def test_patching_that_would_take_all_day_is_refused(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patching, "MOST_WORK", 1e6)
    with pytest.raises(ValueError, match="shorten both texts to"):
        patching.patching(library.open("tiny"), "the cat", "the dog")
