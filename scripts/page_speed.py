"""How fast the analysis page is, measured in a headless Chromium against a server of its own.

    python scripts/page_speed.py --runs runs --run last

Needs Playwright and a Chromium (LAB_CHROMIUM names one). Times are medians, in milliseconds, of what a person waits
for: from the click or key to the picture. The targets are for a model of some 10 million parameters on two CPU cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from page_server import BROWSER_FLAGS, find_chromium, serving
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table

import lab
from lab.runs import Run, open_run

REPEATS = 5
LISTED = 200
SENTENCE = 64  # tokens
TARGETS = {
    "server start": 8000,
    "first picture": 1500,
    "switch head": 50,
    "new sentence": 500,
    "first written token": 200,
    "anatomy opens": 1500,
    "checkpoints listed": 300,
    "frame while dragging through time": 50,  # 20 frames a second
}


def median(measure: Callable[[], float]) -> float:
    """The median of some repetitions; the first, which warms up, is left out."""
    return statistics.median([measure() for _ in range(REPEATS + 1)][1:])


def since(began: float) -> float:
    """Milliseconds."""
    return 1000 * (time.perf_counter() - began)


def measure_page(page: Any, url: str, run: str, text: str) -> dict[str, float]:
    """All but the server's start and the long list."""

    def first_picture() -> float:
        began = time.perf_counter()
        page.goto(f"{url}/?run={run}&tab=attention&text={quote(text)}", wait_until="commit")
        page.wait_for_selector('[data-panel="heatmap"][data-state="ready"]')
        return since(began)

    found = {"first picture": median(first_picture)}
    page.wait_for_selector('[data-panel="head_grid"][data-state="ready"]')
    # From the click to the frame in which the browser has drawn the other head.
    found["switch head"] = median(lambda: page.evaluate(SWITCH))
    n_tokens = page.locator("#lab-token-strip .lab-token").count()
    found["new sentence"] = median(lambda: page.evaluate(RETYPE))
    print(f"run {run}, sentences of {n_tokens} tokens, one more or less")
    page.goto(f"{url}/?run={run}&tab=generate")
    page.wait_for_selector("#lab-generate:not([disabled])")
    page.fill("#lab-max_tokens", "8")

    def first_token() -> float:
        page.click("#lab-generate")
        page.wait_for_function("document.querySelector('.lab-foot')?.textContent.includes('the first after')")
        return float(page.get_attribute('[data-panel="writer"]', "data-first-ms"))

    found["first written token"] = median(first_token)

    def anatomy() -> float:
        page.goto(f"{url}/?run={run}&tab=generate")
        page.wait_for_selector("#lab-generate:not([disabled])")
        began = time.perf_counter()
        page.get_by_role("tab", name="Anatomy").click()
        page.wait_for_selector('[data-panel="anatomy"][data-state="ready"]')
        return since(began)

    return found | {"anatomy opens": median(anatomy)}


def measure_film(page: Any, url: str, run: str) -> float:
    """Milliseconds a frame while the slider of Through time is dragged over all snapshots of a probe text, each drawn
    (all heads, the chosen one, the cursors of the curves) and put on the screen before the next."""
    page.goto(f"{url}/?run={run}&tab=time")
    page.wait_for_selector('[data-panel="time_player"][data-ended="done"]')
    page.wait_for_selector('[data-panel="time_curves"][data-state="ready"]')
    return median(lambda: page.evaluate(DRAG))


SWITCH = """async () => {
  const tiles = [...document.querySelectorAll(".lab-head:not(.lab-chosen)")];
  const tile = tiles[Math.floor(Math.random() * tiles.length)], began = performance.now();
  tile.click();
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - began;
}"""
DRAG = """async () => {
  const slider = document.querySelector("#lab-time"), map = document.querySelector('[data-panel="time_map"]');
  const frames = Number(slider.max) + 1;
  const drawn = Number(map.dataset.drawn ?? 0), began = performance.now();
  for (let i = 0; i < frames; i++) {
    slider.value = i;
    slider.dispatchEvent(new Event("input"));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  }
  const took = performance.now() - began;
  if (Number(map.dataset.drawn) - drawn < frames - 1) throw new Error("not every frame was drawn");
  return took / frames;
}"""
# A letter more or less each time, so that no answer is kept from before; typing's own pause is not counted.
RETYPE = """async () => {
  const store = await import(new URL("components/lib/store.js", document.baseURI));
  const panel = document.querySelector('[data-panel="heatmap"]'), before = panel.dataset.shown;
  const text = store.currentText(), began = performance.now();
  store.select({ text: text.slice(1) + text[Math.floor(Math.random() * text.length)] });
  while (panel.dataset.shown === before) await new Promise((done) => setTimeout(done, 1));
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - began;
}"""


def measure_list(page: Any, url: str) -> float:
    """Milliseconds until a table of many checkpoints stands there."""

    def listed() -> float:
        page.goto(f"{url}/?tab=attention")
        page.wait_for_selector('[data-panel="heatmap"][data-state="ready"]')
        began = time.perf_counter()
        page.get_by_role("tab", name="Checkpoints").click()
        page.wait_for_function(f"document.querySelectorAll('.lab-row').length >= {LISTED}")
        return since(began)

    return median(listed)


def sentence(run: Run, n_tokens: int) -> str:
    """About so many tokens of the run's own validation text."""
    model, tokenizer = lab.load(run.path)
    ids = (run.data() or {})["probe"]["tokens"]
    return tokenizer.decode(ids[: min(n_tokens, model.config.context_length)])


def many_snapshots(run: Path, folder: Path) -> None:
    """A run like `run` with one of its snapshots under many steps."""
    copy = folder / "many"
    (copy / "snapshots").mkdir(parents=True)
    for name in ("run.json", "data.json", "tokenizer.json"):
        shutil.copy(run / name, copy / name)
    weights = min((run / "snapshots").glob("*.safetensors"))
    facts = json.loads(weights.with_suffix(".json").read_text())
    for step in range(LISTED):
        file = copy / "snapshots" / f"step-{step:08d}.safetensors"
        os.link(weights, file) if weights.stat().st_dev == folder.stat().st_dev else shutil.copy(weights, file)
        file.with_suffix(".json").write_text(json.dumps(facts | {"step": step}))


def main() -> int:
    """Measure, print, and compare with what the page promises."""
    parser = argparse.ArgumentParser(description="How fast the analysis page is.")
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--run", default="last")
    args = parser.parse_args()
    run = open_run(args.run, args.runs)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(BROWSER_FLAGS))
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        asked: set[str] = set()
        page.on("request", lambda request: asked.add(urlsplit(request.url).hostname or ""))
        text = sentence(run, SENTENCE)
        with serving(run.path.parent) as server:
            found = {"server start": server.start_ms} | measure_page(page, server.url, run.name, text)
            if run.reference_texts():
                found["frame while dragging through time"] = measure_film(page, server.url, run.name)
        many_snapshots(run.path, Path(folder))
        with serving(folder) as server:
            found["checkpoints listed"] = measure_list(page, server.url)
        browser.close()
    table = Table("what", "ms", "target")
    for name, value in found.items():
        table.add_row(name, f"{value:,.0f}", f"{TARGETS[name]:,}", style=None if value <= TARGETS[name] else "red")
    Console().print(table)
    elsewhere = sorted(asked - {"", "127.0.0.1"})
    print(f"requests that left this machine: {', '.join(elsewhere) or 'none'}")
    return 1 if elsewhere else 0


if __name__ == "__main__":
    sys.exit(main())
