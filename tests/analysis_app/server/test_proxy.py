"""The page behind a reverse proxy: under a name, under a path, with the headers that proxies send by default."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from analysis_app.server.proxy import OWN_ADDRESS, Proxied, route_path
from scripts.page_server import Server, start_server
from tests.analysis_app.conftest import in_thread
from tests.patience import PAGE_PATIENCE, PATIENCE

AUTH = ("me", "sesame")


def asked(path: str, prefix: str, body: bytes = b"", kind: bytes = b"text/html", status: int = 200) -> dict[str, Any]:
    """What the app inside sees of a GET, and what the browser gets of its answer."""
    seen: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(path=scope["path"], route=route_path(scope))
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), length]})
        await send({"type": "http.response.body", "body": body[:7], "more_body": True})
        await send({"type": "http.response.body", "body": body[7:]})

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            seen.update(status=message["status"], headers=dict(message["headers"]))
        else:
            seen["body"] = seen.get("body", b"") + message.get("body", b"")

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"accept", b"text/html,*/*")]}
    in_thread(Proxied(app, prefix)(scope, receive, send))
    return seen


def test_a_prefix_that_is_passed_on_and_one_that_is_taken_off_lead_to_the_same_route() -> None:
    for path in ("/lab/api/runs", "/api/runs"):
        assert asked(path, "/lab/")["route"] == "/api/runs"
    assert asked("/laboratory", "/lab")["route"] == "/laboratory"
    assert asked("/api/runs", "")["route"] == "/api/runs"
    assert asked("/lab", "/lab")["headers"][b"location"] == b"/lab/"


def test_the_address_in_the_page_becomes_the_browser_s_own() -> None:
    named = b'{"root": "http://127.0.0.1:7861", "page": "\xc3\xa9"} "http://127.0.0.1:7861" "http://else"'
    found = asked("/", "", named)
    assert found["body"].count(OWN_ADDRESS) == 2
    assert b"127.0.0.1" not in found["body"]
    assert b'"http://else"' in found["body"]
    assert int(found["headers"][b"content-length"]) == len(found["body"])
    assert asked("/", "", b"<p>another page</p>")["body"] == b"<p>another page</p>"
    assert asked("/config", "", named, kind=b"application/json")["body"] == named


def test_a_page_that_is_not_there_names_the_remedy() -> None:
    found = asked("/lab/", "", b'{"detail":"Not Found"}', b"application/json", status=404)
    assert found["status"] == 404
    assert b"/lab/" in found["body"]
    assert b"--root-path" in found["body"]


@pytest.fixture(scope="module")
def open_to_a_name(runs: Path) -> Iterator[Server]:
    """A server that a proxy offers as lab.example.org."""
    found = start_server(runs, "--password", "sesame", "--allow-host", "lab.example.org", "--allow-host", "127.0.0.1")
    yield found
    found.stop()


def test_the_named_host_may_post_and_others_may_not(open_to_a_name: Server) -> None:
    def status(origin: str) -> tuple[int, str]:
        answer = httpx.post(
            f"{open_to_a_name.url}/api/tokens",
            json={"run": "tiny", "text": "the cat"},
            headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"},
            auth=AUTH,
            timeout=PATIENCE,
        )
        return answer.status_code, str(answer.json().get("error", ""))

    for mine in ("https://lab.example.org", "http://LAB.example.org:8101", open_to_a_name.url):
        assert status(mine)[0] == 200, mine
    for foreign in ("https://example.org", "https://lab.example.org.evil.net", "https://evil.net", "null"):
        code, sentence = status(foreign)
        assert (code, "--allow-host" in sentence) == (403, True), foreign


def test_the_cookie_of_the_first_answer_opens_what_comes_without_the_password(open_to_a_name: Server) -> None:
    first = httpx.get(f"{open_to_a_name.url}/api/health", auth=AUTH, timeout=PATIENCE)
    cookie = first.headers["set-cookie"].partition(";")[0]
    assert (
        httpx.get(f"{open_to_a_name.url}/api/health", headers={"Cookie": cookie}, timeout=PATIENCE).status_code == 200
    )
    websockets = pytest.importorskip("websockets.sync.client")
    url = open_to_a_name.url.replace("http", "ws") + "/ws/runs/tiny"
    with websockets.connect(url, additional_headers={"Cookie": cookie}) as line:
        assert json.loads(line.recv(timeout=PATIENCE))["type"] == "hello"
    with pytest.raises(Exception, match="403"), websockets.connect(url):
        pass


NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location {where} {{
      proxy_pass {url};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }}
  }}
}}
"""


@pytest.fixture(params=["name", "path passed on", "path taken off"])
def behind(request: pytest.FixtureRequest, runs: Path, tmp_path: Path, open_to_a_name: Server) -> Iterator[str]:
    """The page's address behind an nginx with its default Host header."""
    if (nginx := shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")) is None:
        pytest.skip("no nginx found: install it (Debian: apt-get install nginx-light)")
    server, where, end = open_to_a_name, "/lab/", "/"
    if request.param == "name":
        where, end = "/", ""
    elif request.param == "path passed on":
        server, end = start_server(runs, "--password", "sesame", "--allow-host", "127.0.0.1", "--root-path", "/lab"), ""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    inner = server.url.replace("127.0.0.1", "localhost")  # another name than the browser's
    settings = NGINX.format(folder=tmp_path, port=port, where=where, url=inner + end)
    (tmp_path / "nginx.conf").write_text(settings)
    process = subprocess.Popen([nginx, "-c", str(tmp_path / "nginx.conf")], stderr=subprocess.PIPE)
    transport = httpx.HTTPTransport(retries=10)
    with httpx.Client(transport=transport) as client:
        assert client.get(f"http://127.0.0.1:{port}/", auth=AUTH, timeout=PATIENCE).status_code in (200, 404)
    yield f"http://127.0.0.1:{port}{where}"
    process.terminate()
    process.wait(PATIENCE)
    if server is not open_to_a_name:
        server.stop()


@pytest.mark.browser
@pytest.mark.slow
def test_the_page_draws_and_follows_a_run_behind_nginx(browser: Any, behind: str) -> None:
    context = browser.new_context(http_credentials={"username": AUTH[0], "password": AUTH[1]})
    page = context.new_page()
    page.set_default_timeout(PAGE_PATIENCE)
    refused: list[str] = []
    page.on("response", lambda answer: answer.status >= 400 and refused.append(f"{answer.status} {answer.url}"))
    page.on("requestfailed", lambda request: refused.append(f"failed {request.url}"))
    page.goto(f"{behind}?tab=attention")
    page.wait_for_selector('.lab-panel[data-panel="heatmap"][data-state="ready"]')
    page.click("button[role=tab]:has-text('Live')")
    page.wait_for_selector('.lab-panel[data-panel="live"][data-state="ready"]')
    page.wait_for_function("document.querySelector('.lab-cut').hidden")
    assert not [line for line in refused if not line.endswith("/manifest.json")]
    context.close()
