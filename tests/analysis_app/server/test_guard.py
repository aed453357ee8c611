"""Access: long bodies, and requests without the password, are refused."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from analysis_app.server.app import create_app
from scripts.page_server import Server, start_server
from tests.patience import PATIENCE


def test_a_body_that_is_too_long_is_refused_before_it_is_read(server: Server) -> None:
    long = b'{"run": "tiny", "text": "' + b"x" * (5 * 2**20) + b'"}'
    where, json = f"{server.url}/api/analyze/attention", {"Content-Type": "application/json"}
    answer = httpx.post(where, content=long, headers=json, timeout=PATIENCE)
    assert answer.status_code == 413
    chunks = (long[i : i + 65536] for i in range(0, len(long), 65536))
    try:
        answer = httpx.post(where, content=chunks, headers=json, timeout=PATIENCE)
        assert answer.status_code >= 400
    except httpx.HTTPError:
        pass  # the server hung up
    assert httpx.get(f"{server.url}/api/health", timeout=PATIENCE).status_code == 200


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
    with httpx.Client(base_url=locked.url, timeout=PATIENCE) as client:
        for method, path in sorted(paths):
            assert client.request(method, path).status_code == 401, (method, path)


def test_no_websocket_opens_without_the_password(locked: Server) -> None:
    key = base64.b64encode(b"sixteen byte key").decode()
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    for path in ("/ws/runs/tiny", "/gradio_api/ws", "/"):
        assert httpx.get(locked.url + path, headers=upgrade, timeout=PATIENCE).status_code in (401, 403), path


def test_gradio_client_gives_the_password(locked: Server) -> None:
    gradio_client = pytest.importorskip("gradio_client")
    with pytest.raises(Exception, match="credentials"):
        gradio_client.Client(locked.url, verbose=False)
    found = gradio_client.Client(locked.url, verbose=False, httpx_kwargs={"auth": ("me", "sesame")})
    assert found.predict(api_name="/runs") == []
