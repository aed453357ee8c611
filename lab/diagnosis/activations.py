"""Units that do not work, and a residual stream that swells."""

from __future__ import annotations

import math
from typing import Any

from lab.diagnosis.curves import run_of
from lab.diagnosis.finding import Family, Found
from lab.diagnosis.history import Curve, History

ACTIVATIONS = Family("activations")


@ACTIVATIONS.rule(
    "A unit that nothing switches on adds nothing and, with a ReLU, gets no gradient to change that: width paid for "
    "and not used.",
    "a lower learning rate, a longer warm-up: most units die in the first large steps",
    "model.config.mlp: gelu or swiglu, which let some gradient through below zero",
)
def dead_units(history: History, limits: Any) -> Found | None:
    """Many MLP units are never switched on."""
    return _worst_layer(history, limits, "stats/dead_share", limits.dead_share, "no token of the probe switches on")


@ACTIVATIONS.rule(
    "A unit that everything switches on chooses nothing: the MLP becomes a linear map, and two linear maps are one.",
    "a lower learning rate, a longer warm-up",
    "model.optimizer.weight_decay: 0.1; look at the biases in the weights' histograms",
)
def saturated_units(history: History, limits: Any) -> Found | None:
    """Many MLP units are always switched on."""
    return _worst_layer(history, limits, "stats/saturated_share", limits.saturated_share, "every token switches on")


def _worst_layer(history: History, limits: Any, name: str, bar: float, words: str) -> Found | None:
    worst: tuple[int, Curve, int] | None = None
    for layer, curve in enumerate(history.layers(name)):
        begin = run_of(curve.values > bar, int(limits.unit_looks))
        if begin is not None and (worst is None or curve.values[-1] > worst[1].values[-1]):
            worst = layer, curve, begin
    if worst is None:
        return None
    layer, curve, begin = worst
    value = float(curve.values[-1])
    what = f"{value:.0%} of the MLP units of layer {layer} are ones that {words}"
    return Found("warning", what, int(curve.steps[begin]), f"{name}.layer{layer}", value, bar)


@ACTIVATIONS.rule(
    "Each layer adds to the stream, and norms divide by its length: where the stream has become long, what later "
    "layers add is lost beside it, and half precision rounds it away.",
    "model.optimizer.weight_decay: 0.1; a lower learning rate",
    "leave the initial scale of the output projections (1/√(2·n_layers)) as it is",
)
def residual_growth(history: History, limits: Any) -> Found | None:
    """The residual stream swells."""
    width = history.facts.number("model.config.d_model")
    curves = history.layers("stats/resid_norm")
    if not width or not curves or history.facts.says("model.config.norm_position", "post"):
        return None
    curve = max(curves, key=lambda c: c.values[-1] if len(c) else 0.0)
    bar = limits.resid_norm * math.sqrt(width)
    begin = run_of(curve.values > bar, 2)
    if begin is None:
        return None
    value, layer = float(curve.values[-1]), curves.index(curve)
    what = f"the residual stream has grown from {curve.values[0]:.2g} to {value:.3g} after layer {layer}"
    return Found("warning", what, int(curve.steps[begin]), f"stats/resid_norm.layer{layer}", value, bar)
