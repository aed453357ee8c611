"""Counts, bytes and seconds as people read them, the same in every room."""

from __future__ import annotations

import math

UNKNOWN = "n/a"


def count(value: float | None) -> str:
    """Of tokens, parameters, steps: exact up to five digits, else three of them and a letter."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(size, 1e5):
            return f"{value / size:.3g}{letter}"
    return f"{value:,.0f}"


def size(n_bytes: float | None) -> str:
    """Of memory or a file."""
    if n_bytes is None or not math.isfinite(n_bytes):
        return UNKNOWN
    for unit in ("B", "kB", "MB", "GB"):
        if abs(n_bytes) < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def duration(seconds: float | None, digits: int = 3) -> str:
    """Of training, with so many digits that count."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    for unit_seconds, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit_seconds:
            return f"{seconds / unit_seconds:.{digits}g} {unit}"
    return f"{seconds:.{digits}g} s"
