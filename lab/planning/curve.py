"""Where a run will end, by the part of its curve that is there: the forecast that is made anew while it trains.

Two ways. Runs of the same recipe that are finished (a ladder, or earlier runs) tell how much a loss still falls after
this part of a run: their mean fall, taken off the run's own loss. Without any, the run's own losses are continued by a
law of their past: L = E + A · t^-b, its floor E fixed at a share of the present loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lab.planning.law import Forecast, NotEnough, Trained

EARLIEST = 0.2
"""Part of the run that has to be done: before it, the curve is that of a warm-up and of a plateau all models share."""
FLOOR = 0.5
"""E of the law without a ladder, as a share of the present loss."""
WITH_LADDER, ALONE = 0.012, 0.030
"""Relative standard deviation of the fall that is forecast, after 30 % of a run; it shrinks with what is left to do."""
LEAST = 0.002
FROM = 0.1
"""The own curve counts from this part of the run on."""


def reforecast(curve: Sequence[tuple[float, float]], finished: Sequence[Trained] = ()) -> Forecast:
    """The final validation loss of a run whose curve so far is `(part of the run done, validation loss)`, ascending.

    Raises `NotEnough` before a fifth of the run, or where no loss is finite.
    """
    curve = [(part, loss) for part, loss in curve if part > 0 and math.isfinite(loss)]
    if not curve or curve[-1][0] < EARLIEST:
        raise NotEnough(f"not enough to say: less than {EARLIEST:.0%} of the run is done")
    part, loss = curve[-1]
    if part >= 1:
        return Forecast(loss, loss, loss, "the run is complete")
    falls = [fall for run in finished if (fall := _fall(run, part)) is not None]
    if falls:
        value = loss - float(np.mean(falls)) * _steeper(curve, finished)
        spread, method = (
            WITH_LADDER,
            f"its loss at {part:.0%}, less what {len(falls)} finished runs still fell from there",
        )
    else:
        value, method = _continued(curve), f"a power law through its own curve up to {part:.0%}"
        spread = ALONE
    return Forecast.around(value, max(LEAST, spread * math.sqrt((1 - part) / 0.7)), method)


def _fall(run: Trained, part: float) -> float | None:
    """By how much the loss of a finished run fell from `part` of it to its end; None where its curve does not tell."""
    points = sorted(run.curve)
    if len(points) < 2 or not points[0][0] <= part <= points[-1][0]:
        return None
    parts, losses = zip(*points, strict=True)
    return float(np.interp(part, parts, losses)) - losses[-1]


def _steeper(curve: Sequence[tuple[float, float]], finished: Sequence[Trained]) -> float:
    return 1.0


def _continued(curve: Sequence[tuple[float, float]]) -> float:
    points = [(part, loss) for part, loss in curve if part >= FROM] or list(curve)
    if len(points) < 2:
        raise NotEnough("not enough to say: the run was validated only once so far")
    floor = FLOOR * points[-1][1]
    t, y = (np.log(column) for column in np.array([(p, loss - floor) for p, loss in points]).T)
    slope, level = np.polyfit(t, y, 1)
    return floor + math.exp(level) if slope < 0 else points[-1][1]
