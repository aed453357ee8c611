"""Faults that show before anything was learned: the first loss, the head's weights, the first update."""

from __future__ import annotations

import math
from typing import Any

from lab.diagnosis.evidence import Evidence
from lab.diagnosis.finding import Family, Found, Level
from lab.runs import metrics

START = Family("start")


@START.rule(
    "An untrained model knows nothing: its loss is ln(vocabulary size). Above it, the initial weights predict random "
    "tokens with confidence and have to be unlearned first; below it, the weights are trained ones or the input holds "
    "the answers.",
    "model.config.init_std: leave it out (0.02)",
    "no remedy where the run began with trained weights (a fork): then this is as it should be",
)
def initial_loss(evidence: Evidence, limits: Any) -> Found | None:
    """The first loss is not ln(vocabulary)."""
    expected = evidence.facts.baseline("uniform")
    first = evidence[metrics.TRAIN_LOSS].at(0)
    if first is None or not expected:
        return None
    off = first / expected - 1
    if abs(off) <= limits.initial_loss_off:
        return None
    level: Level = "alarm" if abs(off) > limits.initial_loss_far else "warning"
    what = f"the first loss is {first:.2f}, and ln(vocabulary) is {expected:.2f}: {abs(off):.0%} {_side(off)}"
    bar = expected * (1 + math.copysign(limits.initial_loss_off, off))
    return Found(level, what, 0, metrics.TRAIN_LOSS, first, bar)


def _side(off: float) -> str:
    return "above" if off > 0 else "below"


@START.rule(
    "Logits are products of the stream (length √width after the last norm) with the rows of the head. Rows that are "
    "too long make an untrained model certain of random tokens; a tied embedding as PyTorch draws it (std 1) starts "
    "GPT-2 at a loss of 168.",
    "model.config.init_std: leave it out (0.02)",
    "model.config.tie_embeddings: false, if the embedding has to be large",
    explains=("initial_loss",),
)
def head_scale(evidence: Evidence, limits: Any) -> Found | None:
    """The (tied) head starts too large."""
    metric, facts = metrics.of_part(metrics.STATS_WEIGHT_NORM, "embedding"), evidence.facts
    norm = evidence[metric].at(0)
    width, vocabulary = facts.number("model.config.d_model"), facts.of_data("vocab_size")
    if norm is None or not width or not vocabulary or not facts.says("model.config.tie_embeddings", True):
        return None
    positions = facts.number("model.config.context_length") if facts.says("model.config.positions", "learned") else 0
    std = norm / math.sqrt((vocabulary + (positions or 0)) * width)
    spread = std * math.sqrt(width)
    if spread <= limits.head_spread:
        return None
    what = f"the tied head starts with weights of std {std:.2g}: untrained logits are spread by {spread:.1f}"
    return Found("alarm", what, 0, metric, spread, limits.head_spread)


@START.rule(
    "Adam divides by averages over few steps: its first updates change every weight by the whole learning rate, each "
    "in the direction of one batch. Deep or post-norm models do not recover (Xiong et al. 2020).",
    "model.schedule.warmup_fraction: 0.05, or a few hundred warmup_steps",
    "a lower model.optimizer.lr",
)
def warmup_missing(evidence: Evidence, limits: Any) -> Found | None:
    """The first update has the full learning rate and changes the weights much."""
    rates = evidence[metrics.TRAIN_LR]
    first = rates.at(0)
    if first is None or len(rates) < 3 or evidence.is_try(limits):
        return None
    peak = float(rates.values.max())
    if peak <= 0 or first < limits.warmup_lr * peak:
        return None
    ratios = [series.at(1) for series in evidence.layers(metrics.STATS_UPDATE_RATIO).values()]
    moved = max((ratio for ratio in ratios if ratio), default=0.0)
    level: Level = "warning" if moved > limits.warmup_update else "note"
    what = f"the first update has {first / peak:.0%} of the highest learning rate"
    what += f" and changes a layer by {moved:.1%} of its norm" if moved else ""
    metric = metrics.STATS_UPDATE_RATIO if moved else metrics.TRAIN_LR
    return Found(level, what, 0, metric, moved or first, limits.warmup_update)
