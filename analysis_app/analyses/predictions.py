"""Next-token predictions: loss and best guesses at each token, logit lens, direct logit attribution, all logits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from analysis_app.analyses.declaration import Answer, Array, OneHead, OneLayer, analysis
from analysis_app.analyses.text import check_index, check_part, read_text
from analysis_app.analyses.token_labels import label, labels
from analysis_app.library import Opened
from lab import interp

TOP_GUESSES = 10
LENS_GUESSES = 5
SHOWN_CANDIDATES = 200


@analysis("predictions", endpoint=True)
def predictions(opened: Opened, text: str | None = None, layer: OneLayer = None, head: OneHead = None) -> Answer:
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
    return {
        "source": source,
        "layer": layer,
        "head": head,
        "uniform_loss": math.log(model.config.vocab_size),  # of a uniform guess
        "mean_loss": float(found.loss.mean()),
        "loss": found.loss[0],  # [pos-1] nats; entry t of this and the next two is for token t+1
        "probability": found.probability[0],  # [pos-1]
        "rank": found.rank[0],  # [pos-1] 1 is the first guess
        "top_tokens": _names(opened, found.top_tokens[0]),  # [pos][k], the last of them for the token after the text
        "top_probabilities": found.top_probabilities[0],  # [pos, k]
        "lens": {  # the guess read off the stream before each layer and after the last
            "rows": lens.labels[rows],
            "top_tokens": _names(opened, lens.top_tokens[rows, 0]),  # [row][pos][k]
            "top_probabilities": lens.top_probabilities[rows, 0],  # [row, pos, k]
            "target_loss": lens.target_loss[rows, 0],  # [row, pos-1]
            "target_rank": lens.target_rank[rows, 0],  # [row, pos-1]
            "kl_to_final": lens.kl_to_final[rows, 0],  # [row, pos]
        },
        "attribution": attribution,
        "attribution_missing": missing,  # why it is None
    }


@analysis("next_token")
def next_token(
    opened: Opened,
    text: str | None = None,
    position: Annotated[
        int | None, Field(description="the token whose successor is asked for, from 0; left out: the last")
    ] = None,
) -> Answer:
    """All logits after one position, the largest first: what temperature, top-k and top-p reshape."""
    source = read_text(opened, text)
    position = len(source.ids) - 1 if position is None else position
    check_index(("position", position, len(source.ids)))
    with opened.lock:
        # Later tokens cannot be seen from here, so they need not be computed.
        cache = interp.run_with_cache(opened.model, source.ids[: position + 1], interp.PREDICTION_SITES)
        logits, ids = cache.logits[0, -1].float().sort(descending=True, stable=True)
    shown = ids[:SHOWN_CANDIDATES].tolist()
    return {
        "source": source,
        "position": position,
        "logits": logits.cpu().numpy(),  # [vocab] descending
        "ids": shown,  # of the first SHOWN_CANDIDATES
        "tokens": labels(opened.tokenizer, shown),
    }


def _attribution(opened: Opened, found: interp.Attribution, layer: int | None, head: int | None) -> Answer:
    """What each part added to the logit of the model's first guess."""
    wanted = re.compile(
        ".*" if layer is None else rf"(L{layer}H\d+|{layer}_\w+)" if head is None else f"L{layer}H{head}"
    )
    kept = [i for i, part in enumerate(found.labels) if wanted.fullmatch(part)]
    return {
        "parts": [found.labels[i] for i in kept],
        "values": found.values[kept, 0],  # [part, pos]
        "targets": labels(opened.tokenizer, found.targets[0].tolist()),  # [pos]
        "logits": found.logits[0],  # [pos]
        "error": found.error,  # the largest difference between a logit and the sum of its parts
    }


def _names(opened: Opened, ids: Array) -> Any:
    """The labels of an array of token ids, in nested lists of its shape."""
    tokens: Sequence[bytes | None] = opened.tokenizer.tokens
    return label(tokens[int(ids)]) if ids.ndim == 0 else [_names(opened, part) for part in ids]
