"""Attention that is too sharp, spread evenly over everything, or without effect."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.diagnosis.evidence import Evidence, unbroken_since
from lab.diagnosis.finding import Family, Found, Level
from lab.runs import metrics

ATTENTION = Family("attention")
LOOKS = 3


@ATTENTION.rule(
    "The softmax of such logits is one-hot and passes on hardly any gradient: what a head attends to can no longer "
    "change, and half precision overflows soon. Seen before divergences of models of every size.",
    "model.config.qk_norm: true, which bounds them",
    "a lower learning rate; model.optimizer.weight_decay: 0.1",
)
def attention_logits(evidence: Evidence, limits: Any) -> Found | None:
    """Attention logits grow too large."""
    worst: Found | None = None
    for layer, curve in evidence.layers(metrics.STATS_ATTN_LOGIT_MAX).items():
        high = curve.values > limits.logit_high
        begin = unbroken_since(high, LOOKS)
        if begin is None or (worst and curve.values[-1] <= (worst.value or 0)):
            continue
        value = float(curve.values[-1])
        level: Level = "alarm" if value > limits.logit_alarming else "warning"
        what = f"attention logits of layer {layer} reach {value:.0f}"
        metric = metrics.of_layer(metrics.STATS_ATTN_LOGIT_MAX, layer)
        worst = Found(level, what, int(curve.steps[begin]), metric, value, limits.logit_high)
    return worst


@ATTENTION.rule(
    "Where every query of a layer attends to a single token, the softmax is saturated and passes on no gradient: the "
    "layer learns nothing (entropy collapse, Zhai et al. 2023).",
    "model.config.qk_norm: true",
    "smaller initial weights, a lower learning rate, a longer warm-up",
    explains=("attention_logits",),
)
def attention_collapse(evidence: Evidence, limits: Any) -> Found | None:
    """A layer's attention has collapsed to single tokens."""
    for layer, curve in evidence.layers(metrics.STATS_ENTROPY).items():
        begin = unbroken_since(curve.values < limits.entropy_collapsed, LOOKS)
        if begin is not None:
            value = float(curve.values[-1])
            what = f"every head of layer {layer} reads a single token: entropy {value:.3f} of even attention's"
            metric = metrics.of_layer(metrics.STATS_ENTROPY, layer)
            return Found("warning", what, int(curve.steps[begin]), metric, value, limits.entropy_collapsed)
    return None


@ATTENTION.rule(
    "A head that attends evenly to everything passes on an average of the past: no order, no neighbours. The model "
    "learns hardly more from it than from the present token alone.",
    "a higher learning rate or more steps: heads begin to differ once the loss is below the unigram baseline",
    "model.config.positions: rope; larger initial weights of queries and keys",
    explains=("bigram_plateau",),
)
def uniform_heads(evidence: Evidence, limits: Any) -> Found | None:
    """All heads of all layers attend evenly."""
    curves = list(evidence.layers(metrics.STATS_ENTROPY).values())
    progress = None if evidence.is_try(limits) else evidence.progress
    if not curves or progress is None or progress < limits.uniform_progress or min(map(len, curves)) < LOOKS:
        return None
    lowest = min(float(curve.tail(LOOKS).values.min()) for curve in curves)
    if lowest < limits.entropy_uniform or _before_circuit(evidence):
        return None
    what = f"all layers attend evenly: entropy {lowest:.3f} of 1"
    since = int(min(curve.steps[unbroken_since(curve.values >= limits.entropy_uniform, 1) or 0] for curve in curves))
    return Found("warning", what, since, metrics.STATS_ENTROPY, lowest, limits.entropy_uniform)


@ATTENTION.rule(
    "Attention is the only path from one position to another. Where it adds nothing to the stream, the model sees the "
    "present token alone, and the loss cannot fall below the bigram baseline.",
    "look at the output projections of attention: are they zero, frozen, or without a gradient (stats/grad_norm)?",
    "model.config.zero_init: true is not the cause: those weights grow from the first step on",
    explains=("uniform_heads", "bigram_plateau"),
)
def attention_idle(evidence: Evidence, limits: Any) -> Found | None:
    """Attention adds next to nothing to the stream."""
    outs, streams = evidence.layers(metrics.STATS_ATTN_OUT_NORM), evidence.layers(metrics.STATS_RESID_NORM)
    if not outs or outs.keys() != streams.keys() or min(map(len, outs.values())) < LOOKS + 2:
        return None
    shares = [
        float((out.tail(LOOKS).values / np.maximum(streams[layer].tail(LOOKS).values, 1e-9)).max())
        for layer, out in outs.items()
        if len(streams[layer]) == len(out)
    ]
    if not shares or max(shares) > limits.attention_share:
        return None
    what = f"attention adds {max(shares):.1g} of the residual stream's length in every layer"
    since = int(next(iter(outs.values())).steps[1])
    return Found("warning", what, since, metrics.STATS_ATTN_OUT_NORM, max(shares), limits.attention_share)


def _before_circuit(evidence: Evidence) -> bool:
    """Whether the loss of a made task is still that of guessing evenly: it stays there until a circuit forms."""
    uniform, losses = evidence.facts.baseline("uniform"), evidence[metrics.TRAIN_LOSS].tail(10).values
    floor = evidence.facts.baseline("floor")
    return bool(floor is not None and uniform and len(losses) and np.median(losses) > 0.9 * uniform)
