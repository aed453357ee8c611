"""Forward and backward: how large activations, gradients and updates were, layer by layer."""

from __future__ import annotations

import numpy as np

from lab.figures.curves import Panel, draw_curves
from lab.report.curve import warm_up_and_decay
from lab.report.document import Block, Picture, Points, Section, Words
from lab.report.record import Record
from lab.report.sections.attention import of_layers
from lab.report.words import listed, number, percent

PANELS = (
    ("stats/update_ratio", "Update / weight", "of a layer's matrices, one step", True),
    ("stats/grad_norm", "Gradient norm", "of a layer's matrices", True),
    ("stats/resid_norm", "Residual stream", "length after a layer", True),
    ("stats/dead_share", "Dead units", "share of a layer's MLP", False),
    ("stats/attn_logit_max", "Largest attention score", "before the softmax", True),
    ("stats/weight_norm", "Weights", "norm of a layer's matrices", False),
)
VANISHED = 0.1
"""Of the last layer's gradient: below that, little arrives at the first."""


def flow(record: Record) -> Section:
    """Pictures over training, and what they say in sentences."""
    panels = [
        Panel(title, unit, lines, log_y and _positive(lines))
        for metric, title, unit, log_y in PANELS
        if (lines := of_layers(record, metric))
    ]
    told = [_updates(record), _gradients(record), _residual(record), _units(record), _scores(record), _weights(record)]
    blocks: list[Block] = []
    if panels:
        says = "What flows forward and backward, by layer; logarithmic steps."
        blocks.append(Picture("flow", lambda dark: draw_curves(panels, log_x=True, dark=dark), says))
    points = [sentence for sentence in told if sentence]
    blocks += [Points(points)] if points else []
    return Section(
        "Forward and backward", blocks or [Words("Nothing was recorded of activations, gradients and updates.")]
    )


def _positive(lines: dict[str, tuple[np.ndarray, np.ndarray]]) -> bool:
    return all((np.asarray(values) > 0).any() for _, values in lines.values())


def _last(record: Record, metric: str) -> dict[int, float]:
    return {layer: series.last for layer, series in record.layers(metric).items() if series.last is not None}


def _updates(record: Record) -> str:
    """At the peak of the learning rate, for at the end it may be 0."""
    pair = warm_up_and_decay(record.of("train/lr"))
    if pair is None:
        return ""
    found = {}
    for layer, series in record.layers("stats/update_ratio").items():
        at_peak = series.between(pair[0], max(pair))
        value = float(np.median(at_peak.values)) if len(at_peak) else series.as_of(pair[0])
        if value is not None:
            found[layer] = value
    if not found:
        return ""
    told = f"At the peak of the learning rate one step changed the matrices by {_span(found)} of their length"
    return f"{told}."


def _span(found: dict[int, float], unit: str = "") -> str:
    """The smallest and the largest over layers, `0.1 (layer 0) to 0.3 (layer 2)`."""
    low, high = min(found, key=lambda i: found[i]), max(found, key=lambda i: found[i])
    if len(found) == 1 or number(found[low], 2) == number(found[high], 2):
        return f"{number(found[high], 2)}{unit}"
    return f"{number(found[low], 2)}{unit} (layer {low}) to {number(found[high], 2)}{unit} (layer {high})"


def _gradients(record: Record) -> str:
    last = _last(record, "stats/grad_norm")
    if len(last) < 2 or not last[max(last)] > 0:
        return ""
    ratio = last[min(last)] / last[max(last)]
    verdict = "it arrived at the bottom" if ratio > VANISHED else "little of it arrived at the bottom"
    return f"At the end layer {min(last)} had {number(ratio, 2)} times the gradient of layer {max(last)}: {verdict}."


def _residual(record: Record) -> str:
    layers = {layer: series for layer, series in record.layers("stats/resid_norm").items() if len(series)}
    if not layers:
        return ""
    begun, end = (number(x, 2) for x in (layers[max(layers)].first, layers[max(layers)].last))
    told = f"The residual stream after the last layer was {begun} long at the start and {end} at the end"
    adds = []
    for name, metric in (("attention", "stats/attn_out_norm"), ("MLP", "stats/mlp_out_norm")):
        if of_layer := _last(record, metric):
            layer = max(of_layer, key=lambda i: of_layer[i])
            adds.append(f"{number(of_layer[layer], 2)} by the {name} of layer {layer}")
    return f"{told}; the largest additions to it were {listed(adds)}." if adds else f"{told}."


def _units(record: Record) -> str:
    dead, full = _last(record, "stats/dead_share"), _last(record, "stats/saturated_share")
    if not dead:
        return ""
    worst = max(dead, key=lambda i: dead[i])
    if dead[worst] == 0:
        told = "Every MLP unit fired somewhere on the probe texts at the end"
    else:
        begun = percent(record.layers("stats/dead_share")[worst].first)
        told = (
            f"{percent(dead[worst])} of the MLP units of layer {worst} never fired on the probe texts ({begun} at the"
        )
        told += " start)" + (", fewer in other layers" if len(dead) > 1 else "")
    if full and max(full.values()) > 0:
        most = max(full, key=lambda i: full[i])
        told += f"; {percent(full[most])} of those of layer {most} always did"
    return f"{told}."


def _scores(record: Record) -> str:
    layers = {layer: series for layer, series in record.layers("stats/attn_logit_max").items() if len(series)}
    if not layers:
        return ""
    layer = max(layers, key=lambda i: float(layers[i].values.max()))
    highest, at = float(layers[layer].values.max()), int(layers[layer].values.argmax())
    step = int(layers[layer].steps[at])
    return f"The largest attention score before a softmax was {number(highest, 2)}, in layer {layer} at step {step:,}."


def _weights(record: Record) -> str:
    layers = {layer: series for layer, series in record.layers("stats/weight_norm").items() if len(series) > 1}
    growth = {layer: series.last / series.first for layer, series in layers.items() if series.first and series.last}
    return f"The norms of the matrices ended at {_span(growth, ' times')} what they began with." if growth else ""
