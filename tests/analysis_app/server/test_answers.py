"""Answers: JSON, packed arrays, lines, errors."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from analysis_app.library import ConflictError, NotFoundError
from analysis_app.server.answers import add_error_answers, encode, explain, lines

KINDS = st.sampled_from([np.float32, np.float64, np.int64, np.uint8])


@given(KINDS.flatmap(lambda kind: arrays(kind, array_shapes(max_dims=3, max_side=4), elements=st.integers(0, 100))))
def test_an_array_arrives_as_it_was_packed_or_not(x: np.ndarray) -> None:
    assert json.loads(encode({"x": x.T})) == {"x": x.T.tolist()}
    packed = json.loads(encode({"x": x.T}, packed=True))["x"]
    data = np.frombuffer(base64.b64decode(packed["data"]), packed["dtype"]).reshape(packed["shape"])
    np.testing.assert_array_equal(data, x.T)


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotFoundError("a"), 404), (ConflictError("a"), 409), (ValueError("a\n b\n"), 422), (MemoryError(), 507),
     (RuntimeError("secret"), 500)],
)  # fmt: skip
def test_an_error_is_a_sentence_an_id_and_a_status(error: Exception, status: int) -> None:
    sentence, code, found = explain(error)
    assert found == status
    assert len(code) == 6
    assert "\n" not in sentence
    assert "secret" not in sentence


def test_an_error_on_the_way_is_the_last_line() -> None:
    def events():
        yield {"event": "start"}
        raise ValueError("too long")

    start, end = map(json.loads, lines(events()))
    assert start == {"event": "start"}
    assert (end["event"], end["error"]) == ("error", "too long")


def test_a_route_that_fails_answers_in_the_same_form() -> None:
    app = FastAPI()

    @app.get("/{number}")
    def route(number: int) -> None:
        raise NotFoundError(f"there is no {number}")

    add_error_answers(app)
    client = TestClient(app)
    assert client.get("/7").json()["error"] == "there is no 7"
    assert client.get("/x").json()["error"].startswith("number: ")
    assert client.get("/a/b").status_code == 404
