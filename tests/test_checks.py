from __future__ import annotations

import math

import pytest

from lab.checks import check_choice, did_you_mean, is_integer, is_number


def test_what_counts_as_a_number() -> None:
    assert [is_integer(value) for value in (3, True, 3.0, "3", None)] == [True, False, False, False, False]
    assert [is_number(value) for value in (3, 0.5, True, math.nan, math.inf, "3")] == [True, True, *[False] * 4]


def test_a_choice_that_is_not_there_is_refused_with_those_that_are() -> None:
    check_choice("side", "input", ("input", "output"))
    with pytest.raises(ValueError, match="side 'left': choose one of input, output"):
        check_choice("side", "left", ("input", "output"))


def test_the_nearest_choice_is_asked_for() -> None:
    assert did_you_mean("fti", ["fit", "plan"]) == "did you mean 'fit'?"
    assert did_you_mean("fti", ["fit", "plan"], end=" ", show=str) == "did you mean fit? "
    assert did_you_mean("ab", ["ac", "ad", "xy"], show=str, n=2, cutoff=0.5) == "did you mean ad or ac?"
    assert did_you_mean("zzz", ["fit", "plan"], "commands: fit, plan") == "commands: fit, plan"
    assert did_you_mean("zzz", []) == ""
