"""Numbers, dates, settings and lists as text."""

from __future__ import annotations

import math
import shlex

import pytest

from lab.report.formatting import day, listed, loss, number, percent, plural, quoted, value


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (loss(2.34567), "2.346"), (loss(None), "n/a"), (loss(math.nan), "n/a"),
        (number(0.01234), "0.0123"), (number(1234.6), "1,235"), (number(2e-7), "2.00e-07"), (number(0), "0"),
        (number(None), "n/a"), (number(0.0567, 2), "0.057"),
        (percent(0.434), "43 %"), (percent(0.0044), "0.4 %"), (percent(0), "0 %"), (percent(None), "n/a"),
        (day(None), "n/a"), (day(1e20), "n/a"), (day(math.nan), "n/a"),
        (value(True), "true"), (value(None), "null"), (value(0.001), "0.001"), (value({"a": [1, "b"]}), "{a: [1, b]}"),
        (plural(1, "step"), "1 step"), (plural(12_000, "step"), "12,000 steps"), (plural(2, "a", "an"), "2 an"),
        (listed([]), ""), (listed(["a"]), "a"), (listed(["a", "b", "c"]), "a, b and c"),
    ],
)  # fmt: skip
def test_values_as_text(shown: str, expected: str) -> None:
    assert shown == expected


def test_a_quoted_name_is_one_word() -> None:
    assert shlex.split(quoted("it's a $run")) == ["it's a $run"]
