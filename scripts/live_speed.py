"""What the Live tab costs a browser: how fast a long run is there, how fast it is drawn, how much memory it takes.

    python scripts/live_speed.py                    # 100,000 and 1,000,000 logged steps
    python scripts/live_speed.py --rows 100000

A made-up run directory is written, the page's server started over it, and the tab opened in a headless Chromium
(LAB_CHROMIUM, or the usual places; needs `playwright`). Printed as a line of JSON a run: `load_seconds` from the moment
the tab begins to ask for the run until all of it is drawn; `redraw_ms` of the loss chart (median and largest of 50);
`behind_seconds` from a line written until it is on the page; memory of the page's process (resident, and its JavaScript
heap with typed arrays).
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from page_server import BROWSER_FLAGS, find_chromium, serving
from playwright.sync_api import Browser, Page, sync_playwright

from lab.files import write_json
from lab.runs import MetricsWriter, Run, StatusWriter, create_run

FLAGS = (*BROWSER_FLAGS, "--enable-precise-memory-info")
LIVE = "(document.querySelector('[data-panel=live]') ?? { dataset: {} })"


def write_run(root: Path, rows: int) -> Run:
    """A run that has logged that many steps as the trainer writes them: six numbers each, a validation now and then."""
    run = create_run(root, f"rows-{rows}")
    write_json(run.data_path, {"baselines": {"nats_per_token": {"uniform": 7.62, "unigram": 6.37}}})
    chance = random.Random(0)
    with open(run.metrics_path, "w", encoding="utf-8") as file:
        for step in range(rows):
            values = {
                "train/loss": 2.8 + 4.8 * math.exp(-step / 3000) + chance.gauss(0, 0.06) + (3 if step == 777 else 0),
                "train/grad_norm": 0.5 + abs(chance.gauss(0, 0.2)),
                "train/clipped": 0.0,
                "train/lr": 3e-3 * (1 - step / rows),
                "perf/tokens_per_second": 31_000 + chance.gauss(0, 500),
                "perf/memory_bytes": 412_000_000,
            }
            if step % 500 == 0:
                values |= {"val/loss": 2.9 + 4.8 * math.exp(-step / 3000), "stats/update_ratio.layer0": 1e-3}
            place = {"step": step, "tokens": step * 2048, "time": round(step * 0.05, 3), "wall": 1.7e9}
            file.write(json.dumps(place | values) + "\n")
    return run


def browser_memory(browser: Browser, page: Page) -> dict[str, float]:
    """Megabytes: resident of the process that holds the page, and of what JavaScript holds in it."""
    client = page.context.new_cdp_session(page)
    client.send("HeapProfiler.collectGarbage")
    heap = client.send("Runtime.getHeapUsage")
    held = heap["usedSize"] + heap.get("backingStorageSize", 0)
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    resident = [_resident(process["id"]) for process in processes if process["type"] == "renderer"]
    return {"page_mb": round(max(resident, default=math.nan)), "javascript_mb": round(held / 2**20, 1)}


def _resident(pid: int) -> float:
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:  # not Linux
        return math.nan
    return int(found[1]) / 1024 if found else math.nan


def measure(browser: Browser, url: str, run: Run, rows: int) -> dict[str, Any]:
    """The numbers of one run."""
    page = browser.new_page(viewport={"width": 1400, "height": 950})
    status = StatusWriter(run, total_steps=2 * rows)
    status.update(state="running", step=rows)
    # The page itself first: what is measured is the run, not Gradio.
    page.goto(f"{url}/?tab=checkpoints&run={run.name}")
    page.wait_for_selector('[data-panel="checkpoint_table"][data-mounted]')
    began = time.perf_counter()
    page.get_by_role("tab", name="Live").click()
    page.wait_for_function(f"Number({LIVE}?.dataset.last) === {rows - 1}", timeout=120_000)
    loaded = time.perf_counter() - began
    redraws = page.evaluate(
        """async () => {
          const base = document.querySelector('.lab-live-main figure'), found = [];
          for (let i = 0; i < 50; i++) {
            window.dispatchEvent(new Event('resize'));
            document.body.classList.toggle('dark');
            await new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
            found.push(Number(base.dataset.drawMs));
          }
          return found;
        }"""
    )
    behind = []
    with MetricsWriter(run, start_step=rows - 1) as metrics:
        for step in range(rows, rows + 10):
            metrics.write(step, step * 2048, step * 0.05, {"train/loss": 2.8, "train/lr": 1e-3})
            written = time.perf_counter()
            page.wait_for_function(f"Number({LIVE}.dataset.last) === {step}")
            behind.append(time.perf_counter() - written)
            page.wait_for_timeout(random.uniform(0, 300))
    status.close()
    return {
        "rows": rows,
        "load_seconds": round(loaded, 2),
        "redraw_ms": statistics.median(redraws),
        "redraw_ms_most": max(redraws),
        "behind_seconds": round(statistics.median(behind), 2),
        "behind_seconds_most": round(max(behind), 2),
        **browser_memory(browser, page),
    }


def main() -> None:
    """Write, serve, open, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="logged steps of the runs")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder) / "runs"
        runs = {rows: write_run(root, rows) for rows in asked.rows}
        with serving(root) as server:
            for rows, run in runs.items():
                # A browser for each: what one run left behind is not the other's.
                browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
                print(json.dumps(measure(browser, server.url, run, rows)), flush=True)
                browser.close()


if __name__ == "__main__":
    main()
