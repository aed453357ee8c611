"""The held-out share is what was asked for, for documents of any sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.data.holdout import NEAR, HoldOut, hold_out

FRACTIONS = st.floats(0.01, 0.6)


def documents(sizes: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Documents of these sizes, each with a hash of its own."""
    hashes = np.random.default_rng(seed).choice(10**9, len(sizes), replace=False)
    return hashes.astype(np.uint64), np.array(sizes, dtype=np.int64)


def held(rule: HoldOut, hashes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Held-out bytes of each document, the plain way."""
    cuts = [rule.cut_of(int(h)) for h in hashes]
    return np.array([max(0, int(size) - cut) for size, cut in zip(sizes, cuts, strict=True)])


SHAPES = {
    "a book and a note": [98_000, 2_000],
    "a large book and a small file": [4_800_000, 3_000],
    "one ten times as large": [10_000, 100_000],
    "three equal books": [500_000] * 3,
    "one document": [70_000],
    "thousands of equal ones": [1000] * 5000,
    "log-normal": [int(x) + 1 for x in np.exp(np.random.default_rng(1).normal(8, 2, 60))],
    "one giant among many": [10**9, *[5_000] * 3000],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
def test_the_share_is_what_was_asked_for(shape: str, fraction: float) -> None:
    for seed in range(40):
        hashes, sizes = documents(SHAPES[shape], seed)
        rule = hold_out(hashes, sizes, fraction)
        assert rule is not None
        share = held(rule, hashes, sizes).sum() / sizes.sum()
        assert abs(share - fraction) <= NEAR * fraction + 1 / sizes.sum()
        assert rule.trains(hashes, sizes) == sizes.sum() - held(rule, hashes, sizes).sum()


@given(sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=60), seed=st.integers(0, 99), fraction=FRACTIONS)
@settings(max_examples=300, deadline=None)
def test_it_holds_for_any_sizes(sizes: list[int], seed: int, fraction: float) -> None:
    hashes, of = documents(sizes, seed)
    rule = hold_out(hashes, of, fraction)
    total = sum(sizes)
    if rule is None:
        assert sizes == [1]
        return
    parts = held(rule, hashes, of)
    assert 0 < parts.sum() < total
    inside = [i for i, part in enumerate(parts) if 0 < part < of[i]]
    assert len(inside) <= 1
    if total > 100 and max(sizes) > 1:
        assert abs(parts.sum() - fraction * total) <= 0.2 * fraction * total + 2


@given(sizes=st.lists(st.integers(1, 10**4), min_size=1, max_size=9), copies=st.integers(2, 5), seed=st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_copies_and_longer_ones_are_cut_at_one_place(sizes: list[int], copies: int, seed: int) -> None:
    """Documents of one hash begin alike: what one of them holds out, no other may train on."""
    hashes, of = documents(sizes, seed)
    hashes, of = np.repeat(hashes, copies), np.concatenate([of + i for i in range(copies)])
    rule = hold_out(hashes, of, 0.3)
    assert rule is not None
    assert {rule.cut_of(int(h)) for h in hashes} == {rule.cut_of(int(h)) for h in set(hashes.tolist())}
    if of.sum() > 100:
        share = held(rule, hashes, of).sum() / of.sum()
        assert abs(share - 0.3) <= 0.06 + copies / of.sum()


def test_whole_documents_where_they_will_do() -> None:
    for n in (20, 50, 1000):
        hashes, sizes = documents([777] * n, 3)
        rule = hold_out(hashes, sizes, 0.1)
        assert rule is not None
        parts = held(rule, hashes, sizes)
        assert set(parts.tolist()) == {0, 777}
        assert int((parts > 0).sum()) == n // 10


def test_a_single_byte_cannot_be_divided() -> None:
    assert hold_out(*documents([1], 0), 0.1) is None
    hashes, sizes = documents([1, 1], 0)
    rule = hold_out(hashes, sizes, 0.1)
    assert rule is not None
    assert held(rule, hashes, sizes).sum() == 1
