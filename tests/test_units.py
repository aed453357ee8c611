"""Counts, bytes and seconds as people read them."""

from __future__ import annotations

import math

import pytest

from lab import units


def test_counts_keep_five_digits_then_three_and_a_letter() -> None:
    counts = [units.count(x) for x in (0, 99_999, 100_000, 123_456, 8_192_000, 3e9, 2e12, None, math.nan)]
    assert counts == ["0", "99,999", "100k", "123k", "8.19M", "3B", "2T", "n/a", "n/a"]


def test_bytes_and_seconds_in_their_largest_unit() -> None:
    assert [units.byte_count(x) for x in (0, 999, 1500, 2.5e6, 3e12, None)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "2.5 MB",
        "3 TB",
        "n/a",
    ]
    assert [units.duration(x) for x in (4.2, 90, 7200, 200_000, math.inf)] == [
        "4.2 s",
        "1.5 min",
        "2 h",
        "2.31 d",
        "n/a",
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7, "7"),
        (768, "768"),
        (1500, "1.5k"),
        (123_456, "123k"),
        (1.54e6, "1.54M"),
        (3e9, "3B"),
        (-2000, "-2k"),
    ],
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert units.short(number) == text
