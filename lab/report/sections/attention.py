"""Attention: how it spreads over tokens and layers, and what single heads came to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from lab.checks import is_number
from lab.figures.attention import MOST_GRID_POSITIONS, draw_head_grid, draw_head_scores
from lab.figures.curves import MOST_LINES, Panel, draw_curves
from lab.report.document import Block, Paragraph, Picture, Section, Table, bullets
from lab.report.formatting import listed, number, percent
from lab.report.run_record import RunRecord
from lab.runs import metrics
from lab.runs.reference_texts import decode_pattern
from lab.runs.series import Series
from lab.units import UNKNOWN

DOES = {
    "previous_token": "attends to the token just before",
    "duplicate_token": "attends to the earlier copy of the present token",
    "induction": "attends to what followed the earlier copy",
}
"""Score → what a head with a high one does."""
FACTOR = 5.0  # a head has formed where its score is this many times that of one that attends evenly
NEXT_TO_NOTHING = 0.05  # a gain that does not count, as a share of the loss of guessing evenly
EVEN, NARROW = 0.9, 0.2  # entropies of 1 above which attention is almost even, below which it is on a few keys
MOST_PATTERNS = 400  # heads that a picture of all patterns has room for
T = TypeVar("T")


@dataclass(frozen=True)
class Head:
    """The head with the highest score of a kind: its score, that of even attention, and the step by which half of the
    rise to its score was done."""

    kind: str
    layer: int
    head: int
    score: float
    chance: float
    half_at: int | None

    @property
    def formed(self) -> bool:
        """Whether its score is far above chance."""
        return self.score > FACTOR * self.chance

    @property
    def name(self) -> str:
        """As on the page."""
        return f"layer {self.layer} head {self.head}"


def attention(record: RunRecord) -> Section:
    """Pictures over training and of the newest recording, sentences, and the strongest heads."""
    heads = strongest(record)
    blocks: list[Block] = []
    if panels := _panels(record):
        caption = (
            "Attention over training, logarithmic steps: how even it is, the first token's share, the strongest heads."
        )
        blocks.append(Picture("attention", lambda dark: draw_curves(panels, log_x=True, dark=dark), caption))
    blocks += bullets(
        [_entropy(record), _first_token(record), _distance(record), *[_does(head) for head in heads], _gain(record)]
    )
    blocks += _pictures(record.bundle)
    if heads:
        rows = [
            (
                label(h.kind), h.name if h.formed else "none", number(h.score, 2), number(h.chance, 2),
                f"{h.half_at:,}" if h.formed and h.half_at is not None else UNKNOWN,
            )
            for h in heads
        ]  # fmt: skip
        headings = ("kind", "head", "score", "chance", "half of it by step")
        caption = "The strongest head of each kind; chance: the score of a head that attends evenly"
        blocks.append(Table(headings, rows, numbers=(2, 3, 4), caption=caption))
    if not blocks:
        why = "`probes.every: 0`, or the run ended before the first measurement"
        blocks.append(Paragraph(f"Nothing was recorded of the attention ({why})."))
    return Section("Attention", blocks)


def label(kind: str) -> str:
    """A score in words: `previous token`."""
    return kind.replace("_", " ")


def strongest(record: RunRecord) -> list[Head]:
    """The strongest head of each kind in the newest recording, with the history of its layer."""
    found = []
    scores = _scores(record.bundle)
    for kind in DOES.keys() & scores.keys():
        values, chance = scores[kind]
        if np.isfinite(values).any():
            layer, head = (int(i) for i in np.unravel_index(int(np.nanargmax(values)), values.shape))
            score = float(values[layer, head])
            half_at = _half_at(record.layers(f"stats/{kind}").get(layer), score)
            found.append(Head(kind, layer, head, score, chance, half_at))
    return sorted(found, key=lambda head: list(DOES).index(head.kind))


def _scores(bundle: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, float]]:
    """Name → (`[layer, head]`, chance), of a recording that has them."""
    if not {"score_names", "scores", "score_chance"} <= bundle.keys():
        return {}
    names, scores, chances = bundle["score_names"].tolist(), bundle["scores"], bundle["score_chance"]
    if scores.ndim != 3 or len(names) != len(scores) or len(names) != len(chances):
        return {}
    return {str(name): (scores[i], float(chances[i])) for i, name in enumerate(names)}


def _half_at(series: Series | None, score: float) -> int | None:
    """The step from which on the layer's best score stayed above half of the way to the final one."""
    if series is None or len(series) < 2 or not score > series.values[0]:
        return None
    below = np.flatnonzero(series.values < (series.values[0] + score) / 2)
    at = int(below[-1]) + 1 if len(below) else 0
    return int(series.steps[at]) if at < len(series) else None


def _does(head: Head) -> str:
    score, chance = number(head.score, 2), number(head.chance, 2)
    if not head.formed:
        return f"No head {DOES[head.kind]}: the highest share of attention there is {score}, chance {chance}."
    when = f"; half of that by step {head.half_at:,}" if head.half_at else ""
    times = number(head.score / head.chance, 2)
    return f"**{head.name.capitalize()}** {DOES[head.kind]}: {score} of its attention, {times} times chance{when}."


def _entropy(record: RunRecord) -> str:
    layers, last = record.layers(metrics.STATS_ENTROPY), record.last_of_layers(metrics.STATS_ENTROPY)
    if not layers:
        return ""
    begun = float(np.mean([series.first for series in layers.values()]))
    ends = [f"{value:.2f} in layer {layer}" for layer, value in _few(last).items()]
    told = f"The entropy of attention (1: even over all visible tokens) went from {begun:.2f} to {listed(ends)}"
    for names, what in (
        ([str(layer) for layer, value in last.items() if value < NARROW], "on a few tokens"),
        ([str(layer) for layer, value in last.items() if value > EVEN], "almost even to the end"),
    ):
        if names:
            told += f"; in {'layer' if len(names) == 1 else 'layers'} {listed(names)} it is {what}"
    return f"{told}."


def _first_token(record: RunRecord) -> str:
    last = record.last_of_layers(metrics.STATS_FIRST_TOKEN)
    if not last:
        return ""
    layer = max(last, key=lambda i: last[i])
    begun = percent(record.layers(metrics.STATS_FIRST_TOKEN)[layer].first)
    return f"The first token gets most in layer {layer}: {percent(last[layer])} of its attention, {begun} at the start."


def _distance(record: RunRecord) -> str:
    last = record.last_of_layers(metrics.STATS_ATTN_DISTANCE)
    if len(last) < 2:
        return ""
    near, far = min(last, key=lambda i: last[i]), max(last, key=lambda i: last[i])
    back = f"{number(last[near], 2)} tokens back on average, layer {far} {number(last[far], 2)}"
    return f"Layer {near} attends {back}."


def _gain(record: RunRecord) -> str:
    gap = record.of(metrics.STATS_INDUCTION_LOSS_GAP).last
    if gap is None:
        return ""
    if abs(gap) < next_to_nothing(record):
        return f"Random tokens cost as much when they are repeated in the same context ({gap:+.2f} nats a token)."
    less = "less" if gap > 0 else "more"
    return f"Random tokens cost {abs(gap):.2f} nats a token {less} when they are repeated in the same context."


def next_to_nothing(record: RunRecord) -> float:
    """A gain from a repeat, in nats, that is within the noise of a few random sequences."""
    return NEXT_TO_NOTHING * max(1.0, record.baselines.get("uniform", 1.0))


def _few(by_layer: Mapping[int, T], most: int = MOST_LINES) -> dict[int, T]:
    """Some layers out of many: first and last, and evenly between."""
    names = sorted(by_layer)
    picked = names if len(names) <= most else [names[round(i * (len(names) - 1) / (most - 1))] for i in range(most)]
    return {layer: by_layer[layer] for layer in picked}


def layer_lines(record: RunRecord, metric: str) -> dict[str, tuple[Any, Any]]:
    """Lines for a panel, one for each layer, at most as many as it has colours for."""
    return {f"layer {layer}": (s.steps, s.values) for layer, s in _few(record.layers(metric)).items()}


def _panels(record: RunRecord) -> list[Panel]:
    panels = []
    if lines := layer_lines(record, metrics.STATS_ENTROPY):
        panels.append(Panel("Evenness", "entropy of attention, of 1", lines))
    if lines := layer_lines(record, metrics.STATS_FIRST_TOKEN):
        panels.append(Panel("On the first token", "share of attention", lines))
    kinds = {label(kind): record.of(f"stats/{kind}") for kind in DOES}
    if best := {name: (series.steps, series.values) for name, series in kinds.items() if len(series)}:
        panels.append(Panel("Head scores", "score of the strongest head", best))
    gap = record.of(metrics.STATS_INDUCTION_LOSS_GAP)
    if len(gap):
        panels.append(Panel("Gain from a repeat", "nats per token", {"": (gap.steps, gap.values)}))
    return panels


def _pictures(bundle: Mapping[str, Any]) -> list[Block]:
    """Every head's scores and pattern, from the newest recording."""
    blocks: list[Block] = []
    step = int(bundle["step"]) if "step" in bundle and is_number(float(bundle["step"])) else 0
    shown = {
        label(kind): score
        for kind, score in _scores(bundle).items()
        if kind in (*DOES, "first_token") and is_number(score[1])
    }
    if shown:
        caption = f"Every head at step {step:,}: the share of its attention that each score measures."
        blocks.append(Picture("heads", lambda dark: draw_head_scores(shown, dark=dark), caption))
    patterns = bundle.get("patterns")
    if patterns is None or patterns.ndim != 5 or not patterns.size:
        return blocks
    if patterns.shape[0] * patterns.shape[2] <= MOST_PATTERNS:
        n = min(patterns.shape[-1], MOST_GRID_POSITIONS)
        first = decode_pattern(patterns[:, 0, :, :n, :n])
        caption = f"Every head on the first reference text at step {step:,}: rows read from columns."
        blocks.append(Picture("patterns", lambda dark: draw_head_grid(first, dark=dark), caption))
    return blocks
