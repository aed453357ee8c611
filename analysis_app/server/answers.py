"""The routes under `/api/`: the page's own source, and anybody's.

    curl -s localhost:7861/api/analyze/attention -H 'Content-Type: application/json' \\
         -d '{"run": "last", "text": "To be or not", "layer": 0}'

An analysis takes `run`, `step` (left out: the newest weights) and `text` (left out: the run's own validation text).
Arrays come as nested lists; with `"packed": true` as `{"shape", "dtype", "data"}`, base64 of little-endian numbers,
which is what the page asks for. What goes wrong is answered as `{"error": one sentence, "id": …}`; the log has the
traceback under that id.
"""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from analysis_app.analyses import generation as writing
from analysis_app.analyses import services
from analysis_app.analyses.views import Array
from analysis_app.library.runs import ConflictError, Library, NotFoundError
from analysis_app.page.selection import Selection, clamp, from_query
from analysis_app.server.jobs import follow, no_progress
from lab.interp.ablation import Progress

logger = logging.getLogger(__name__)


class Asked(BaseModel):
    """Which weights."""

    model_config = ConfigDict(extra="forbid")
    run: str = Field(description="a run's name, or `last`", max_length=200)
    step: int | None = Field(None, description="left out: the newest weights", ge=0, lt=10**18)


class Analysis(Asked):
    """Which weights, reading what."""

    text: str | None = Field(None, description="left out: the beginning of the run's own validation text")
    packed: bool = Field(False, description="arrays as base64 instead of nested lists")


class AttentionAsked(Analysis):
    """Which patterns."""

    layer: int | None = Field(None, description="left out: all, and patterns are [layer][head][query][key]")
    head: int | None = Field(None, description="left out: all of the layer, and patterns are [head][query][key]")


class PartAsked(Analysis):
    """Which layer and head."""

    layer: int | None = Field(None, description="left out: all")
    head: int | None = Field(None, description="left out: all of the layer")


class LongAsked(Analysis):
    """Which weights, reading what, for an analysis that may take seconds."""

    progress: bool = Field(False, description="answer with JSON lines: `progress` as it goes, `result` at the end")


class RowAsked(Analysis):
    """Which row of which pattern, to be taken apart."""

    layer: int
    head: int
    query: int


class NextAsked(Analysis):
    """Whose successor."""

    position: int | None = Field(None, description="the token whose successor is asked for, from 0; left out: the last")


class GenerateAsked(Asked):
    """What to go on from, and how to draw. `layer` and `head` may stand in it, as in every analysis, so that one
    selection can be sent everywhere; a text is written by all of them.
    """

    text: str | None = Field(None, description="the prompt")
    after: list[int] = Field(
        [], description="ids written already, to go on from there", max_length=writing.MAX_NEW_TOKENS
    )
    max_tokens: int = 200
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 1337
    stop: str = Field("", description="the writing ends where this text has been written", max_length=200)
    layer: int | None = Field(None, description="must be one of the model's, and changes nothing")
    head: int | None = Field(None, description="must be one of the model's, and changes nothing")


def answer(found: Any, packed: bool = False, status: int = 200) -> Response:
    """`found` (a dataclass, or plain values, with NumPy arrays) as JSON."""
    return Response(encode(found, packed), status, media_type="application/json")


def answer_long(asked: LongAsked, work: Callable[[Progress], Any]) -> Response:
    """The result of `work`, a function of whom to tell its progress; where it is asked for, as lines that tell it."""
    if not asked.progress:
        return answer(work(no_progress), asked.packed)
    return StreamingResponse(lines(follow(work), asked.packed), media_type="application/x-ndjson")


def encode(found: Any, packed: bool = False) -> bytes:
    """JSON; arrays as nested lists, or packed."""
    if packed:
        return orjson.dumps(found, default=_pack)
    # `default` is asked where a part of an array does not lie in one piece.
    return orjson.dumps(found, default=np.ascontiguousarray, option=orjson.OPT_SERIALIZE_NUMPY)


def _pack(array: Any) -> dict[str, Any]:
    if not isinstance(array, np.ndarray):
        raise TypeError(type(array).__name__)
    narrow = array.astype({"f": "<f4", "i": "<i4", "u": "u1"}[array.dtype.kind], copy=False)
    data = base64.b64encode(np.ascontiguousarray(narrow).data).decode()
    return {"shape": array.shape, "dtype": narrow.dtype.name, "data": data}


def as_bytes(patterns: Array) -> Array:
    """Probabilities as uint8 in square-root steps: p = (value / 255)², within 0.004 at 1 and 0.0001 at 0.001."""
    return np.rint(255 * np.sqrt(patterns.clip(0, 1))).astype(np.uint8)


def routes(library: Library) -> APIRouter:
    """All routes over the runs of `library`."""
    router = APIRouter(prefix="/api")
    _add_lists(router, library)
    _add_analyses(router, library)

    @router.post("/generate", response_class=StreamingResponse)
    def generate(asked: GenerateAsked) -> StreamingResponse:
        """Let the model write: a stream of JSON lines, `start`, a `token` each, `end`."""
        settings = asked.model_dump(exclude={"run", "step", "text", "after", "layer", "head"})
        if asked.layer is not None or asked.head is not None:
            services.check_part(library.open(asked.run, asked.step), asked.layer, asked.head)
        events = writing.write(library, asked.run, asked.step, asked.text, writing.Settings(**settings), asked.after)
        return StreamingResponse(lines(events), media_type="application/x-ndjson")

    return router


def _add_lists(router: APIRouter, library: Library) -> None:
    @router.get("/health")
    def health() -> Response:
        """Whether the server is there."""
        return answer({"status": "ok", "runs": len(library.runs())})

    @router.get("/runs")
    def runs() -> Response:
        """All runs, the newest first."""
        return answer(library.runs())

    @router.get("/runs/{name}/checkpoints")
    def checkpoints(name: str) -> Response:
        """Every checkpoint and snapshot of a run, from the facts beside them; no weights are read."""
        return answer(library.weights(name))

    @router.get("/selection")
    def selection(request: Request) -> Response:
        """What an address of the page stands for now: the selection, the runs, the run's steps, the model."""
        return answer(_resolve(library, dict(request.query_params)))

    @router.post("/tokens")
    def tokens(asked: Analysis) -> Response:
        """How the run's tokenizer cuts a text, and what would be said of it as a prompt."""
        found, context = services.count_tokens(library, asked.run, asked.step, asked.text or "")
        notes = writing.prompt_notes(library, asked.run, asked.step, asked.text or "")
        return answer({"tokens": found, "context_length": context, "prompt_notes": notes})


def _add_analyses(router: APIRouter, library: Library) -> None:
    @router.post("/analyze/attention")
    def attention(asked: AttentionAsked) -> Response:
        """Patterns of all heads (or of a layer, or a head) and what each head does."""
        found = services.attention(library, asked.run, asked.step, asked.text, asked.layer, asked.head)
        if asked.packed:
            found = replace(found, patterns=as_bytes(found.patterns))
        return answer(found, asked.packed)

    @router.post("/analyze/attention_row")
    def attention_row(asked: RowAsked) -> Response:
        """Scores → mask → softmax of one row of one pattern."""
        where = {"layer": asked.layer, "head": asked.head, "query": asked.query}
        return answer(services.attention_row(library, asked.run, asked.step, asked.text, **where), asked.packed)

    @router.post("/analyze/ablation")
    def ablation(asked: LongAsked) -> Response:
        """How much the loss rises without each head and each MLP."""
        return answer_long(
            asked, lambda progress: services.ablation(library, asked.run, asked.step, asked.text, progress)
        )

    @router.post("/analyze/activations")
    def activations(asked: PartAsked) -> Response:
        """Norms along the residual stream, histograms, dead units, of all layers or of one."""
        found = services.activations(library, asked.run, asked.step, asked.text, asked.layer, asked.head)
        return answer(found, asked.packed)

    @router.post("/analyze/predictions")
    def predictions(asked: PartAsked) -> Response:
        """Loss and guesses at each token; logit lens and direct logit attribution, whole or of one layer or head."""
        found = services.predictions(library, asked.run, asked.step, asked.text, asked.layer, asked.head)
        return answer(found, asked.packed)

    @router.post("/analyze/next_token")
    def next_token(asked: NextAsked) -> Response:
        """All logits after one position, the largest first."""
        found = services.next_token(library, asked.run, asked.step, asked.text, asked.position)
        return answer(found, asked.packed)

    @router.post("/analyze/reproduction")
    def reproduction(asked: Asked) -> Response:
        """Whether the weights still give the loss that was recorded with them."""
        return answer(services.reproduction(library, asked.run, asked.step))


def _resolve(library: Library, query: dict[str, str]) -> dict[str, Any]:
    """Never fails for a link that is out of date: what cannot be is replaced, and said in a note."""
    selected, notes = from_query(query)
    runs = library.runs()
    found: dict[str, Any] = {"runs": runs, "weights": [], "steps": [], "model": None, "problem": None}
    names = [run.name for run in runs]
    if selected.run not in names and selected.run not in (None, "last"):
        notes.append(f"there is no run {selected.run[:100]!r} here")
        selected = replace(selected, run=None, step=None)
    if names:
        run = selected.run if selected.run in names else library.newest(runs)
        selected = replace(selected, run=run)
        try:
            selected, more = _resolve_weights(library, selected, found)
            notes += more
        except ValueError as error:
            found["problem"] = str(error)
            with suppress(ValueError):
                found["weights"] = library.weights(run)  # in which the one that failed now says so
    return found | {"selection": asdict(selected), "notes": notes}


def _resolve_weights(library: Library, selected: Selection, found: dict[str, Any]) -> tuple[Selection, list[str]]:
    """Fill in what is found of the selected run; a step, layer and head that there are, and a note on each change."""
    run = selected.run
    assert run is not None
    notes = []
    found["weights"] = library.weights(run)
    found["steps"] = steps = library.steps(run)
    step = selected.step if selected.step in steps else (steps[-1] if steps else None)
    if selected.step not in (None, step):
        notes.append(f"run {run!r} has no weights of step {selected.step:,}: showing step {step}")
    selected = replace(selected, step=step)
    if not found["weights"]:
        return selected, notes
    found["model"] = model = services.shape(library, run, step)
    selected, more = clamp(selected, model.n_layers, model.n_heads)
    return selected, [*notes, *more]


def lines(events: Iterator[dict[str, Any]], packed: bool = False) -> Iterator[bytes]:
    """`events` as JSON lines; what goes wrong on the way is the last of them."""
    try:
        for event in events:
            yield encode(event, packed) + b"\n"
    except Exception as error:
        sentence, code, _ = explain(error)
        yield orjson.dumps({"event": "error", "error": sentence, "id": code}) + b"\n"


def explain(error: Exception) -> tuple[str, str, int]:
    """One sentence for the person, an id under which the log has the traceback, and an HTTP status."""
    code = secrets.token_hex(3)
    if isinstance(error, NotFoundError):
        status, sentence = 404, str(error)
    elif isinstance(error, ConflictError):
        status, sentence = 409, str(error)
    elif isinstance(error, ValueError):
        status, sentence = 422, str(error)
    elif isinstance(error, MemoryError):
        status, sentence = 507, "there is not enough memory for this: shorten the text, or choose a smaller model"
    else:
        status, sentence = 500, "something went wrong in the server; its log has the details"
    logger.log(logging.ERROR if status == 500 else logging.INFO, "%s: %s", code, sentence, exc_info=error)
    return "; ".join(line.strip() for line in sentence.splitlines() if line.strip()), code, status


def add_error_answers(app: FastAPI) -> None:
    """Let every exception of a route be answered as one sentence with an id."""

    def respond(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            parts = [f"{'.'.join(map(str, e['loc'][1:])) or 'body'}: {e['msg'].lower()}" for e in error.errors()]
            error = ValueError("; ".join(parts[:5]))
        if isinstance(error, HTTPException):
            sentence, code, status = str(error.detail).lower(), secrets.token_hex(3), error.status_code
            logger.info("%s: %s %s: %s", code, request.method, request.url.path, sentence)
        else:
            sentence, code, status = explain(error)
        return Response(orjson.dumps({"error": sentence, "id": code}), status, media_type="application/json")

    for kind in (RequestValidationError, HTTPException, ValueError, Exception):
        app.add_exception_handler(kind, respond)
