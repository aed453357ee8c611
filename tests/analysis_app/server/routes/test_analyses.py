"""The routes of the analyses: numbers, packed arrays, progress, mistakes in one sentence, answers that do not mix."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from analysis_app.analyses.activations import activations
from analysis_app.analyses.attention import attention
from analysis_app.analyses.predictions import predictions
from analysis_app.library import Library
from tests.analysis_app.conftest import STEPS, post

TEXT = "the cat sat"
LONG = {
    "ablation": {"text": TEXT},
    "neuron_examples": {"layer": 1, "unit": 3},
    "position_loss": {},
    "patching": {"text": "the ca", "other": "a do i"},
}


@pytest.mark.promise("explore")
def test_patterns_are_nested_lists_of_head_query_key(client: httpx.Client, runs: Path) -> None:
    expected = attention(Library(runs).open("tiny"), text=TEXT)
    found = post(client, "analyze/attention", run="tiny", text=TEXT, layer=1)
    np.testing.assert_allclose(found["patterns"], expected["patterns"][1], atol=1e-6)
    assert found["source"]["tokens"] == expected["source"].tokens
    assert np.shape(post(client, "analyze/attention", run="tiny", text=TEXT)["patterns"]) == expected["patterns"].shape
    assert np.shape(post(client, "analyze/attention", run="last", text=TEXT, layer=0, head=1)["patterns"]) == (
        1,
        11,
        11,
    )


def test_packed_patterns_are_bytes_in_square_root_steps(client: httpx.Client, runs: Path) -> None:
    packed = post(client, "analyze/attention", run="tiny", text=TEXT, packed=True)["patterns"]
    assert packed["dtype"] == "uint8"
    stored = np.frombuffer(base64.b64decode(packed["data"]), np.uint8).reshape(packed["shape"])
    expected = attention(Library(runs).open("tiny"), text=TEXT)["patterns"]
    np.testing.assert_allclose((stored / 255) ** 2, expected, atol=0.004)


def test_other_analyses(client: httpx.Client, runs: Path) -> None:
    library = Library(runs)
    losses = post(client, "analyze/predictions", run="tiny", step=STEPS, text=TEXT)
    np.testing.assert_allclose(losses["loss"], predictions(library.open("tiny", STEPS), TEXT)["loss"], atol=1e-5)
    norms = post(client, "analyze/activations", run="tiny", text=TEXT)
    np.testing.assert_allclose(norms["norms"], activations(library.open("tiny"), TEXT)["norms"], atol=1e-4)
    assert post(client, "analyze/reproduction", run="tiny", step=0)["reproduces"] is True


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "..%2ftiny", "%2fetc%2fpasswd", "tiny%2fcheckpoints", ".hidden", "none", "%00", "a" * 300]
)
def test_names_that_walk_out_are_not_found(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/api/runs/{name}/checkpoints")
    assert answer.status_code == 404, answer.text
    assert post_status(client, "analyze/attention", run="../tiny") == 404


def post_status(client: httpx.Client, path: str, **body: object) -> int:
    return client.post(f"/api/{path}", json=body).status_code


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("analyze/attention", {"run": "tiny", "text": "x" * 30}, 422, "the text has 30 tokens"),
        ("analyze/attention", {"run": "tiny", "text": TEXT, "layer": 5}, 404, "layer 5: there are 2"),
        ("analyze/attention", {"run": "tiny", "text": TEXT, "head": 0}, 422, "of which layer"),
        ("analyze/attention", {"run": "tiny", "step": -1}, 422, "step"),
        ("analyze/attention", {"run": "tiny", "stepp": 1}, 422, "stepp"),
        ("analyze/attention", {}, 422, "run"),
        ("analyze/predictions", {"run": "tiny", "text": "§"}, 422, "not in the vocabulary"),
        ("generate", {"run": "tiny", "max_tokens": 10**9}, 422, "max_tokens=1000000000"),
        ("generate", {"run": "tiny", "temperature": -1}, 422, "temperature=-1"),
        ("generate", {"run": "tiny", "top_p": 2}, 422, "top_p=2"),
        ("generate", {"run": "tiny", "after": [9999]}, 422, "9999"),
    ],
)
def test_bad_requests_are_one_sentence_with_an_id(
    client: httpx.Client, path: str, body: dict, status: int, said: str
) -> None:
    answer = client.post(f"/api/{path}", json=body)
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert said in found["error"]
    assert found["id"]
    assert "\n" not in found["error"]
    assert "Traceback" not in answer.text


def test_eight_clients_at_once_get_their_own(client: httpx.Client, runs: Path) -> None:
    library = Library(runs)
    asked = [(step, text) for step in library.steps("tiny")[-2:] for text in ("the cat", "a dog", "it ran to", "warm")]
    expected = [predictions(library.open("tiny", step), text)["loss"] for step, text in asked]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda one: post(client, "analyze/predictions", run="tiny", step=one[0], text=one[1]), asked * 3
        )
        for answer, loss in zip(answers, expected * 3, strict=True):
            np.testing.assert_allclose(answer["loss"], loss, atol=1e-5)


@pytest.mark.parametrize("kind", LONG)
def test_long_analyses_tell_how_far_they_are(client: httpx.Client, kind: str) -> None:
    body = {"run": "tiny", "step": 4, **LONG[kind]}
    with client.stream("POST", f"/api/analyze/{kind}", json={**body, "progress": True}) as answer:
        events = [json.loads(line) for line in answer.iter_lines()]
    assert {event["event"] for event in events[:-1]} <= {"progress"}
    assert events[-1]["event"] == "result"
    plain = client.post(f"/api/analyze/{kind}", json=body)
    assert plain.status_code == 200
    assert events[-1]["result"] == plain.json()


def test_what_goes_wrong_in_a_long_one_is_its_last_line(client: httpx.Client) -> None:
    body = {"run": "tiny", "text": "the", "other": "at", "progress": True}
    lines = client.post("/api/analyze/patching", json=body).text.splitlines()
    last = json.loads(lines[-1])
    assert last["event"] == "error"
    assert "First: t | h | e" in last["error"]
    assert last["id"]


def test_one_selection_can_be_sent_to_every_route(client: httpx.Client) -> None:
    body = {"run": "tiny", "step": 12, "text": TEXT, "layer": 1, "head": 1}
    for kind in ("attention", "activations", "predictions"):
        found = client.post(f"/api/analyze/{kind}", json=body)
        assert found.status_code == 200, found.text
        assert (found.json()["layer"], found.json()["head"]) == (1, 1)
    assert client.post("/api/generate", json=body | {"max_tokens": 1}).status_code == 200
    assert client.post("/api/generate", json=body | {"layer": 7}).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("neuron", {"unit": 10**6}, 404, "unit 1000000: there are 128"),
        ("neuron", {"unit": -1}, 404, "unit -1"),
        ("neuron", {"layer": 5}, 404, "layer 5"),
        ("neuron", {"text": "the", "position": 3}, 404, "position 3"),
        ("neighbours", {"token": 10**12}, 404, "token 1000000000000"),
        ("neighbours", {"token": 1, "k": 10**9}, 422, "k: input should be"),
        ("piece", {"text": "§"}, 422, "vocabulary"),
        ("patching", {"other": "x" * 30_000}, 422, "other: string should have at most"),
        ("norms", {"run": "../tiny"}, 404, "no run"),
        ("embeddings", {"step": 999}, 404, "no weights of step 999"),
        ("neuron_examples", {"run": "<img src=x onerror=hacked()>"}, 404, "no run"),
    ],
)
def test_mistakes_are_one_sentence_with_an_id(
    client: httpx.Client, path: str, body: dict, status: int, said: str
) -> None:
    answer = client.post(f"/api/analyze/{path}", json={"run": "tiny"} | body)
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert said in found["error"]
    assert found["id"]
    assert "\n" not in found["error"]


def test_eight_clients_with_eight_questions_get_their_own_answers(client: httpx.Client, runs: Path) -> None:
    """Each asks for other weights, another text or another unit, all at once and three times over."""
    library = Library(runs)
    first, last = library.steps("tiny")[0], library.steps("tiny")[-1]
    questions = [
        ("neuron", {"step": step, "text": text, "layer": 1, "unit": unit})
        for step, text, unit in ((first, "the cat", 1), (last, "the cat", 1), (last, "a dog", 1), (last, "a dog", 9))
    ] + [
        ("neuron_examples", {"step": first, "layer": 0, "unit": 2}),
        ("neuron_examples", {"step": last, "layer": 0, "unit": 2}),
        ("embeddings", {"step": first}),
        ("embeddings", {"step": last}),
    ]

    def ask(question: tuple[str, dict]) -> dict:
        answer = client.post(f"/api/analyze/{question[0]}", json={"run": "tiny"} | question[1])
        assert answer.status_code == 200, answer.text
        return answer.json()

    alone = [ask(question) for question in questions]
    assert len({json.dumps(answer) for answer in alone}) == 8
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, questions * 3)) == alone * 3
