"""Randomness without state: even, and unrelated between neighbours."""

from __future__ import annotations

import numpy as np

from lab.data.synthetic_base import below, random_bits, uniform


def test_every_bit_is_as_often_set() -> None:
    bits = random_bits("x", 0, "train", range(1000), 100)
    for k in range(64):
        assert abs(((bits >> np.uint64(k)) & np.uint64(1)).mean() - 0.5) < 0.01


def test_numbers_are_spread_evenly() -> None:
    u = uniform("x", 1, "val", range(1000), 100)
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.histogram(u, bins=100, range=(0, 1))[0]
    chi_square = ((counts - 1000) ** 2 / 1000).sum()
    assert 50 < chi_square < 160  # 99 degrees of freedom: mean 99, deviation 14


def test_neighbours_are_unrelated() -> None:
    u = uniform("x", 2, "train", range(1000), 100) - 0.5
    pairs = [(u[:, :-1], u[:, 1:]), (u[:-1], u[1:]), (u, uniform("x", 3, "train", range(1000), 100) - 0.5)]
    pairs.append((u, uniform("x", 2, "val", range(1000), 100) - 0.5))
    for a, b in pairs:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.015


def test_a_row_hangs_on_its_number_alone() -> None:
    whole = random_bits("x", 0, "train", range(50), 20)
    assert np.array_equal(random_bits("x", 0, "train", [7, 3], 20), whole[[7, 3]])
    assert np.array_equal(random_bits("x", 0, "train", [7], 10)[0], whole[7, :10])
    assert len(np.unique(whole)) == whole.size


def test_below_reaches_every_number() -> None:
    drawn = below(random_bits("x", 0, "train", range(100), 100), 7)
    assert np.bincount(drawn.ravel(), minlength=7).min() > 1300
    assert drawn.max() == 6
