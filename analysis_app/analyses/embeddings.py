"""Token embeddings as a map with the same axes at every step, and the neighbours of a token."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import Field

from analysis_app.analyses.declaration import Answer, WeightsRequest, analysis
from analysis_app.analyses.text import check_index, validation_ids
from analysis_app.analyses.token_labels import label, labels
from analysis_app.library import Library, NotFoundError, Opened
from lab import interp

MOST_POINTS = 2000  # of a larger vocabulary the most frequent tokens are drawn
NEIGHBOURS = 12


@analysis("embeddings")
def embedding_map(library: Library, run: str, step: int | None = None) -> Answer:
    """Token embeddings, projected on the two principal directions of the run's last weights."""
    opened, last = library.open(run, step), library.open(run)
    ids, counts = _shown(opened)

    def fit() -> interp.EmbeddingMap:
        with last.lock:
            return interp.embedding_pca(last.model, ids)

    fitted = last.cached("embedding_map", fit)
    with opened.lock:
        found = interp.embedding_pca(opened.model, ids, basis=fitted.basis)
    pieces = [opened.tokenizer.tokens[i] for i in ids]
    return {
        "run": opened.loaded.name,
        "step": opened.loaded.step,
        "fitted_step": last.loaded.step,  # the snapshot that the directions are of
        "ids": ids,  # [point]
        "tokens": [label(piece) for piece in pieces],  # [point]
        "kinds": [kind(piece) for piece in pieces],  # [point]
        "counts": [counts[i] for i in ids],  # [point] in the validation slice
        "points": found.points,  # [point, 2]
        "explained": found.explained,  # [2] share of these tokens' variance at this step
        "extent": float(abs(fitted.points).max()),  # how far the last snapshot reaches: the scale of every step's map
        "vocab_size": opened.tokenizer.vocab_size,
        "tied": opened.model.unembedding is None,  # whether the same embedding scores the next token
    }


@analysis("neighbours", WeightsRequest)
def neighbours(
    opened: Opened,
    token: Annotated[int, Field(description="the token's id", ge=0)],
    k: Annotated[int, Field(ge=1, le=200)] = NEIGHBOURS,
) -> Answer:
    """The `k` tokens whose embeddings are most like one token's, by cosine, the nearest first."""
    check_index(("token", token, opened.tokenizer.vocab_size))
    with opened.lock:
        found = interp.token_neighbours(opened.model, [token], k)
    ids = found.tokens[0].tolist()
    return {
        "run": opened.loaded.name,
        "step": opened.loaded.step,
        "id": token,
        "token": label(opened.tokenizer.tokens[token]),
        "ids": ids,
        "tokens": labels(opened.tokenizer, ids),
        "cosines": found.cosines[0],
    }


@analysis("piece", WeightsRequest)
def find_token(opened: Opened, text: Annotated[str, Field(max_length=200)]) -> Answer:
    """The one token that a text is, `{"id", "token"}`. Raises `NotFoundError` for a text of several tokens."""
    ids = opened.tokenizer.encode(text[:200]).tolist()
    if len(ids) != 1:
        parts = " | ".join(labels(opened.tokenizer, ids[:20]))
        raise NotFoundError(f"{text[:40]!r} is no single token here: it is read as {parts or 'nothing'}")
    return {"id": ids[0], "token": label(opened.tokenizer.tokens[ids[0]])}


def kind(piece: bytes | None) -> str:
    """The kind of a token, for its colour: lower case, capital, digit, space, punctuation or other. A leading space
    does not count.
    """
    try:
        text = (piece or b"").decode("utf-8")
    except UnicodeDecodeError:
        return "other"
    first = text.strip()[:1]
    if not first:
        return "space" if text else "other"
    if first.isdigit():
        return "digit"
    if first.isalpha():
        return "capital" if first.isupper() else "lower case"
    return "punctuation" if first.isprintable() else "other"


def _shown(opened: Opened) -> tuple[list[int], Counter[int]]:
    try:
        counts = Counter(validation_ids(opened))
    except ValueError:  # a published model: in the order of its vocabulary, roughly by frequency
        counts = Counter()
    ids = sorted(range(opened.tokenizer.vocab_size), key=lambda i: (-counts[i], i))[:MOST_POINTS]
    return sorted(ids), counts
