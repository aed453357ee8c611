"""Next-token predictions: loss and best guesses at each token, logit lens, direct logit attribution, all logits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from analysis_app.analyses.declaration import Array, analysis
from analysis_app.analyses.text import Source, check_index, check_part, read_text
from analysis_app.analyses.token_labels import label, labels
from analysis_app.library import Opened
from lab import interp

TOP_GUESSES = 10
LENS_GUESSES = 5
SHOWN_CANDIDATES = 200


@dataclass(frozen=True)
class Lens:
    """The logit lens: the guess read off the stream before each layer and after the last."""

    rows: list[str]
    top_tokens: list[list[list[str]]]  # [row][pos][k]
    top_probabilities: Array  # [row, pos, k]
    target_loss: Array  # [row, pos-1]
    target_rank: Array  # [row, pos-1]
    kl_to_final: Array  # [row, pos]


@dataclass(frozen=True)
class AttributionView:
    """What each part added to the logit of the model's first guess."""

    parts: list[str]
    values: Array  # [part, pos]
    targets: list[str]  # [pos]
    logits: Array  # [pos]
    error: float  # the largest difference between a logit and the sum of its parts


@dataclass(frozen=True)
class PredictionView:
    """Entry t of the first three is about token t+1; the guesses have one more, for the token after the text."""

    source: Source
    layer: int | None  # of lens and attribution; None: all
    head: int | None
    uniform_loss: float  # ln(vocab_size), of a uniform guess
    mean_loss: float | None
    loss: Array  # [pos-1] nats
    probability: Array  # [pos-1]
    rank: Array  # [pos-1] 1 is the first guess
    top_tokens: list[list[str]]  # [pos][k]
    top_probabilities: Array  # [pos, k]
    lens: Lens
    attribution: AttributionView | None
    attribution_missing: str | None  # why it is None


@dataclass(frozen=True)
class NextView:
    """The logits after one position, the largest first: what temperature, top-k and top-p reshape."""

    source: Source
    position: int
    logits: Array  # [vocab] descending
    ids: list[int]  # of the first SHOWN_CANDIDATES
    tokens: list[str]


@analysis("predictions", endpoint=True)
def predictions(
    opened: Opened,
    text: str | None = None,
    layer: Annotated[int | None, Field(description="left out: all")] = None,
    head: Annotated[int | None, Field(description="left out: all of the layer")] = None,
) -> PredictionView:
    """Loss, rank and best guesses at each token; logit lens and direct logit attribution of the first guess, whole or
    of one layer or head.
    """
    model, source = opened.model, read_text(opened, text, at_least=2)
    check_part(opened, layer, head)
    with opened.lock:
        cache = interp.run_with_cache(model, source.ids, (*interp.ATTRIBUTION_SITES, *interp.LENS_SITES))
        found = interp.token_predictions(cache, TOP_GUESSES)
        lens = interp.logit_lens(model, cache, LENS_GUESSES)
        attribution, missing = None, None
        try:
            attribution = _attribution(opened, interp.direct_logit_attribution(model, cache), layer, head)
        except ValueError as error:
            missing = str(error)
    rows = slice(None) if layer is None else slice(layer, layer + 2)
    return PredictionView(
        source=source,
        layer=layer,
        head=head,
        uniform_loss=math.log(model.config.vocab_size),
        mean_loss=float(found.loss.mean()),
        loss=found.loss[0],
        probability=found.probability[0],
        rank=found.rank[0],
        top_tokens=_names(opened, found.top_tokens[0]),
        top_probabilities=found.top_probabilities[0],
        lens=Lens(
            rows=lens.labels[rows],
            top_tokens=_names(opened, lens.top_tokens[rows, 0]),
            top_probabilities=lens.top_probabilities[rows, 0],
            target_loss=lens.target_loss[rows, 0],
            target_rank=lens.target_rank[rows, 0],
            kl_to_final=lens.kl_to_final[rows, 0],
        ),
        attribution=attribution,
        attribution_missing=missing,
    )


@analysis("next_token")
def next_token(
    opened: Opened,
    text: str | None = None,
    position: Annotated[
        int | None, Field(description="the token whose successor is asked for, from 0; left out: the last")
    ] = None,
) -> NextView:
    """All logits after one position, the largest first."""
    source = read_text(opened, text)
    position = len(source.ids) - 1 if position is None else position
    check_index(("position", position, len(source.ids)))
    with opened.lock:
        # Later tokens cannot be seen from here, so they need not be computed.
        cache = interp.run_with_cache(opened.model, source.ids[: position + 1], interp.PREDICTION_SITES)
        logits, ids = cache.logits[0, -1].float().sort(descending=True, stable=True)
    shown = ids[:SHOWN_CANDIDATES].tolist()
    return NextView(source, position, logits.cpu().numpy(), shown, labels(opened.tokenizer, shown))


def _attribution(opened: Opened, found: interp.Attribution, layer: int | None, head: int | None) -> AttributionView:
    targets = labels(opened.tokenizer, found.targets[0].tolist())
    wanted = re.compile(
        ".*" if layer is None else rf"(L{layer}H\d+|{layer}_\w+)" if head is None else f"L{layer}H{head}"
    )
    kept = [i for i, part in enumerate(found.labels) if wanted.fullmatch(part)]
    values = found.values[kept, 0]
    return AttributionView([found.labels[i] for i in kept], values, targets, found.logits[0], found.error)


def _names(opened: Opened, ids: Array) -> Any:
    """The labels of an array of token ids, in nested lists of its shape."""
    tokens: Sequence[bytes | None] = opened.tokenizer.tokens
    return label(tokens[int(ids)]) if ids.ndim == 0 else [_names(opened, part) for part in ids]
