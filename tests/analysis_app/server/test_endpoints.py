"""The page's named endpoints, as `gradio_client` calls them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lab
from analysis_app.analyses.attention import attention
from analysis_app.analyses.predictions import predictions
from analysis_app.library import Library
from lab.generation import Sampling, stream
from scripts.page_server import Server
from tests.analysis_app.conftest import STEPS
from tests.patience import PATIENCE

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
    np.testing.assert_allclose(found["patterns"], expected["patterns"], atol=1e-6)  # [head][query][key]
    assert found["source"]["tokens"] == expected["source"].tokens
    losses = page.predict(run="last", text=TEXT, api_name="/predictions")["loss"]
    np.testing.assert_allclose(losses, predictions(library.open("tiny"), text=TEXT)["loss"], atol=1e-5)
    one = page.predict(run="tiny", step=None, text=TEXT, layer=1, head=0, api_name="/activations")
    assert np.shape(one["head_norms"]) == (1, 1, len(TEXT))


def test_writing_comes_in_pieces(page: Any, runs: Path) -> None:
    job = page.submit(run="tiny", text="the ", max_tokens=8, temperature=1.0, seed=3, api_name="/generate")
    job.result(timeout=PATIENCE)
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


def test_eight_clients_do_not_mix(server: Server, runs: Path) -> None:
    """Eight clients, not one in eight threads: a client's calls share one stream of answers, and the end of the stream
    cancels whichever of them was asked just then (gradio_client 2.7, `stream_sse_v1plus`)."""
    library = Library(runs)
    texts = ["the cat", "a dog", "it ran", "warm", "the sun", "on a mat", "in the", "door"]
    expected = [predictions(library.open("tiny"), text=text)["loss"] for text in texts]
    clients = [gradio_client.Client(server.url, verbose=False) for _ in texts]

    def ask(client: Any, text: str) -> Any:
        return client.predict(run="tiny", text=text, api_name="/predictions")["loss"]

    with ThreadPoolExecutor(8) as pool:
        for found, loss in zip(pool.map(ask, clients, texts), expected, strict=True):
            np.testing.assert_allclose(found, loss, atol=1e-5)
