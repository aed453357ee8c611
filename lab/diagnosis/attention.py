"""Attention that looks nowhere, everywhere, or far too hard."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.diagnosis.curves import run_of
from lab.diagnosis.finding import Family, Found
from lab.diagnosis.history import History

ATTENTION = Family("attention")
LOOKS = 3


@ATTENTION.rule(
    "The softmax of such logits is one-hot and passes on hardly any gradient: what a head looks at can no longer be "
    "unlearned, and in half precision the next step is infinity. Seen before divergences of models of every size.",
    "model.config.qk_norm: true, which bounds them",
    "a lower learning rate; model.optimizer.weight_decay: 0.1",
)
def attention_logits(history: History, limits: Any) -> Found | None:
    """Attention logits grow too large."""
    worst: Found | None = None
    for layer, curve in enumerate(history.layers("stats/attn_logit_max")):
        high = curve.values > limits.logit_high
        begin = run_of(high, LOOKS)
        if begin is None or (worst and curve.values[-1] <= (worst.value or 0)):
            continue
        value = float(curve.values[-1])
        level = "alarm" if value > limits.logit_alarming else "warning"
        what = f"attention logits of layer {layer} reach {value:.0f}"
        metric = f"stats/attn_logit_max.layer{layer}"
        worst = Found(level, what, int(curve.steps[begin]), metric, value, limits.logit_high)
    return worst


@ATTENTION.rule(
    "A layer whose every query reads a single token, from the start, has stopped choosing: its softmax is saturated "
    "and learns nothing (entropy collapse, Zhai et al. 2023).",
    "model.config.qk_norm: true",
    "smaller initial weights, a lower learning rate, a longer warm-up",
    explains=("attention_logits",),
)
def attention_collapse(history: History, limits: Any) -> Found | None:
    """A layer's attention has collapsed to single tokens."""
    for layer, curve in enumerate(history.layers("stats/entropy")):
        begin = run_of(curve.values < limits.entropy_collapsed, LOOKS)
        if begin is not None:
            value = float(curve.values[-1])
            what = f"every head of layer {layer} reads a single token: entropy {value:.3f} of even attention's"
            metric = f"stats/entropy.layer{layer}"
            return Found("warning", what, int(curve.steps[begin]), metric, value, limits.entropy_collapsed)
    return None


@ATTENTION.rule(
    "Heads that spread their attention evenly over everything see an average of the past: no order, no neighbours. "
    "Nothing above the present token's own statistics can be learned from that.",
    "a higher learning rate or more steps: heads begin to choose after the unigram line",
    "model.config.positions: rope; larger initial weights of queries and keys",
    explains=("bigram_plateau",),
)
def uniform_heads(history: History, limits: Any) -> Found | None:
    """No head of any layer has found something to look for."""
    curves = history.layers("stats/entropy")
    progress = None if history.is_try(limits) else history.progress
    if not curves or progress is None or progress < limits.uniform_progress or min(map(len, curves)) < LOOKS:
        return None
    lowest = min(float(curve.last(LOOKS)[1].min()) for curve in curves)
    if lowest < limits.entropy_uniform or _task_waits(history, limits):
        return None
    what = f"all layers spread their attention evenly: entropy {lowest:.3f} of 1"
    since = int(min(curve.steps[run_of(curve.values >= limits.entropy_uniform, 1) or 0] for curve in curves))
    return Found("warning", what, since, "stats/entropy", lowest, limits.entropy_uniform)


@ATTENTION.rule(
    "Attention is the only way from one position to another. Where it adds nothing to the stream, each token is "
    "left to itself, and no loss below the bigram's line can be reached.",
    "look at the output projections of attention: are they zero, frozen, or without a gradient (stats/grad_norm)?",
    "model.config.zero_init: true is not it: those weights grow from the first step on",
    explains=("uniform_heads", "bigram_plateau"),
)
def attention_idle(history: History, limits: Any) -> Found | None:
    """What attention adds to the stream is nothing."""
    outs, streams = history.layers("stats/attn_out_norm"), history.layers("stats/resid_norm")
    if not outs or len(outs) != len(streams) or min(map(len, outs)) < LOOKS + 2:
        return None
    shares = [
        float((out.last(LOOKS)[1] / np.maximum(stream.last(LOOKS)[1], 1e-9)).max())
        for out, stream in zip(outs, streams, strict=True)
        if len(stream) == len(out)
    ]
    if not shares or max(shares) > limits.attention_share:
        return None
    what = f"attention adds {max(shares):.1g} of the residual stream's length in every layer"
    return Found("warning", what, int(outs[0].steps[1]), "stats/attn_out_norm", max(shares), limits.attention_share)


def _task_waits(history: History, limits: Any) -> bool:
    """Whether the loss is still where even guessing is: made tasks lie there until a circuit forms."""
    uniform, losses = history.facts.baseline("uniform"), history["train/loss"].last(10)[1]
    floor = history.facts.baseline("floor")
    return bool(floor is not None and uniform and len(losses) and np.median(losses) > 0.9 * uniform)
