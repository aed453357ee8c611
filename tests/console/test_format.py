"""Numbers and curves in few characters."""

from __future__ import annotations

from lab.console.format import count, duration, sparkline


def test_a_sparkline_has_the_shape_of_its_curve() -> None:
    assert sparkline([3.0]) == "▁"
    assert sparkline([1.0, 1.0]) == "▁▁"
    assert sparkline([float(x) for x in range(8)]) == "▁▂▃▄▅▆▇█"
    long = sparkline([1000.0 - x for x in range(1000)])
    assert len(long) == 16
    assert list(long) == sorted(long, reverse=True)


def test_numbers_in_few_characters() -> None:
    assert [count(x) for x in (None, 0, 99_999, 100_000, 123_456, 1_000_000, 8_192_000, 3e9)] == [
        *("–", "0", "99999", "100k", "123k", "1M", "8.19M", "3B"),
    ]
    assert [duration(x) for x in (-5, 0.4, 59, 61, 7200, 200_000)] == [
        "0 s",
        "0 s",
        "59 s",
        "1 min",
        "2 h",
        "2 d",
    ]
