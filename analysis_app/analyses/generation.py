"""Text from a model, token by token, with the probabilities at each: plain values for a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field

from analysis_app.analyses.declaration import Request
from analysis_app.analyses.text import MAX_TEXT, default_text
from analysis_app.analyses.token_labels import labels
from analysis_app.library import Opened
from lab.generation import Sampling, Step, read_prompt, stream, with_text

MAX_NEW_TOKENS = 2000
ALTERNATIVES = 8


class Settings(Request):
    """How to sample; see `lab.generation.Sampling`."""

    max_tokens: int = 200
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 1337
    stop: Annotated[str, Field(description="generation ends where this text has been written", max_length=200)] = ""


def prompt_notes(opened: Opened, text: str) -> list[str]:
    """What the model will leave out of a prompt, a sentence each."""
    if len(text) > MAX_TEXT:
        return [_too_long(text)]
    return list(read_prompt(text, opened.tokenizer, opened.model.config.context_length).notes)


def _too_long(text: str) -> str:
    return f"the prompt has {len(text):,} characters, at most {MAX_TEXT:,} are read"


def generate(
    opened: Opened, text: str | None, settings: Settings, after: Sequence[int] = ()
) -> Iterator[dict[str, Any]]:
    """Events of one generated text: `start`, one `token` each, `end`.

    `after`: ids that follow the prompt's and were generated before, to branch from a token. Raises `ValueError` before
    the first event.
    """
    if not 1 <= settings.max_tokens <= MAX_NEW_TOKENS:
        raise ValueError(f"max_tokens={settings.max_tokens}: must lie between 1 and {MAX_NEW_TOKENS:,}")
    sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_k, settings.top_p, settings.seed)
    text = default_text(opened) if text is None else text
    if len(text) > MAX_TEXT:
        raise ValueError(_too_long(text))
    context = opened.model.config.context_length
    prompt = read_prompt(text, opened.tokenizer, context)
    tokens = [*prompt.tokens, *after][-context:]
    end = opened.tokenizer.eot_id
    stop = () if end is None else (end,)
    alternatives = min(ALTERNATIVES, opened.model.config.vocab_size)
    steps = stream(opened.model, tokens, sampling, stop=stop, alternatives=alternatives)
    start = {
        "event": "start",
        "run": opened.loaded.name,
        "step": opened.loaded.step,
        "prompt": labels(opened.tokenizer, prompt.tokens) if prompt.text else [],
        "notes": list(prompt.notes),
        "after": _pieces(opened, after),
        "settings": settings.model_dump(),
    }
    return _events(start, opened, steps, stop, settings.stop)


def _events(
    start: dict[str, Any], opened: Opened, steps: Iterator[Step], stop: tuple[int, ...], stop_text: str
) -> Iterator[dict[str, Any]]:
    yield start
    began, n, written, ended = time.perf_counter(), 0, "", "max_tokens"
    for step, piece in with_text(_locked(steps, opened), opened.tokenizer, stop):
        written += piece
        if step is None:  # the bytes of an unfinished character
            break
        n += 1
        yield _token(opened, step, piece)
        if step.token in stop:
            ended = "end of text"
        if stop_text and stop_text in written[-len(piece) - len(stop_text) :]:
            ended = "stop text"
            break
    seconds = time.perf_counter() - began
    speed = n / seconds if seconds else None
    yield {"event": "end", "ended": ended, "text": written, "tokens": n, "seconds": seconds, "tokens_per_second": speed}


def _pieces(opened: Opened, ids: Sequence[int]) -> list[str]:
    """The text of each token; a character in several tokens belongs to the last of them."""
    decoder = opened.tokenizer.stream()
    return [decoder.push(i) for i in ids if 0 <= i < opened.tokenizer.vocab_size]


def _locked(steps: Iterator[Step], opened: Opened) -> Iterator[Step]:
    """The steps, each under the model's lock, so that analyses get the model in between."""
    while True:
        with opened.lock:
            step = next(steps, None)
        if step is None:
            return
        yield step


def _token(opened: Opened, step: Step, piece: str) -> dict[str, Any]:
    ids = [alternative.token for alternative in step.alternatives]
    return {
        "event": "token",
        "id": step.token,
        "label": labels(opened.tokenizer, [step.token])[0],
        "text": piece,
        "probability": step.probability,
        "chance": step.chance,
        "alternatives": [
            {"id": i, "label": name, "probability": alternative.probability}
            for i, name, alternative in zip(ids, labels(opened.tokenizer, ids), step.alternatives, strict=True)
        ],
    }
