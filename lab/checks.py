"""Checks of single values, the same in every room."""

from __future__ import annotations

import difflib
import importlib.util
import math
from collections.abc import Callable, Iterable
from typing import TypeGuard


def is_integer(value: object) -> TypeGuard[int]:
    """Whether a setting is a whole number. `true` is not, though Python counts it as 1."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a setting is a finite number. `true` is not, though Python counts it as 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def missing_extra(extra: str, *modules: str) -> str:
    """The remedy where one of `modules`, which an extra of pyproject.toml brings, is not installed; else ""."""
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    return f"{', '.join(absent)} not installed: pip install 'pretraining-lab[{extra}]'" if absent else ""


def did_you_mean(
    name: object,
    choices: Iterable[str],
    otherwise: str = "",
    *,
    end: str = "",
    show: Callable[[str], str] = repr,
    n: int = 1,
    cutoff: float = 0.6,
) -> str:
    """A question for the `n` choices nearest to a name that is none of them, and `end`; `otherwise` if none is near."""
    close = difflib.get_close_matches(str(name), list(choices), n, cutoff)
    return f"did you mean {' or '.join(map(show, close))}?{end}" if close else otherwise


def check_choice(what: str, value: object, choices: Iterable[str]) -> None:
    """Raise ValueError, listing `choices`, unless `value` is one of them."""
    if value not in (names := tuple(choices)):
        raise ValueError(f"{what} {value!r}: choose one of {', '.join(names)}")
