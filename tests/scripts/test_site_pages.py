"""The documentation as a site: builds without a warning, has a page for every module, loads nothing from elsewhere."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.site, pytest.mark.slow]
LOADS = re.compile(r"<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?([^\"'\s>]+)|url\(([^)]*)\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning is an error."""
    if not (importlib.util.find_spec("material") and importlib.util.find_spec("mkdocstrings")):
        pytest.skip("no MkDocs: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_public_module_has_a_page(site: Path) -> None:
    modules = [path.relative_to(ROOT / "lab") for path in (ROOT / "lab").rglob("*.py") if path.name[0] != "_"]
    assert len(modules) > 100
    assert not [path for path in modules if not (site / "reference" / path.with_suffix("") / "index.html").exists()]


def test_reference_has_docstrings_and_is_found_by_search(site: Path) -> None:
    page = (site / "reference/model/attention/index.html").read_text()
    assert "lab.model.attention" in page
    assert "each position gathers" in page
    found = {entry["location"] for entry in json.loads((site / "search/search_index.json").read_text())["docs"]}
    assert "reference/model/attention/#lab.model.attention.Attention" in found


def test_no_page_names_anything_to_load_from_elsewhere(site: Path) -> None:
    for path in (*site.rglob("*.html"), *site.rglob("*.css")):
        loads = [a or b for a, b in LOADS.findall(path.read_text(encoding="utf-8"))]
        outside = [url for url in loads if re.match(r"[\"']?(?:https?:)?//", url)]
        assert not outside, f"{path.relative_to(site)}: {outside}"


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    """The address of a server of the built site."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_search_finds_a_function_and_every_request_goes_to_the_server(
    served: str, browser: Any, scheme: str
) -> None:
    page = browser.new_page(color_scheme=scheme)
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{served}reference/model/attention/")
    assert page.locator("body").get_attribute("data-md-color-scheme") == {"light": "default", "dark": "slate"}[scheme]
    page.keyboard.press("/")
    page.keyboard.type("run_with_cache")
    page.locator(".md-search-result__link", has_text="run_with_cache").first.click()
    page.wait_for_url(re.compile("reference/interp/"))
    page.close()
    assert not errors
    assert not [url for url in asked if not url.startswith((served, "data:", "blob:"))]
