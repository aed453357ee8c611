"""The routes of a real server."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

import lab
from analysis_app.analyses import services
from analysis_app.library.runs import Library
from lab.generation import Sampling, stream
from tests.analysis_app.conftest import MARKUP, STEPS, Server, start_server, stop_server

TEXT = "the cat sat"


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as found:
        yield found


def post(client: httpx.Client, path: str, **body: object) -> dict:
    answer = client.post(f"/api/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_runs_and_their_weights(client: httpx.Client, runs: Path) -> None:
    assert client.get("/api/health").json() == {"status": "ok", "runs": 2}
    listed = {run["name"]: run for run in client.get("/api/runs").json()}
    assert listed["tiny"]["state"] == "completed"
    assert listed["tiny"]["step"] == STEPS
    assert listed[MARKUP]["state"] == "broken"
    rows = client.get("/api/runs/tiny/checkpoints").json()
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)
    assert {row["sha256"] for row in rows} == {row.sha256 for row in Library(runs).weights("tiny")}


def test_patterns_are_nested_lists_of_head_query_key(client: httpx.Client, runs: Path) -> None:
    expected = services.attention(Library(runs), "tiny", text=TEXT)
    found = post(client, "analyze/attention", run="tiny", text=TEXT, layer=1)
    np.testing.assert_allclose(found["patterns"], expected.patterns[1], atol=1e-6)
    assert found["source"]["tokens"] == expected.source.tokens
    assert np.shape(post(client, "analyze/attention", run="tiny", text=TEXT)["patterns"]) == expected.patterns.shape
    assert np.shape(post(client, "analyze/attention", run="last", text=TEXT, layer=0, head=1)["patterns"]) == (
        1,
        11,
        11,
    )


def test_packed_patterns_are_bytes_in_square_root_steps(client: httpx.Client, runs: Path) -> None:
    packed = post(client, "analyze/attention", run="tiny", text=TEXT, packed=True)["patterns"]
    assert packed["dtype"] == "uint8"
    stored = np.frombuffer(base64.b64decode(packed["data"]), np.uint8).reshape(packed["shape"])
    expected = services.attention(Library(runs), "tiny", text=TEXT).patterns
    np.testing.assert_allclose((stored / 255) ** 2, expected, atol=0.004)


def test_other_analyses(client: httpx.Client, runs: Path) -> None:
    library = Library(runs)
    predictions = post(client, "analyze/predictions", run="tiny", step=STEPS, text=TEXT)
    np.testing.assert_allclose(predictions["loss"], services.predictions(library, "tiny", STEPS, TEXT).loss, atol=1e-5)
    activations = post(client, "analyze/activations", run="tiny", text=TEXT)
    np.testing.assert_allclose(activations["norms"], services.activations(library, "tiny", None, TEXT).norms, atol=1e-4)
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
def test_mistakes_are_one_sentence_with_an_id(
    client: httpx.Client, path: str, body: dict, status: int, said: str
) -> None:
    answer = client.post(f"/api/{path}", json=body)
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert said in found["error"]
    assert found["id"]
    assert "\n" not in found["error"]
    assert "Traceback" not in answer.text


def test_the_log_has_the_traceback_under_the_id(client: httpx.Client, server: Server) -> None:
    code = client.post("/api/analyze/attention", json={"run": "tiny", "text": "x" * 30}).json()["id"]
    lines = "".join(server.log)
    assert code in lines
    assert "ValueError" in lines


def test_what_is_written_is_streamed_and_is_the_generators_own(client: httpx.Client, runs: Path) -> None:
    body = {"run": "tiny", "text": "the ", "max_tokens": 9, "temperature": 1.0, "seed": 3}
    with client.stream("POST", "/api/generate", json=body) as answer:
        events = [json.loads(line) for line in answer.iter_lines()]
    model, tokenizer = lab.load("tiny", root=runs)
    expected = list(stream(model, tokenizer.encode("the "), Sampling(9, 1.0, seed=3)))
    tokens = [event for event in events if event["event"] == "token"]
    assert [event["id"] for event in tokens] == [step.token for step in expected]
    assert [event["probability"] for event in tokens] == pytest.approx(
        [step.probability for step in expected], abs=1e-5
    )
    assert events[-1]["text"] == "".join(event["text"] for event in tokens)
    assert (events[0]["event"], events[-1]["ended"]) == ("start", "max_tokens")


def test_a_branch_goes_on_from_other_tokens(client: httpx.Client, runs: Path) -> None:
    tokenizer = lab.load("tiny", root=runs).tokenizer
    straight = {"run": "tiny", "text": "the cat", "max_tokens": 5, "temperature": 0}
    branched = straight | {"text": "the ", "after": tokenizer.encode("cat").tolist()}
    first, second = (client.post("/api/generate", json=body).text.splitlines()[1:-1] for body in (straight, branched))
    assert [json.loads(line)["id"] for line in first] == [json.loads(line)["id"] for line in second]


def test_writing_stops_at_a_text(client: httpx.Client) -> None:
    lines = client.post("/api/generate", json={"run": "tiny", "text": "the", "stop": " ", "max_tokens": 500}).text
    end = json.loads(lines.splitlines()[-1])
    assert end["ended"] == "stop text"
    assert end["text"].endswith(" ")


def test_eight_clients_at_once_get_their_own(client: httpx.Client, runs: Path) -> None:
    library = Library(runs)
    asked = [(step, text) for step in library.steps("tiny")[-2:] for text in ("the cat", "a dog", "it ran to", "warm")]
    expected = [services.predictions(library, "tiny", step, text).loss for step, text in asked]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda one: post(client, "analyze/predictions", run="tiny", step=one[0], text=one[1]), asked * 3
        )
        for answer, loss in zip(answers, expected * 3, strict=True):
            np.testing.assert_allclose(answer["loss"], loss, atol=1e-5)


def test_a_link_out_of_date_is_mended_and_said(client: httpx.Client) -> None:
    found = client.get("/api/selection", params={"run": "tiny", "step": 999, "layer": 9}).json()
    assert (found["selection"]["step"], found["selection"]["layer"]) == (STEPS, 1)
    assert len(found["notes"]) == 2
    assert client.get("/api/selection", params={"run": "gone"}).json()["selection"]["run"] == "tiny"
    assert client.get("/api/selection", params={"run": MARKUP}).json()["problem"]


def test_openapi_names_every_route(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/api/health", "/api/runs", "/api/runs/{name}/checkpoints", "/api/generate"} <= set(paths)
    assert {f"/api/analyze/{name}" for name in ("attention", "activations", "predictions")} <= set(paths)
    assert client.get("/docs").status_code == 200


@pytest.mark.parametrize(
    "path", ["/components/../app.py", "/components/%2e%2e/app.py", "/documents/..%2fapi.py", "/api/none"]
)
def test_no_other_file_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code in (404, 405)


def test_another_site_cannot_point_its_name_here(client: httpx.Client) -> None:
    assert client.get("/api/health", headers={"Host": "evil.example"}).status_code == 400


def test_a_password_guards_every_route_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    server = start_server(tmp_path, "--password", "sesame")
    try:
        for path in (
            "/",
            "/api/health",
            "/docs",
            "/openapi.json",
            "/components/writer.js",
            "/config",
            "/gradio_api/info",
        ):
            assert httpx.get(server.url + path).status_code == 401, path
            assert httpx.get(server.url + path, auth=("me", "open")).status_code == 401, path
            assert httpx.get(server.url + path, auth=("me", "sesame")).status_code == 200, path
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) in (0, -signal.SIGINT)
    finally:
        stop_server(server)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--host", "0.0.0.0"], "choose a --password"),
        (["--password", ""], "--password is empty"),
        (["--port", "70000"], "--port 70000"),
        (["--runs", __file__], "is a file"),
    ],
)
def test_arguments_that_cannot_be(args: list[str], said: str) -> None:
    done = subprocess.run([sys.executable, "-m", "analysis_app", *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr


def test_nothing_of_training_is_imported() -> None:
    code = "import sys, analysis_app.server.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    loaded = done.stdout.split()
    bad = [
        name
        for name in loaded
        if name.startswith(("lightning", "lab.training", "lab.callbacks", "lab.settings", "lab.fitting"))
    ]
    assert not bad
