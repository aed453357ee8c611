"""Training that waits for its data, and steps that take longer than before."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.diagnosis.evidence import Evidence, unbroken_since
from lab.diagnosis.finding import Family, Found
from lab.runs import metrics

SPEED = Family("speed")


@SPEED.rule(
    "While the model waits for its next batch, the processor or GPU is idle.",
    "put the data on a local disk; tokenise beforehand (the lab's cache does)",
    "a larger data.batch_size, so that batches are asked for less often",
)
def data_bound(evidence: Evidence, limits: Any) -> Found | None:
    """Much of the time is spent waiting for data."""
    curve = evidence[metrics.PERF_DATA_SHARE]
    begin = unbroken_since(curve.values > limits.data_share, int(limits.speed_looks))
    if begin is None:
        return None
    value = float(np.median(curve.values[begin:]))
    what = f"{value:.0%} of the training time is spent waiting for batches"
    return Found("warning", what, int(curve.steps[begin]), metrics.PERF_DATA_SHARE, value, limits.data_share)


@SPEED.rule(
    "The same work takes longer than before: another program, a processor that is too hot, memory that runs out.",
    "look at which other programs run on the machine, and at perf/memory_bytes",
    "stop and resume: python -m lab fit --resume RUN loses nothing",
)
def slowing_down(evidence: Evidence, limits: Any) -> Found | None:
    """Steps take much longer than they did."""
    curve = evidence[metrics.PERF_STEP_SECONDS]
    # Percentiles cost; no step of a usual length can be the end of a slow stretch.
    if len(curve) < 8 or curve.values[-1] <= limits.slower * curve.values.min():
        return None
    usual = float(np.percentile(curve.values, 20))
    begin = unbroken_since(curve.values > limits.slower * usual, int(limits.speed_looks))
    if begin is None or begin == 0 or evidence.step - curve.steps[begin] < evidence.span(limits.slower_share):
        return None
    value = float(np.median(curve.values[begin:]))
    what = f"a step takes {value:.3g} s, and took {usual:.3g} s before"
    return Found("warning", what, int(curve.steps[begin]), metrics.PERF_STEP_SECONDS, value, limits.slower * usual)
