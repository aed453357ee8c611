"""A text at every snapshot of a run: attention, losses and every head's scores as a stream of plain values.

Where the text is one of the run's reference texts, or the beginning of one, training has recorded all of it: the
bundles in `probes/` are read and no model is opened. For any other text each snapshot is opened in turn; its frame is
cached, so it is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from analysis_app.analyses.declaration import Array, PackedRequest, RunName, analysis
from analysis_app.analyses.head_scores import SCORES, repeated_period, repeated_scores, text_scores
from analysis_app.analyses.reference_texts import Frame, ReferenceTexts
from analysis_app.analyses.text import default_text, read_text
from analysis_app.analyses.token_labels import labels
from analysis_app.library import Library, Opened
from analysis_app.library.runs import weights_key
from lab import interp
from lab.loading import list_weights
from lab.runs import CheckpointInfo, Run
from lab.runs.reference_texts import encode_pattern

MAX_FILM_BYTES = 96 * 2**20  # of patterns, one byte a number: what a browser holds of one text
FEWEST_FRAMES = 8
LEAST_FALL = 0.5  # nats: a token whose loss never fell by so much was not learned
SITES = (*interp.PATTERN_SITES, *interp.PREDICTION_SITES)


@dataclass(frozen=True)
class Film:
    """What is known before the first frame.

    `origin`: "probe" (from the bundles) or "computed". `ready`: frames follow; else the request must say `compute`.
    """

    origin: str
    ready: bool
    tokens: list[str]
    ids: list[int]
    steps: list[int]  # of the frames to come
    score_names: list[str]
    score_explanations: list[str]
    score_chance: list[float | None]
    period: int | None  # of the repeated random tokens that three of the scores are measured on
    uniform_loss: float
    probe_texts: list[str]
    notes: list[str]


@analysis("time", PackedRequest)
def film(
    library: Library,
    run: RunName,
    text: Annotated[str | None, Field(description="left out: the beginning of the run's own validation text")] = None,
    compute: Annotated[
        bool, Field(description="open every snapshot, where the text is none of the run's probe texts")
    ] = False,
) -> Iterator[dict[str, Any]]:
    """A text at every snapshot: a stream of JSON lines, `start`, a `frame` or a `problem` each, `end`. Patterns are
    bytes in square-root steps: probability = (value / 255)². Closing the connection ends the computing; what was
    computed is kept.

    Without `compute` no snapshot is opened: of a text that is no reference text only cached frames are shown. Raises
    `ValueError` before the first event.
    """
    trained = library.trained(run, "it has one set of weights and no snapshots of its training")
    opened = library.open(run)
    text = default_text(opened) if text is None else text
    references = ReferenceTexts(trained, opened.tokenizer)
    if place := references.find(text):
        return _recorded(references, *place)
    return _computed(library, trained, opened, text, references, compute)


def _recorded(references: ReferenceTexts, index: int, n: int) -> Iterator[dict[str, Any]]:
    first, ids = references.first, references.ids[index][:n]
    steps, note = _thinned(list(references.paths), first["patterns"][:, 0].nbytes)
    names = references.score_names
    start = Film(
        origin="probe",
        ready=True,
        tokens=labels(references.tokenizer, ids),
        ids=ids,
        steps=steps,
        score_names=names,
        score_explanations=[SCORES[name] for name in names],
        score_chance=[_number(first["score_chance"][i]) for i in references.score_rows],
        period=int(first["period"]) if "period" in first else None,
        uniform_loss=math.log(references.tokenizer.vocab_size),
        probe_texts=references.texts,
        notes=[*note, "entropy, first token and distance are means over all of the run's probe texts"],
    )
    return _events(start, (lambda step=step: references.frame(step, index, n) for step in steps))


def _computed(
    library: Library, run: Run, opened: Opened, text: str, references: ReferenceTexts, compute: bool
) -> Iterator[dict[str, Any]]:
    source, config = read_text(opened, text, at_least=2), opened.model.config
    infos = {info.step: info for info in list_weights(run)}
    steps, note = _thinned(list(infos), config.n_layers * config.n_heads * len(source.ids) ** 2)
    question = ("frame", tuple(source.ids))
    with opened.lock:
        scores = text_scores(interp.run_with_cache(opened.model, source.ids, interp.PATTERN_SITES))
    scores += repeated_scores(opened)
    start = Film(
        origin="computed",
        ready=compute or all(library.results.peek((weights_key(run, infos[step]), question)) for step in steps),
        tokens=source.tokens,
        ids=source.ids,
        steps=steps,
        score_names=[score.name for score in scores],
        score_explanations=[score.explanation for score in scores],
        score_chance=[score.chance for score in scores],
        period=repeated_period(config),
        uniform_loss=math.log(config.vocab_size),
        probe_texts=references.texts,
        notes=[*note, *references.problems],
    )

    def frame(info: CheckpointInfo) -> Frame:
        key = (weights_key(run, info), question)
        return library.results.get(key, lambda: _frame(library.open(run.name, info.step, keep=False), source.ids))

    return _events(start, (lambda info=infos[step]: frame(info) for step in steps))


def _frame(opened: Opened, ids: list[int]) -> Frame:
    with opened.lock:
        cache = interp.run_with_cache(opened.model, ids, SITES)
        patterns = encode_pattern(interp.attention_patterns(cache)[:, 0])
        losses = interp.token_losses(cache)[0].astype(np.float32)
        scores = text_scores(cache)
    values = [score.values for score in (*scores, *repeated_scores(opened))]
    assert opened.loaded.step is not None  # a snapshot of a run
    return Frame(opened.loaded.step, patterns, losses, np.stack(values).astype(np.float32))


def learned_at(steps: Sequence[int], losses: Array) -> list[int | None]:
    """When each token was learned: the first of `steps` from which on its loss stays at or below half-way between that
    of the first step and its lowest; None where it never fell by half a nat.

    `losses` `[step, token]` nats. Half-way, as a small model never comes near 0 and yet has learned a word.
    """
    found: list[int | None] = []
    for column in np.asarray(losses, dtype=np.float64).T:
        lowest = np.nanmin(column) if np.isfinite(column).any() else np.nan
        if not column[0] - lowest >= LEAST_FALL:
            found.append(None)
            continue
        above = np.flatnonzero(~(column <= (column[0] + lowest) / 2))
        after = int(above[-1]) + 1 if len(above) else 0
        found.append(steps[after] if after < len(steps) else None)
    return found


def _events(film: Film, frames: Iterator[Any]) -> Iterator[dict[str, Any]]:
    yield {"event": "start", **vars(film)}
    steps, losses = [], []
    for step, make in zip(film.steps, frames, strict=True) if film.ready else ():
        try:
            frame = make()
        except ValueError as error:  # of one snapshot: the others are shown
            yield {"event": "problem", "step": step, "problem": str(error)}
            continue
        steps.append(step)
        losses.append(frame.token_loss)
        yield {"event": "frame", **vars(frame)}
    yield {"event": "end", "learned": learned_at(steps, np.stack(losses)) if steps else []}


def _thinned(steps: list[int], each: int) -> tuple[list[int], list[str]]:
    """Of `steps` as many as a browser can hold, evenly, with the last; and a note where some are left out."""
    most = MAX_FILM_BYTES // max(1, each)
    if len(steps) <= most:
        return steps, []
    if most < FEWEST_FRAMES:
        raise ValueError(
            f"{each:,} attention weights a snapshot are too many to go through time with: shorten the text "
            f"by {100 - 100 * math.sqrt(MAX_FILM_BYTES / FEWEST_FRAMES / each):.0f} % or more"
        )
    every = math.ceil(len(steps) / most)
    kept = steps[::-1][::every][::-1]
    return kept, [f"{len(kept)} of {len(steps)} snapshots, every {every}th: all would not fit into a browser"]


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
