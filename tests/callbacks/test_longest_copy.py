"""The longest copied run, against looking for every stretch with `bytes.find`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.callbacks import longest_copy
from lab.callbacks.longest_copy import longest_copies


def slow(sample: list[int], text: np.ndarray) -> int:
    """Every stretch of the sample, longest first, looked for in the text's bytes (one byte a token)."""
    haystack = text.astype(np.uint8).tobytes()
    for n in range(len(sample), 0, -1):
        if any(bytes(sample[i : i + n]) in haystack for i in range(len(sample) - n + 1)):
            return n
    return 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_it_finds_what_find_finds(data: st.DataObject) -> None:
    symbols = data.draw(st.sampled_from([2, 5, 60]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    text = rng.integers(0, symbols, data.draw(st.integers(0, 400))).astype(np.uint16)
    samples = [rng.integers(0, symbols + 1, rng.integers(0, 40)).tolist() for _ in range(3)]
    if len(text) > 30:
        samples.append([*samples[0], *text[7:29].tolist(), *samples[1]])
    for sample, copy in zip(samples, longest_copies(samples, text), strict=True):
        assert copy.length == slow(sample, text)
        run = sample[copy.start : copy.start + copy.length]
        assert text[copy.place : copy.place + copy.length].tolist() == run


def test_a_copy_across_the_chunks_of_the_scan_is_found_whole() -> None:
    text = np.random.default_rng(0).integers(0, 50_000, 3000).astype(np.uint32)
    chunk = longest_copy._CHUNK
    longest_copy._CHUNK = 100
    try:
        sample = text[180:420].tolist()
        (copy,) = longest_copies([sample], text)
    finally:
        longest_copy._CHUNK = chunk
    assert (copy.length, copy.place) == (240, 180)


def test_only_the_first_tokens_of_a_long_text_are_searched() -> None:
    text = np.arange(1000, dtype=np.uint16)
    before = longest_copy.SEARCHED_TOKENS
    longest_copy.SEARCHED_TOKENS = 500
    try:
        near, far, across = longest_copies([[100, 101, 102], [700, 701, 702], list(range(490, 510))], text)
    finally:
        longest_copy.SEARCHED_TOKENS = before
    assert (near.length, far.length, across.length) == (3, 0, 10)
    assert near.searched == 500


def test_a_text_full_of_blanks_is_no_harder(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    lines = [np.concatenate([np.full(40, 32), rng.integers(97, 123, 10)]) for _ in range(400)]
    text = np.concatenate(lines).astype(np.uint8)
    sample = np.concatenate([*rng.permutation(lines)[:8], np.full(60, 32)]).tolist()
    pairs, agree = [], longest_copy._Stretches._agree

    def counted(
        self: longest_copy._Stretches, text: np.ndarray, place: np.ndarray, at: np.ndarray, stop: int
    ) -> np.ndarray:
        pairs.append(len(place))
        return agree(self, text, place, at, stop)

    monkeypatch.setattr(longest_copy._Stretches, "_agree", counted)
    (copy,) = longest_copies([sample], text)
    assert copy.length == slow(sample, text)
    of_blanks = (400 * 33) * (8 * 33 + 93)  # stretches of 8 blanks in the text, in the sample
    assert max(pairs) < of_blanks / 10
