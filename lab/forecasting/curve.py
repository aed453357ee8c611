"""Where a run will end, from the part of its curve that is there: the forecast that is updated while it trains.

The run's own losses are continued by a power law of their past, less what a learning rate that falls still takes off
(most of that comes at the end, where no past shows it: Tissue et al. 2024 give it a term of its own). Where something
was forecast before the start, by a ladder or by finished runs, the two are averaged by how sure each is: the own curve
says little early and nearly all late.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lab.errors import NotEnough
from lab.forecasting.law import Z80, Forecast

EARLIEST = 0.2  # part of the run that must be done: before it lie the warm-up and a plateau that all models share
FROM = 0.1  # part of the run from which its own curve counts
FLOOR = 0.5  # the floor of the power law, as a share of the present loss
ANNEALED = 0.045  # relative fall of the loss while the learning rate goes from its peak to 0; LOG.md
SPREAD = 0.032  # relative standard deviation of the forecast at 30 % of a run; it shrinks with what is left
LEAST = 0.002


def reforecast(
    curve: Sequence[tuple[float, float]], said: Forecast | None = None, annealing: float = 0.0, error: float = 0.0
) -> Forecast:
    """The final validation loss of a run whose curve so far is `(part of the run done, validation loss)`, ascending.

    Args:
        said: What was forecast before the start.
        annealing: By how much the learning rate will still fall, as a part of its peak.
        error: Relative standard error of the curve as that of the whole split, where it is a subset's.

    Raises `NotEnough` before a fifth of the run, or where no loss is finite.
    """
    curve = [(part, loss) for part, loss in curve if part > 0 and math.isfinite(loss)]
    if not curve or curve[-1][0] < EARLIEST:
        raise NotEnough(f"not enough to say: less than {EARLIEST:.0%} of the run is done")
    part, loss = curve[-1]
    if part >= 1:
        return Forecast(loss, loss, loss, "the run is complete")
    value = _continued(curve) * (1 - ANNEALED * max(0.0, annealing))
    spread = math.hypot(max(LEAST, SPREAD * math.sqrt((1 - part) / 0.7)), error)
    method = f"its own curve up to {part:.0%}"
    if said is not None and said.high > said.low:
        theirs = (said.high - said.low) / (2 * Z80 * said.value)
        mine, its = spread**-2, theirs**-2
        value = (mine * value + its * said.value) / (mine + its)
        spread = max(LEAST, (mine + its) ** -0.5)
        method += f", and what was forecast before ({its / (mine + its):.0%} of the weight)"
    return Forecast.around(value, spread, method)


def _continued(curve: Sequence[tuple[float, float]]) -> float:
    points = [(part, loss) for part, loss in curve if part >= FROM]
    if len(points) < 2:
        raise NotEnough("not enough to say: the run was validated only once so far")
    floor = FLOOR * min(loss for _, loss in points)
    t, y = (np.log(column) for column in np.array([(p, loss - floor) for p, loss in points]).T)
    slope, level = np.polyfit(t, y, 1)
    return floor + math.exp(level) if slope < 0 else points[-1][1]
