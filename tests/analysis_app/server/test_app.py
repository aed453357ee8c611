"""The server as a whole: who may ask, what is served, what is logged, the command."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from scripts.page_server import Server, start_server
from tests.patience import PATIENCE

TEXT = "the cat sat"


def test_the_log_has_the_traceback_under_the_id(client: httpx.Client, server: Server) -> None:
    code = client.post("/api/analyze/attention", json={"run": "tiny", "text": "x" * 30}).json()["id"]
    lines = "".join(server.log)
    assert code in lines
    assert "ValueError" in lines


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
        assert server.process.wait(PATIENCE) in (0, 130, -signal.SIGINT)
    finally:
        server.stop()


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
    done = subprocess.run(
        [sys.executable, "-m", "analysis_app", *args], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert said in done.stderr


def test_nothing_of_training_is_imported() -> None:
    code = "import sys, analysis_app.server.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    loaded = done.stdout.split()
    never = ("lightning", "lab.training", "lab.callbacks", "lab.settings", "lab.fitting")
    bad = [name for name in loaded if name.startswith(never)]
    assert not bad
