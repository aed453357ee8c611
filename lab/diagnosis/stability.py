"""A loss that jumps, rises or is not a number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.diagnosis.evidence import Evidence
from lab.diagnosis.finding import Family, Found
from lab.runs import metrics
from lab.runs.events import Failed
from lab.runs.series import Series, window_mean

STABILITY = Family("stability")
TRAILING = 50  # values before each that it is compared with
MOST_LEAPS = 500  # candidates a rule examines, the newest: medians of all would take long in a noisy run
NOT_FINITE = re.compile(r"^(\S+) is (nan|-?inf) at step (\d+)")


@STABILITY.rule(
    "One infinite or undefined number reaches every weight with the next update; the lab stops before that.",
    "look at the batch: python -m lab batch RUN STEP",
    "go on from the last checkpoint with a lower learning rate, or with trainer.precision: 32-true",
    "look at stats/attn_logit_max and train/grad_norm in the steps before",
)
def non_finite(evidence: Evidence, limits: Any) -> Found | None:
    """A loss or a gradient was NaN or infinite."""
    for event in reversed(evidence.events):
        match = NOT_FINITE.match(event.message or "") if isinstance(event, Failed) else None
        if match:
            name, value, step = match[1], match[2], int(match[3])
            return Found("alarm", f"{name} is {value} at step {step}", step, name)
    for name in (metrics.TRAIN_LOSS, metrics.VAL_LOSS, metrics.VAL_SUBSET_LOSS, metrics.TRAIN_GRAD_NORM):
        if lost := evidence[name].lost:
            return Found("alarm", f"{name} is not a finite number at step {lost[0]}", lost[0], name)
    return None


@dataclass(frozen=True)
class Spike:
    """Values that stand out above those before: the step of the first, the median before it, the highest, and the step
    at which they were back at that median (None: not so far).
    """

    step: int
    before: float
    top: float
    back: int | None


def spikes(series: Series, limits: Any, *, least: float | None = None) -> list[Spike]:
    """The spikes of a curve, oldest first: what rises out of the noise of the 50 values before.

    `least`: how far a spike rises at least, in the curve's unit; None: `spike_nats`, for a loss.
    """
    return [_spike(series, at, before, limits) for at, before in _beginnings(series, limits, least)]


def _beginnings(series: Series, limits: Any, least: float | None = None, newest: int = 0) -> list[tuple[int, float]]:
    """Where each spike begins, as an index, and the median before it.

    `newest`: of the values above their recent mean examine only so many, the newest; 0: all.
    """
    values = series.values
    if len(values) < TRAILING + 2:
        return []
    now, mean = values[TRAILING:], window_mean(values, TRAILING - 1)[TRAILING - 1 : -1]
    # Medians cost; they are taken only where a value stands above its recent mean.
    high = np.flatnonzero(now > (1 + limits.spike_rise / 2) * mean)[-newest:]
    if not len(high):
        return []
    windows = np.lib.stride_tricks.sliding_window_view(values, TRAILING)[high]
    median = np.median(windows, axis=1)
    # 1.4826 makes the median distance a standard deviation; the fall of a young loss is not its scatter.
    scatter = 1.4826 * np.median(np.abs(np.diff(windows, axis=1)), axis=1) / np.sqrt(2)
    bar = np.maximum((1 + limits.spike_rise) * median, median + limits.spike_z * scatter)
    leaps = now[high] > np.maximum(bar, median + (limits.spike_nats if least is None else least))
    at, before = high[leaps], median[leaps]
    # A spike begins with the first leap after a quiet stretch.
    first = np.diff(at, prepend=-TRAILING) > TRAILING // 2
    return list(zip((TRAILING + at[first]).tolist(), before[first].tolist(), strict=True))


def _spike(series: Series, at: int, before: float, limits: Any) -> Spike:
    steps, values = series.steps, series.values[at:]
    back = _first_at_most(values, limits.spike_back * before)
    step_back = None if back is None else int(steps[at + back])
    return Spike(int(steps[at]), before, float(values[:TRAILING].max()), step_back)


def _first_at_most(values: np.ndarray, bar: float) -> int | None:
    """Where the mean of five values is first back at a bar. Most spikes are short: looked for in growing parts."""
    part = TRAILING
    while True:
        back = np.flatnonzero(window_mean(values[:part], 4) <= bar)
        if len(back) or part >= len(values):
            return int(back[0]) if len(back) else None
        part *= 8


@STABILITY.rule(
    "A spike comes from a batch unlike the others or a learning rate at its limit. The loss recovers from most; each "
    "can be the one from which it does not.",
    "look at the batch: python -m lab batch RUN STEP",
    "model.optimizer.clip: 1.0",
    "a lower peak of the learning rate, or a longer warm-up",
    "model.optimizer.betas: [0.9, 0.95]: a shorter memory of old gradients",
)
def loss_spike(evidence: Evidence, limits: Any) -> Found | None:
    """The loss has a spike, and whether it recovered."""
    losses = evidence[metrics.TRAIN_LOSS]
    found = _beginnings(losses, limits, newest=MOST_LEAPS)
    if not found:
        return None
    spike = _spike(losses, *found[-1], limits)
    what = f"the loss jumped from {spike.before:.2f} to {spike.top:.2f} at step {spike.step}"
    if spike.back is not None:
        what += f" and was back at step {spike.back}"
        return Found("note", what, spike.step, metrics.TRAIN_LOSS, spike.top, (1 + limits.spike_rise) * spike.before)
    if evidence.step - spike.step < evidence.span(limits.spike_recovery, TRAILING // 2):
        what += "; too early to say whether it comes back"
        return Found("note", what, spike.step, metrics.TRAIN_LOSS, spike.top, spike.before)
    what += " and has not come back"
    return Found("warning", what, spike.step, metrics.TRAIN_LOSS, spike.top, limits.spike_back * spike.before)


@STABILITY.rule(
    "A loss that rises for that long does not come back: the weights have left the region of what was learned.",
    "go on from the best checkpoint with half of the learning rate: python -m lab fit --fork RUN@STEP",
    "model.optimizer.clip: 1.0, a longer warm-up, model.config.qk_norm: true",
    explains=("loss_spike", "leakage", "memorised"),
)
def divergence(evidence: Evidence, limits: Any) -> Found | None:
    """The loss rises, and does not come back."""
    steps, losses = evidence[metrics.TRAIN_LOSS].steps, evidence[metrics.TRAIN_LOSS].values
    width = max(5, len(losses) // 20)
    if len(losses) < 3 * width:
        return None
    curve = window_mean(losses, width - 1)
    best = int(np.argmin(curve))
    gained = max(float(losses[:width].max() - curve[best]), 0.1 * float(curve[best]))
    bar = float(curve[best]) + limits.divergence_rise * gained
    above = np.flatnonzero(curve[best:] <= bar)[-1] + best + 1  # from here on it never was below again
    if above >= len(curve) or steps[-1] - steps[above] < evidence.span(limits.divergence_span, 10):
        return None
    since = int(steps[above])
    what = f"the loss has risen from {curve[best]:.2f} (step {int(steps[best])}) to {curve[-1]:.2f}"
    return Found("alarm", what, since, metrics.TRAIN_LOSS, float(curve[-1]), bar)


@STABILITY.rule(
    "fp16 has no numbers below 6e-8: gradients are multiplied by a factor to stay above. Once it has fallen to 1, "
    "small gradients are 0 and the weights hardly change.",
    "trainer.precision: bf16-mixed, where the device has it, or 32-true",
    "a lower learning rate; look for what overflows in stats/attn_logit_max and stats/resid_norm",
)
def fp16_scale(evidence: Evidence, limits: Any) -> Found | None:
    """The factor on fp16's loss has fallen to 1 or below."""
    part = evidence[metrics.TRAIN_LOSS_SCALE].tail(3)
    scale = part.values
    if len(scale) < 3 or scale.max() > limits.loss_scale_low:
        return None
    what = f"fp16's loss scale has fallen to {scale[-1]:g}"
    return Found("alarm", what, int(part.steps[0]), metrics.TRAIN_LOSS_SCALE, float(scale[-1]), limits.loss_scale_low)
