"""Forward and backward pass: how large activations, gradients and updates were, by layer."""

from __future__ import annotations

import numpy as np

from lab.figures.curves import Panel, draw_curves
from lab.report.document import Block, Paragraph, Picture, Section, bullets
from lab.report.formatting import listed, number, percent
from lab.report.loss_curve import warm_up_and_decay
from lab.report.run_record import RunRecord
from lab.report.sections.attention import layer_lines
from lab.runs import metrics

PANELS = (
    (metrics.STATS_UPDATE_RATIO, "Update / weight", "of a layer's matrices, one step", True),
    (metrics.STATS_GRAD_NORM, "Gradient norm", "of a layer's matrices", True),
    (metrics.STATS_RESID_NORM, "Residual stream", "norm after a layer", True),
    (metrics.STATS_DEAD_SHARE, "Dead units", "share of a layer's MLP", False),
    (metrics.STATS_ATTN_LOGIT_MAX, "Largest attention score", "before the softmax", True),
    (metrics.STATS_WEIGHT_NORM, "Weights", "norm of a layer's matrices", False),
)
VANISHED = 0.1  # gradient of the first layer / that of the last, below which little reaches the first


def forward_backward(record: RunRecord) -> Section:
    """Curves over training, and what they show in sentences."""
    panels = []
    for metric, title, unit, log_y in PANELS:
        if lines := layer_lines(record, metric):
            positive = all((np.asarray(values) > 0).any() for _, values in lines.values())
            panels.append(Panel(title, unit, lines, log_y and positive))
    blocks: list[Block] = []
    if panels:
        caption = "Norms, updates and units by layer; logarithmic steps."
        blocks.append(Picture("flow", lambda dark: draw_curves(panels, log_x=True, dark=dark), caption))
    blocks += bullets(
        [_updates(record), _gradients(record), _residual(record), _units(record), _scores(record), _weights(record)]
    )
    nothing = Paragraph("Nothing was recorded of activations, gradients and updates.")
    return Section("Forward and backward", blocks or [nothing])


def _span(by_layer: dict[int, float], unit: str = "") -> str:
    """The smallest and the largest over layers, `0.1 (layer 0) to 0.3 (layer 2)`."""
    low, high = min(by_layer, key=lambda i: by_layer[i]), max(by_layer, key=lambda i: by_layer[i])
    if number(by_layer[low], 2) == number(by_layer[high], 2):
        return f"{number(by_layer[high], 2)}{unit}"
    return f"{number(by_layer[low], 2)}{unit} (layer {low}) to {number(by_layer[high], 2)}{unit} (layer {high})"


def _updates(record: RunRecord) -> str:
    """At the peak of the learning rate, because at the end it may be 0."""
    pair, found = warm_up_and_decay(record.of(metrics.TRAIN_LR)), {}
    if pair is None:
        return ""
    for layer, series in record.layers(metrics.STATS_UPDATE_RATIO).items():
        at_peak = series.between(*pair)
        value = float(np.median(at_peak.values)) if len(at_peak) else series.as_of(pair[0])
        if value is not None:
            found[layer] = value
    return f"At the peak learning rate one step changed the matrices by {_span(found)} of their norm." if found else ""


def _gradients(record: RunRecord) -> str:
    last = record.last_of_layers(metrics.STATS_GRAD_NORM)
    if len(last) < 2 or not last[max(last)] > 0:
        return ""
    ratio = last[min(last)] / last[max(last)]
    verdict = "it reached the first layer" if ratio > VANISHED else "little of it reached the first layer"
    return f"At the end layer {min(last)} had {number(ratio, 2)} times the gradient of layer {max(last)}: {verdict}."


def _residual(record: RunRecord) -> str:
    layers = record.layers(metrics.STATS_RESID_NORM)
    if not layers:
        return ""
    begun, end = (number(x, 2) for x in (layers[max(layers)].first, layers[max(layers)].last))
    told = f"The norm of the residual stream after the last layer was {begun} at the start and {end} at the end"
    adds = []
    for name, metric in (("attention", metrics.STATS_ATTN_OUT_NORM), ("MLP", metrics.STATS_MLP_OUT_NORM)):
        if last := record.last_of_layers(metric):
            layer = max(last, key=lambda i: last[i])
            adds.append(f"{number(last[layer], 2)} by the {name} of layer {layer}")
    return f"{told}; the largest additions to it were {listed(adds)}." if adds else f"{told}."


def _units(record: RunRecord) -> str:
    dead, full = record.last_of_layers(metrics.STATS_DEAD_SHARE), record.last_of_layers(metrics.STATS_SATURATED_SHARE)
    if not dead:
        return ""
    worst = max(dead, key=lambda i: dead[i])
    if dead[worst] == 0:
        told = "Every MLP unit was active on some token of the reference texts at the end"
    else:
        begun = percent(record.layers(metrics.STATS_DEAD_SHARE)[worst].first)
        told = f"{percent(dead[worst])} of the MLP units of layer {worst} were never active on the reference texts"
        told += f" ({begun} at the start)" + (", fewer in other layers" if len(dead) > 1 else "")
    if full and max(full.values()) > 0:
        most = max(full, key=lambda i: full[i])
        told += f"; {percent(full[most])} of those of layer {most} always were"
    return f"{told}."


def _scores(record: RunRecord) -> str:
    layers = record.layers(metrics.STATS_ATTN_LOGIT_MAX)
    if not layers:
        return ""
    layer = max(layers, key=lambda i: float(layers[i].values.max()))
    at = int(layers[layer].values.argmax())
    highest, step = float(layers[layer].values[at]), int(layers[layer].steps[at])
    return f"The largest attention score before a softmax was {number(highest, 2)}, in layer {layer} at step {step:,}."


def _weights(record: RunRecord) -> str:
    layers = record.layers(metrics.STATS_WEIGHT_NORM)
    growth = {i: s.last / s.first for i, s in layers.items() if len(s) > 1 and s.first and s.last}
    return f"The norms of the matrices ended at {_span(growth, ' times')} their initial values." if growth else ""
