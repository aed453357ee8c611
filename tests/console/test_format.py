"""Numbers and curves in few characters."""

from __future__ import annotations

from dataclasses import replace

from lab.console.format import count, duration, event_words, progress, sparkline
from lab.runs import Status
from lab.runs.events import LrChanged


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


def test_progress_in_steps_and_as_a_share() -> None:
    run = Status(name="a", state="running", step=120_000, total_steps=480_000)
    assert progress(run, count) == "120k/480k (25%)"
    assert progress(run, "{:,}".format, percent=False) == "120,000/480,000"
    assert progress(replace(run, total_steps=None), count) == "120k"
    assert progress(replace(run, step=None), count) == "–"


def test_an_event_in_words() -> None:
    changed = LrChanged(step=5, before=1.0, to=0.5)
    assert event_words(changed) == ("lr changed", "from 1.0, to 0.5")
    assert event_words(changed, ("id", "from")) == ("lr changed", "to 0.5")
