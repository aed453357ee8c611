"""How results and errors are sent: JSON, packed arrays, JSON lines, one sentence with an id.

Arrays are sent as nested lists; with `"packed": true` as `{"shape", "dtype", "data"}`, base64 of little-endian numbers,
which is what the page asks for. An error is `{"error": one sentence, "id": …}`; the log has the traceback under that
id.
"""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from analysis_app.library import ConflictError, NotFoundError

logger = logging.getLogger(__name__)


def answer(found: Any, packed: bool = False, status: int = 200) -> Response:
    """`found` (a dataclass, or plain values, with NumPy arrays) as JSON."""
    return Response(encode(found, packed), status, media_type="application/json")


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


def stream(events: Iterator[dict[str, Any]], packed: bool = False) -> StreamingResponse:
    """`events` as JSON lines, sent as they come."""
    return StreamingResponse(lines(events, packed), media_type="application/x-ndjson")


def lines(events: Iterator[dict[str, Any]], packed: bool = False) -> Iterator[bytes]:
    """`events` as JSON lines; an error on the way is the last of them."""
    try:
        for event in events:
            yield encode(event, packed) + b"\n"
    except Exception as error:
        sentence, code, _ = explain(error)
        yield orjson.dumps({"event": "error", "error": sentence, "id": code}) + b"\n"


def explain(error: Exception) -> tuple[str, str, int]:
    """One sentence for the reader, an id under which the log has the traceback, and an HTTP status."""
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
    """Answer every exception of a route with one sentence and an id."""

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
