"""One tiny run, one server and one browser for all tests of the page."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Collection, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
import yaml

from analysis_app.library import Library
from lab.loading import load
from lab.runs import open_run
from scripts.page_server import Server, serving
from tests.patience import PAGE_PATIENCE, PATIENCE
from tests.tiny import lab, tiny_args, write_corpus

MARKUP = "<img src=x onerror=hacked()>"
STEPS = 12


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one trained run `tiny` whose text holds markup, and a folder whose very name is markup."""
    folder = tmp_path_factory.mktemp("analysis_app")
    corpus = write_corpus(folder / "corpus.txt")
    corpus.write_text(f"{MARKUP}\n" + corpus.read_text() + f"\n{MARKUP * 200}")
    done = lab("fit", *tiny_args(folder, steps=STEPS))
    assert done.returncode == 0, done.stderr
    hostile = folder / "runs" / MARKUP
    hostile.mkdir()
    (hostile / "run.json").write_text(json.dumps({"format": 1, "name": MARKUP, "state": "completed", "step": 1}))
    return folder / "runs"


@pytest.fixture(scope="module")
def library(runs: Path) -> Library:
    """The library over `runs`, its own in each module."""
    return Library(runs)


@pytest.fixture(scope="module")
def loaded(runs: Path) -> Any:
    """The newest model of `tiny`, opened by the lab itself."""
    return load("tiny", root=runs)


def validation_pieces(runs: Path, context: int = 16) -> np.ndarray:
    """The validation slice of `tiny` in pieces of the context's length."""
    ids = np.array((open_run("tiny", runs).data() or {})["val_slice"]["tokens"])
    return ids[: len(ids) // context * context].reshape(-1, context)


@pytest.fixture(scope="session")
def server(runs: Path) -> Iterator[Server]:
    """The server over `runs`."""
    with serving(runs) as found:
        yield found


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of the server's routes."""
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as found:
        yield found


def post(client: httpx.Client, path: str, **body: object) -> dict[str, Any]:
    """The answer of a route to a body that it accepts."""
    answer = client.post(f"/api/{path}", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


APP = Path(__file__).parents[2] / "analysis_app"
NOWHERE = "http://127.0.0.1:9"  # answered by `_serve`, not by the network


def _serve(route: Any) -> None:
    """The page's own files without a server."""
    path = APP / route.request.url.removeprefix(f"{NOWHERE}/")
    if path.is_file():
        return route.fulfill(path=path, content_type="text/css" if path.suffix == ".css" else "text/javascript")
    page = f"<link rel=stylesheet href={NOWHERE}/page/style.css><body><div id=place></div>"
    route.fulfill(body=page, content_type="text/html")


@pytest.fixture(scope="module")
def bare_page(browser: Any) -> Iterator[Any]:
    """A page that has the project's modules and colours and nothing else on it; no server, nothing uncaught."""
    found = browser.new_page(viewport={"width": 900, "height": 700})
    found.set_default_timeout(PAGE_PATIENCE)
    problems: list[str] = []
    found.on("pageerror", lambda error: problems.append(str(error)))
    found.route(f"{NOWHERE}/**", _serve)
    found.goto(NOWHERE)
    yield found
    found.close()
    assert not problems


SETTLED = """() => {
  const panels = [...document.querySelectorAll(".tabitem .lab-panel")].filter((panel) => panel.offsetParent);
  return panels.length > 0 && panels.every((panel) => ["ready", "empty"].includes(panel.dataset.state));
}"""


def in_thread(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of `work`, in a loop of its own: a browser's may be running in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class Person:
    """A person at the page: opens views, reads what is shown, and afterwards swears that nothing went wrong."""

    def __init__(self, context: Any, url: str) -> None:
        self.url = url
        self.page = context.new_page()
        self.page.set_default_timeout(PAGE_PATIENCE)
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.page.on("request", self._request)
        self.page.expose_function("hacked", lambda: self.problems.append("markup was obeyed"))

    def _console(self, message: Any) -> None:
        # A refusal is an answer (422 with a sentence); the browser logs it all the same.
        expected = "status of 422" in message.text or "status of 404" in message.text
        if message.type == "error" and not expected:
            self.problems.append(f"console: {message.text}")

    def _request(self, request: Any) -> None:
        self.requests.append(request.url)
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.problems.append(f"asked elsewhere: {request.url}")

    def open(self, tab: str, **query: Any) -> None:
        """Open a view by its address and wait until its panels show numbers."""
        parts = "&".join(f"{name}={value}" for name, value in {"tab": tab, **query}.items())
        self.page.goto(f"{self.url}/?{parts}")

    def panel(self, name: str, state: str = "ready") -> Any:
        """The panel of that name, once it is in that state."""
        self.page.wait_for_selector(f'[data-panel="{name}"][data-state="{state}"]')
        return self.page.locator(f'[data-panel="{name}"]')

    def settled(self) -> None:
        """Wait until every panel that is seen shows something, or says why it does not; an error fails."""
        self.page.wait_for_function(SETTLED)

    def wait(self, script: str) -> None:
        """Wait until the JavaScript expression is true."""
        self.page.wait_for_function(script)

    def query(self, name: str) -> str | None:
        """A part of the address."""
        found: str | None = self.page.evaluate(f"new URL(location).searchParams.get('{name}')")
        return found


Somebody = TypeVar("Somebody", bound=Person)


@contextmanager
def visiting(browser: Any, make: Callable[[Any], Somebody], forgiven: Collection[str] = ()) -> Iterator[Somebody]:
    """A new browser profile with a person made from its context; afterwards no problem but those that hold a word of
    `forgiven`.
    """
    context = browser.new_context(viewport={"width": 1400, "height": 950})
    found = make(context)
    yield found
    context.close()
    left = [problem for problem in found.problems if not any(word in problem for word in forgiven)]
    assert not left, "\n".join(left)


@pytest.fixture
def person(browser: Any, server: Server) -> Iterator[Person]:
    """A new browser profile at the page; no console error, no request elsewhere, no markup obeyed."""
    with visiting(browser, lambda context: Person(context, server.url)) as found:
        yield found


def another(runs: Path, folder: Path, name: str = "other", **data: Any) -> Path:
    """A run like `tiny` under another name, with another learning rate and other settings of its data."""
    shutil.copytree(runs / "tiny", folder / name)
    path = folder / name / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["model"]["optimizer"]["lr"] = 0.5
    config["data"] |= data
    path.write_text(yaml.safe_dump(config))
    # Else the record of seams, or its copy beside a checkpoint, says what held, whatever config.yaml has become.
    (folder / name / "seams.json").unlink()
    for facts in (folder / name / "checkpoints").glob("*.json"):
        content = json.loads(facts.read_text())
        facts.write_text(json.dumps(content | {"noted": {**content.get("noted", {}), "seams": None}}))
    return folder / name
