"""Numbers, dates, settings and lists as text, the same in all sections."""

from __future__ import annotations

import datetime
import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from lab.units import UNKNOWN


def loss(value: float | None) -> str:
    """To a thousandth: runs of different seeds differ by more."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:.3f}"


def number(value: float | None, digits: int = 3) -> str:
    """With that many significant digits."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value != 0 and not 1e-4 <= abs(value) < 1e5:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def percent(share: float | None) -> str:
    """A share of 1: 43 %, or 0.4 %."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    return f"{100 * share:.0f} %" if abs(share) >= 0.0995 or share == 0 else f"{100 * share:.1f} %"


def day(wall: float | None) -> str:
    """Unix seconds as local date and time."""
    try:
        return UNKNOWN if wall is None else datetime.datetime.fromtimestamp(wall).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return UNKNOWN


def value(setting: object) -> str:
    """A setting as in YAML."""
    if isinstance(setting, bool) or setting is None:
        return {True: "true", False: "false", None: "null"}[setting]
    if isinstance(setting, dict):
        return "{" + ", ".join(f"{k}: {value(v)}" for k, v in setting.items()) + "}"
    if isinstance(setting, list | tuple):
        return "[" + ", ".join(map(value, setting)) + "]"
    return f"{setting:g}" if isinstance(setting, float) else str(setting)


def plural(n: int, one: str, many: str = "") -> str:
    """1 step, 12,000 steps."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(items: Sequence[str]) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def quoted(path: str | Path) -> str:
    """A path or a name, quoted for a shell."""
    return shlex.quote(str(path))
