"""Attention: how it spreads over tokens and layers, and how heads came to do what they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lab.checks import is_number
from lab.figures.attention import MOST_GRID_POSITIONS, draw_head_grid, draw_head_scores
from lab.figures.curves import MOST_LINES, Panel, draw_curves
from lab.report.document import Block, Picture, Points, Section, Table, Words
from lab.report.record import Record
from lab.report.words import listed, number, percent
from lab.runs.probes import decode_pattern
from lab.runs.series import Series

SCORES = ("previous_token", "duplicate_token", "induction")
NAMES = {
    "previous_token": "previous token",
    "duplicate_token": "duplicate token",
    "induction": "induction",
    "first_token": "first token",
}
DOES = {
    "previous_token": "reads the token just before",
    "duplicate_token": "finds the earlier copy of the present token",
    "induction": "reads what came after the earlier copy",
    "first_token": "parks its attention on the first token",
}
FACTOR = 5.0
"""A head is said to do something where its score is so many times that of one that attends evenly."""
NEXT_TO_NOTHING = 0.05
"""Of the loss of guessing evenly."""
EVEN, NARROW = 0.9, 0.2
"""Entropies, of 1: above, attention is all but even; below, it is on a few keys."""


@dataclass(frozen=True)
class Head:
    """The head with the highest score of a kind: where, how high, what chance gives, when half of it was there."""

    kind: str
    layer: int
    head: int
    score: float
    chance: float
    half_at: int | None

    @property
    def formed(self) -> bool:
        """Whether it stands well out of chance."""
        return self.score > FACTOR * self.chance

    @property
    def name(self) -> str:
        """As the page calls it."""
        return f"layer {self.layer} head {self.head}"


def attention(record: Record) -> Section:
    """Pictures over training and of the newest bundle, sentences, and the strongest heads."""
    bundle, heads = record.bundle(), strongest(record)
    points = [_entropy(record), _first_token(record), _distance(record), *[_formed(h) for h in heads], _gain(record)]
    points = [sentence for sentence in points if sentence]
    blocks: list[Block] = []
    if panels := _panels(record):
        says = (
            "Attention over training, logarithmic steps: how even it is, the first token's share, the strongest heads."
        )
        blocks.append(Picture("attention", lambda dark: draw_curves(panels, log_x=True, dark=dark), says))
    if points:
        blocks.append(Points(points))
    if bundle is not None:
        blocks += _of_bundle(bundle)
    if heads:
        rows = [
            (NAMES[h.kind], h.name if h.formed else "none", number(h.score, 2), number(h.chance, 2), _half(h))
            for h in heads
        ]
        caption = "The strongest head of each kind, against one that attends evenly"
        blocks.append(
            Table(("kind", "head", "score", "chance", "half of it by step"), rows, numbers=(2, 3, 4), caption=caption)
        )
    if not blocks:
        blocks.append(
            Words("Nothing was recorded of the attention (`probes.every: 0`, or the run ended before its first look).")
        )
    return Section("Attention", blocks)


def strongest(record: Record) -> list[Head]:
    """The strongest head of each kind in the newest bundle, with its own history through all bundles."""
    bundle = record.bundle()
    scores = _scores(bundle)
    if bundle is None or not scores:
        return []
    found = []
    for kind in SCORES:
        if kind not in scores:
            continue
        values, chance = scores[kind]
        if not np.isfinite(values).any():
            continue
        layer, head = (int(i) for i in np.unravel_index(int(np.nanargmax(values)), values.shape))
        score = float(values[layer, head])
        layered = record.layers(f"stats/{kind}").get(layer)
        found.append(Head(kind, layer, head, score, chance, _half_at(layered, score)))
    return found


def _scores(bundle: Mapping[str, Any] | None) -> dict[str, tuple[np.ndarray, float]]:
    """Name → (`[layer, head]`, chance), of a bundle that has them."""
    if bundle is None or not {"score_names", "scores", "score_chance"} <= bundle.keys():
        return {}
    names, scores, chances = bundle["score_names"].tolist(), bundle["scores"], bundle["score_chance"]
    if scores.ndim != 3 or len(names) != len(scores) or len(names) != len(chances):
        return {}
    return {str(name): (scores[i], float(chances[i])) for i, name in enumerate(names)}


def _half_at(series: Series | None, score: float) -> int | None:
    """The step from which on the layer's best stayed above half of the way to the final score."""
    if series is None or len(series) < 2 or not score > series.values[0]:
        return None
    below = np.flatnonzero(series.values < (series.values[0] + score) / 2)
    at = int(below[-1]) + 1 if len(below) else 0
    return int(series.steps[at]) if at < len(series) else None


def _half(head: Head) -> str:
    return "n/a" if head.half_at is None or not head.formed else f"{head.half_at:,}"


def _formed(head: Head) -> str:
    score, chance = number(head.score, 2), number(head.chance, 2)
    if not head.formed:
        return f"No head {DOES[head.kind]}: the strongest puts {score} of its attention there, chance {chance}."
    when = f"; half of that it had by step {head.half_at:,}" if head.half_at else ""
    times = number(head.score / head.chance, 2)
    name = head.name.capitalize()
    much = f"{score} of its attention, {times} times as much as by chance"
    return f"**{name}** {DOES[head.kind]}, with {much}{when}."


def _entropy(record: Record) -> str:
    layers = {layer: series for layer, series in record.layers("stats/entropy").items() if len(series)}
    if not layers:
        return ""
    begun = float(np.mean([series.first for series in layers.values()]))
    last = {layer: float(series.values[-1]) for layer, series in layers.items()}
    ends = [f"{value:.2f} in layer {layer}" for layer, value in _few(last).items()]
    told = f"The entropy of attention (1: spread evenly over all it may see) went from {begun:.2f} to {listed(ends)}"
    for names, what in (
        ([str(layer) for layer, value in last.items() if value < NARROW], "on a few keys"),
        ([str(layer) for layer, value in last.items() if value > EVEN], "spread almost evenly to the end"),
    ):
        if names:
            told += f"; in {'layer' if len(names) == 1 else 'layers'} {listed(names)} it is {what}"
    return f"{told}."


def _first_token(record: Record) -> str:
    last = {layer: s.last for layer, s in record.layers("stats/first_token").items() if s.last is not None}
    if not last:
        return ""
    layer = max(last, key=lambda i: last[i] or 0.0)
    begun = percent(record.layers("stats/first_token")[layer].first)
    return f"The first token gets most in layer {layer}: {percent(last[layer])} of its attention, {begun} at the start."


def _distance(record: Record) -> str:
    last = {layer: s.last for layer, s in record.layers("stats/attn_distance").items() if s.last is not None}
    if len(last) < 2:
        return ""
    near, far = min(last, key=lambda i: last[i] or 0.0), max(last, key=lambda i: last[i] or 0.0)
    return f"Layer {near} looks {number(last[near], 2)} tokens back on average, layer {far} {number(last[far], 2)}."


def _gain(record: Record) -> str:
    gap = record.of("stats/induction_loss_gap")
    if gap.last is None:
        return ""
    seen = "having seen random tokens once before in the same context"
    if abs(gap.last) < next_to_nothing(record):
        return f"{seen.capitalize()} makes next to no difference to their repeat ({gap.last:+.2f} nats a token)."
    return (
        f"{seen.capitalize()} {'saves' if gap.last > 0 else 'costs'} {abs(gap.last):.2f} nats a token on their repeat."
    )


def next_to_nothing(record: Record) -> float:
    """A gain from a repeat, in nats, that is within the luck of a few random sequences."""
    return NEXT_TO_NOTHING * max(1.0, record.baselines.get("uniform", 1.0))


def _few(of_layers: dict[int, Any], most: int = MOST_LINES) -> dict[int, Any]:
    """Some layers out of many: first and last, and evenly between."""
    names = sorted(of_layers)
    picked = names if len(names) <= most else [names[round(i * (len(names) - 1) / (most - 1))] for i in range(most)]
    return {layer: of_layers[layer] for layer in picked}


def of_layers(record: Record, metric: str) -> dict[str, tuple[Any, Any]]:
    """Lines for a panel, one a layer, at most as many as it has colours for."""
    found = {layer: series for layer, series in record.layers(metric).items() if len(series)}
    return {f"layer {layer}": (series.steps, series.values) for layer, series in _few(found).items()}


def _panels(record: Record) -> list[Panel]:
    panels = []
    if lines := of_layers(record, "stats/entropy"):
        panels.append(Panel("Evenness", "entropy of attention, of 1", lines))
    if lines := of_layers(record, "stats/first_token"):
        panels.append(Panel("On the first token", "share of attention", lines))
    kinds = {NAMES[kind]: record.of(f"stats/{kind}") for kind in SCORES}
    best = {name: (series.steps, series.values) for name, series in kinds.items() if len(series)}
    if best:
        panels.append(Panel("What heads do", "score of the strongest head", best))
    gap = record.of("stats/induction_loss_gap")
    if len(gap):
        panels.append(Panel("Gain from a repeat", "nats per token", {"": (gap.steps, gap.values)}))
    return panels


def _of_bundle(bundle: Mapping[str, Any]) -> list[Block]:
    """Every head's scores and pattern, from the newest bundle."""
    blocks: list[Block] = []
    step = int(bundle["step"]) if "step" in bundle and is_number(float(bundle["step"])) else 0
    shown = {NAMES[k]: v for k, v in _scores(bundle).items() if k in NAMES and is_number(v[1])}
    if shown:
        says = f"Every head at step {step:,}: the share of its attention that each kind of head would have."
        blocks.append(Picture("heads", partial(_draw_scores, shown), says))
    patterns = bundle.get("patterns")
    if patterns is not None and patterns.ndim == 5 and patterns.size and patterns.shape[0] * patterns.shape[2] <= 400:
        n = min(patterns.shape[-1], MOST_GRID_POSITIONS)
        first = decode_pattern(patterns[:, 0, :, :n, :n])
        says = f"Every head on the first probe text at step {step:,}: rows read from columns."
        blocks.append(Picture("patterns", partial(_draw_grid, first), says))
    return blocks


def _draw_scores(shown: Mapping[str, tuple[np.ndarray, float]], dark: bool) -> Figure:
    return draw_head_scores(shown, dark=dark)


def _draw_grid(patterns: np.ndarray, dark: bool) -> Figure:
    return draw_head_grid(patterns, dark=dark)
