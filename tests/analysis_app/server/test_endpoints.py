"""The page's named endpoints, as `gradio_client` calls them; and who may call anything at all."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import lab
from analysis_app.analyses.attention import attention
from analysis_app.analyses.predictions import predictions
from analysis_app.library import Library
from analysis_app.server.app import create_app
from lab.generation import Sampling, stream
from scripts.page_server import Server, start_server
from tests.analysis_app.conftest import STEPS

gradio_client = pytest.importorskip("gradio_client")

TEXT = "the cat sat"


@pytest.fixture(scope="module")
def page(server: Server) -> Any:
    return gradio_client.Client(server.url, verbose=False)


def test_the_endpoints_are_these(page: Any) -> None:
    named = page.view_api(return_format="dict", print_info=False)["named_endpoints"]
    expected = {"/runs", "/checkpoints", "/attention", "/activations", "/predictions", "/generate"}
    assert set(named) == expected


def test_answers_are_those_of_the_services(page: Any, runs: Path) -> None:
    library = Library(runs)
    assert {run["name"] for run in page.predict(api_name="/runs")} >= {"tiny"}
    rows = page.predict(run="tiny", api_name="/checkpoints")
    assert {row["sha256"] for row in rows} == {row.sha256 for row in library.weights("tiny")}
    found = page.predict(run="tiny", step=STEPS, text=TEXT, layer=1, api_name="/attention")
    expected = attention(library.open("tiny"), text=TEXT, layer=1)
    np.testing.assert_allclose(found["patterns"], expected.patterns, atol=1e-6)  # [head][query][key]
    assert found["source"]["tokens"] == expected.source.tokens
    losses = page.predict(run="last", text=TEXT, api_name="/predictions")["loss"]
    np.testing.assert_allclose(losses, predictions(library.open("tiny"), text=TEXT).loss, atol=1e-5)
    one = page.predict(run="tiny", step=None, text=TEXT, layer=1, head=0, api_name="/activations")
    assert np.shape(one["head_norms"]) == (1, 1, len(TEXT))


def test_writing_comes_in_pieces(page: Any, runs: Path) -> None:
    job = page.submit(run="tiny", text="the ", max_tokens=8, temperature=1.0, seed=3, api_name="/generate")
    job.result(timeout=120)
    model, tokenizer = lab.load("tiny", root=runs)
    expected = [step.token for step in stream(model, tokenizer.encode("the "), Sampling(8, 1.0, seed=3))]
    outputs = job.outputs()
    assert outputs[-1] == tokenizer.decode(expected)
    assert all(later.startswith(earlier) for earlier, later in pairwise(outputs))


@pytest.mark.parametrize(
    ("endpoint", "arguments", "said"),
    [
        ("/attention", {"run": "../tiny"}, "no run"),
        ("/predictions", {"run": "tiny", "text": "x" * 40}, "40 tokens"),
        ("/generate", {"run": "tiny", "max_tokens": 10**9}, "max_tokens=1000000000"),
    ],
)
def test_what_cannot_be_is_one_sentence_with_an_id(page: Any, endpoint: str, arguments: dict, said: str) -> None:
    with pytest.raises(Exception, match=f"{said}.*id [0-9a-f]{{6}}"):
        page.predict(**arguments, api_name=endpoint)


def test_eight_clients_do_not_mix(page: Any, runs: Path) -> None:
    library = Library(runs)
    texts = ["the cat", "a dog", "it ran", "warm", "the sun", "on a mat", "in the", "door"]
    expected = [predictions(library.open("tiny"), text=text).loss for text in texts]
    with ThreadPoolExecutor(8) as pool:
        ask = lambda text: page.predict(run="tiny", text=text, api_name="/predictions")["loss"]  # noqa: E731
        for found, loss in zip(pool.map(ask, texts), expected, strict=True):
            np.testing.assert_allclose(found, loss, atol=1e-5)


def test_a_body_that_is_too_long_is_refused_before_it_is_read(server: Server) -> None:
    long = b'{"run": "tiny", "text": "' + b"x" * (5 * 2**20) + b'"}'
    where, json = f"{server.url}/api/analyze/attention", {"Content-Type": "application/json"}
    answer = httpx.post(where, content=long, headers=json, timeout=60)
    assert answer.status_code == 413
    chunks = (long[i : i + 65536] for i in range(0, len(long), 65536))
    try:
        answer = httpx.post(where, content=chunks, headers=json, timeout=60)
        assert answer.status_code >= 400
    except httpx.HTTPError:
        pass  # the server hung up
    assert httpx.get(f"{server.url}/api/health", timeout=60).status_code == 200


# ---------------------------------------------------------------- a password


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = start_server(tmp_path_factory.mktemp("locked"), "--password", "sesame")
    yield found
    found.stop()


def every_path(root: Path) -> set[tuple[str, str]]:
    """(method, path) of all routes that the app has, whoever added them, with something in place of parameters."""
    found: set[tuple[str, str]] = set()
    pending: list[Any] = [create_app(root)]
    while pending:
        for route in pending.pop().routes:
            if inner := getattr(route, "original_router", None) or (not route.path and getattr(route, "app", None)):
                pending.append(inner)
            else:
                path = re.sub(r"{[^}]*}", "x", route.path)
                found |= {(method, path) for method in getattr(route, "methods", None) or {"GET"}}
    return found


def test_no_route_answers_without_the_password(locked: Server, tmp_path: Path) -> None:
    paths = every_path(tmp_path)
    assert {path for _, path in paths} >= {"/api/health", "/api/generate", "/api/analyze/patching", "/gradio_api/info"}
    with httpx.Client(base_url=locked.url, timeout=60) as client:
        for method, path in sorted(paths):
            assert client.request(method, path).status_code == 401, (method, path)


def test_no_websocket_opens_without_the_password(locked: Server) -> None:
    key = base64.b64encode(b"sixteen byte key").decode()
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    for path in ("/ws/runs/tiny", "/gradio_api/ws", "/"):
        assert httpx.get(locked.url + path, headers=upgrade, timeout=60).status_code in (401, 403), path


def test_gradio_client_gives_the_password(locked: Server) -> None:
    with pytest.raises(Exception, match="credentials"):
        gradio_client.Client(locked.url, verbose=False)
    found = gradio_client.Client(locked.url, verbose=False, httpx_kwargs={"auth": ("me", "sesame")})
    assert found.predict(api_name="/runs") == []
