"""Units that are never or always active, and a residual stream that keeps growing."""

from __future__ import annotations

import math
from typing import Any

from lab.diagnosis.evidence import Evidence, unbroken_since
from lab.diagnosis.finding import Family, Found
from lab.runs import metrics
from lab.runs.series import Series

ACTIVATIONS = Family("activations")


@ACTIVATIONS.rule(
    "A unit that no token activates adds nothing and, with a ReLU, gets no gradient that could change that. Its "
    "weights cost memory and time for nothing.",
    "a lower learning rate, a longer warm-up: most units die in the first large steps",
    "model.config.mlp: gelu or swiglu, which let some gradient through below zero",
)
def dead_units(evidence: Evidence, limits: Any) -> Found | None:
    """Many MLP units are never active."""
    return _worst_layer(evidence, limits, metrics.STATS_DEAD_SHARE, limits.dead_share, "no reference text activates")


@ACTIVATIONS.rule(
    "A unit that every token activates selects nothing: the MLP becomes a linear map, and two linear maps in a row are "
    "one.",
    "a lower learning rate, a longer warm-up",
    "model.optimizer.weight_decay: 0.1; look at the biases in the weights' histograms",
)
def saturated_units(evidence: Evidence, limits: Any) -> Found | None:
    """Many MLP units are always active."""
    metric = metrics.STATS_SATURATED_SHARE
    return _worst_layer(evidence, limits, metric, limits.saturated_share, "every token activates")


def _worst_layer(evidence: Evidence, limits: Any, name: str, bar: float, words: str) -> Found | None:
    worst: tuple[int, Series, int] | None = None
    for layer, curve in evidence.layers(name).items():
        begin = unbroken_since(curve.values > bar, int(limits.unit_looks))
        if begin is not None and (worst is None or curve.values[-1] > worst[1].values[-1]):
            worst = layer, curve, begin
    if worst is None:
        return None
    layer, curve, begin = worst
    value = float(curve.values[-1])
    what = f"{value:.0%} of the MLP units of layer {layer} are units that {words}"
    return Found("warning", what, int(curve.steps[begin]), metrics.of_layer(name, layer), value, bar)


@ACTIVATIONS.rule(
    "Each layer adds to the stream, and norms divide by its length: the longer the stream, the less what later layers "
    "add changes its direction, and half precision rounds it away.",
    "model.optimizer.weight_decay: 0.1; a lower learning rate",
    "leave the initial scale of the output projections (1/√(2·n_layers)) as it is",
)
def residual_growth(evidence: Evidence, limits: Any) -> Found | None:
    """The residual stream keeps growing."""
    width = evidence.facts.number("model.config.d_model")
    curves = evidence.layers(metrics.STATS_RESID_NORM)
    if not width or not curves or evidence.facts.says("model.config.norm_position", "post"):
        return None
    layer = max(curves, key=lambda i: curves[i].last or 0.0)
    curve = curves[layer]
    bar = limits.resid_norm * math.sqrt(width)
    begin = unbroken_since(curve.values > bar, 2)
    if begin is None:
        return None
    value = float(curve.values[-1])
    what = f"the residual stream has grown from {curve.values[0]:.2g} to {value:.3g} after layer {layer}"
    metric = metrics.of_layer(metrics.STATS_RESID_NORM, layer)
    return Found("warning", what, int(curve.steps[begin]), metric, value, bar)
