"""Counts, bytes and seconds as text, the same in every room."""

from __future__ import annotations

import math

UNKNOWN = "n/a"


def short(number: float) -> str:
    """Up to three digits and a letter: 768, 1.5k, 12M."""
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def count(value: float | None) -> str:
    """A number of tokens, parameters or steps: exact up to five digits, else three of them and a letter."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:,.0f}" if abs(value) < 1e5 else short(value)


def byte_count(n_bytes: float | None) -> str:
    """Bytes of memory or of a file, to three digits."""
    if n_bytes is None or not math.isfinite(n_bytes):
        return UNKNOWN
    for unit in ("B", "kB", "MB", "GB"):
        if abs(n_bytes) < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def largest_unit(seconds: float) -> tuple[float, str]:
    """The same time in the largest of days, hours, minutes and seconds that it fills once, and that unit."""
    units = ((86400, "d"), (3600, "h"), (60, "min"))
    return next(((seconds / unit, name) for unit, name in units if seconds >= unit), (seconds, "s"))


def duration(seconds: float | None, digits: int = 3) -> str:
    """A time in its largest unit, to `digits` significant digits."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    value, unit = largest_unit(seconds)
    return f"{value:.{digits}g} {unit}"
