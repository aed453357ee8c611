"""Checks of single values, the same in every room."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import TypeGuard


def is_integer(value: object) -> TypeGuard[int]:
    """Whether a setting is a whole number. `true` is not, though Python counts it as 1."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a setting is a finite number. `true` is not, though Python counts it as 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """A question for the choice nearest to a name that is none of them, and a space; empty where none is near."""
    close = difflib.get_close_matches(name, list(choices), 1)
    return f"did you mean {close[0]!r}? " if close else ""


def check_choice(what: str, value: object, choices: Iterable[str]) -> None:
    """Raise ValueError, listing `choices`, unless `value` is one of them."""
    if value not in (names := tuple(choices)):
        raise ValueError(f"{what} {value!r}: choose one of {', '.join(names)}")
