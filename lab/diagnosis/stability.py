"""Losses that leap, climb or are no numbers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from lab.diagnosis.curves import smooth
from lab.diagnosis.finding import Family, Found
from lab.diagnosis.history import History

STABILITY = Family("stability")
TRAILING, MOST_LEAPS = 50, 500
NOT_FINITE = re.compile(r"^(\S+) is (nan|-?inf) at step (\d+)")


@STABILITY.rule(
    "One infinite or undefined number spreads to every weight with the next update; the lab stops before that.",
    "look at the batch: python -m lab batch RUN STEP",
    "go on from the last checkpoint with a lower learning rate, or precision 32-true",
    "look at stats/attn_logit_max and train/grad_norm in the steps before",
)
def non_finite(history: History, limits: Any) -> Found | None:
    """A loss or a gradient was NaN or infinite."""
    for event in reversed(history.events):
        match = NOT_FINITE.match(str(event.get("message", ""))) if event.get("kind") == "failed" else None
        if match:
            name, value, step = match[1], match[2], int(match[3])
            return Found("alarm", f"{name} is {value} at step {step}", step, name)
    for name in ("train/loss", "val/loss", "train/grad_norm"):
        if lost := history[name].lost:
            return Found("alarm", f"{name} is not a finite number at step {lost[0]}", lost[0], name)
    return None


@STABILITY.rule(
    "A leap of the loss is a batch unlike the others or a learning rate at its limit. Most are made good; each can be "
    "the one that is not.",
    "look at the batch: python -m lab batch RUN STEP",
    "model.optimizer.clip: 1.0",
    "a lower peak of the learning rate, or a longer warm-up",
    "model.optimizer.betas: [0.9, 0.95]: a shorter memory of old gradients",
)
def loss_spike(history: History, limits: Any) -> Found | None:
    """A leap of the loss, and whether it was made good."""
    steps, losses = history["train/loss"].steps, history["train/loss"].values
    if len(losses) < TRAILING + 2:
        return None
    now, mean = losses[TRAILING:], smooth(losses, TRAILING)[TRAILING - 1 : -1]
    # Medians cost; they are taken only where the loss stands above its recent mean, and for the newest of these.
    high = np.flatnonzero(now > (1 + limits.spike_rise / 2) * mean)[-MOST_LEAPS:]
    if not len(high):
        return None
    windows = np.lib.stride_tricks.sliding_window_view(losses, TRAILING)[high]
    median = np.median(windows, axis=1)
    # 1.4826 makes the median distance a standard deviation; the fall of a young loss is not its scatter.
    scatter = 1.4826 * np.median(np.abs(np.diff(windows, axis=1)), axis=1) / np.sqrt(2)
    bar = np.maximum((1 + limits.spike_rise) * median, median + limits.spike_z * scatter)
    leaps = high[now[high] > np.maximum(bar, median + limits.spike_nats)]
    if not len(leaps):
        return None
    # The newest spike begins with the first leap after a quiet stretch.
    begins = leaps[np.flatnonzero(np.diff(leaps, prepend=-TRAILING) > TRAILING // 2)]
    at = int(begins[-1])
    since, before, top = int(steps[TRAILING + at]), float(median[high == at][0]), float(now[at : at + TRAILING].max())
    after = smooth(now[at:], 5)
    back = np.flatnonzero(after <= limits.spike_back * before)
    what = f"the loss leapt from {before:.2f} to {top:.2f} at step {since}"
    if len(back):
        what += f" and was back at step {int(steps[TRAILING + at + int(back[0])])}"
        return Found("note", what, since, "train/loss", top, (1 + limits.spike_rise) * before)
    if history.step - since < history.span(limits.spike_recovery, TRAILING // 2):
        return Found("note", f"{what}; too early to say whether it comes back", since, "train/loss", top, before)
    return Found("warning", f"{what} and has not come back", since, "train/loss", top, limits.spike_back * before)


@STABILITY.rule(
    "A loss that climbs for long is not coming back: the weights have left the region where anything was learned.",
    "go on from the best checkpoint with half of the learning rate: python -m lab fit --fork RUN@STEP",
    "model.optimizer.clip: 1.0, a longer warm-up, model.config.qk_norm: true",
    explains=("loss_spike", "leakage", "memorised"),
)
def divergence(history: History, limits: Any) -> Found | None:
    """The loss climbs, and does not come back."""
    steps, losses = history["train/loss"].steps, history["train/loss"].values
    width = max(5, len(losses) // 20)
    if len(losses) < 3 * width:
        return None
    curve = smooth(losses, width)
    best = int(np.argmin(curve))
    gained = max(float(losses[:width].max() - curve[best]), 0.1 * float(curve[best]))
    bar = float(curve[best]) + limits.divergence_rise * gained
    above = np.flatnonzero(curve[best:] <= bar)[-1] + best + 1  # from here on it never was below again
    if above >= len(curve) or steps[-1] - steps[above] < history.span(limits.divergence_span, 10):
        return None
    since = int(steps[above])
    what = f"the loss has risen from {curve[best]:.2f} (step {int(steps[best])}) to {curve[-1]:.2f}"
    return Found("alarm", what, since, "train/loss", float(curve[-1]), bar)


@STABILITY.rule(
    "fp16 has no numbers below 6e-8: gradients are multiplied to stay above. When the factor is gone, small gradients "
    "are zero and the run stands still.",
    "trainer.precision: bf16-mixed, where the device has it, or 32-true",
    "a lower learning rate; look for what overflows in stats/attn_logit_max and stats/resid_norm",
)
def fp16_scale(history: History, limits: Any) -> Found | None:
    """The factor of fp16's loss has collapsed."""
    steps, scale = history["train/loss_scale"].last(3)
    if len(scale) < 3 or scale.max() > limits.loss_scale_low:
        return None
    what = f"fp16's loss scale has fallen to {scale[-1]:g}"
    return Found("alarm", what, int(steps[0]), "train/loss_scale", float(scale[-1]), limits.loss_scale_low)
