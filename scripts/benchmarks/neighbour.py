"""`neighbour`: what a run keeps of its quiet speed while something else wants the machine's processors.

A real `fit` trains, and with `--beside` that of another checkout. They take turns, one stopped while the other runs, so
each meets the same neighbours: processes that spin, and a page of its own checkout, open on Live or computing analyses
without pause. Speed is read from the run's metrics, after a few seconds in which it could adapt.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from lab.limits import usable_cpus
from scripts.benchmarks.commands import ROOT, flags, switched_off
from scripts.benchmarks.measure import Options, Row
from scripts.benchmarks.workloads import library_text
from scripts.page_server import BROWSER_FLAGS, find_chromium

SETTLE, WINDOW, PHASE = 8.0, 10.0, 3.0  # seconds: to adapt, that are measured, for which a neighbour comes or goes
STARTED_STEPS = 5
CHOSEN = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # a user's choice would be measured instead
MODEL = {
    "model.config.positions": "rope",
    "model.config.norm": "rmsnorm",
    "model.config.mlp": "relu2",
    "model.config.context_length": 128,
    "model.optimizer.name": "muon",
    "data.batch_size": 16,
}
TINY = {"model.config.n_layers": 1, "model.config.n_heads": 2, "model.config.d_model": 32, "data.batch_size": 4}


class Missing(Exception):
    """What a neighbour needs is not on this machine."""


class Side:
    """A checkout's run, in a process of its own."""

    def __init__(self, name: str, checkout: Path, folder: Path, quick: bool) -> None:
        self.name, self.checkout, self.folder = name, checkout, folder
        self.environment = {k: v for k, v in os.environ.items() if k not in CHOSEN}
        self.environment |= {"LAB_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(checkout)}
        settings = (
            MODEL
            | (TINY if quick else {})
            | {
                "data.corpus": "text",
                "data.path": library_text(20_000 if quick else 1_000_000),
                "data.tokenizer": "char",
                "horizon.steps": 1_000_000,
                "checkpoint.every": 50,
                "log.every": 1,
                "tensorboard": False,
                "run.root": folder / "runs",
                "run.name": "run",
            }
        )
        command = [sys.executable, "-m", "lab", "fit", *flags(settings), *switched_off("validation", "samples")]
        self.log = open(folder / "fit.log", "w")  # noqa: SIM115  closed in `close`
        self.process = subprocess.Popen(
            command, cwd=checkout, env=self.environment, stdout=self.log, stderr=self.log, start_new_session=True
        )
        self.metrics = folder / "runs" / "run" / "metrics.jsonl"

    def wait_for_steps(self) -> None:
        """Train until the first steps are done, then stand still. Raises RuntimeError where the fit ends before."""
        while len(self.ends()) < STARTED_STEPS:
            if self.process.poll() is not None:
                raise RuntimeError(f"fit of {self.checkout} ended: {(self.folder / 'fit.log').read_text()[-2000:]}")
            time.sleep(0.2)
        self.stop()

    def stop(self) -> None:
        """Stand still."""
        self.process.send_signal(signal.SIGSTOP)

    def go(self) -> None:
        """Train on."""
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the run."""
        self.process.kill()
        self.process.wait()
        self.log.close()

    def ends(self) -> list[float]:
        """When each step was logged, in Unix seconds."""
        found = {}
        with suppress(OSError):
            for line in self.metrics.read_text().splitlines():
                with suppress(ValueError):
                    row = json.loads(line)
                    if "train/loss" in row:
                        found[row["step"]] = row["wall"]
        return list(found.values())

    def speed(self, settle: float, seconds: float) -> float:
        """Steps a second over so many seconds, after `settle` seconds."""
        self.go()
        time.sleep(settle)
        begin = time.time()
        time.sleep(seconds)
        end = time.time()
        self.stop()
        ends = self.ends()
        inside = [wall for wall in ends if begin <= wall <= end]
        if len(inside) > 2:
            return (len(inside) - 1) / (inside[-1] - inside[0])
        return len(inside) / (end - begin) or 1 / (settle + end - begin)  # not one step: at most so fast


def run(options: Options) -> list[Row]:
    """The speed beside each neighbour as a share of the quiet speed, and against the other checkout's."""
    settle, window = (0.2, 1.0) if options.quick else (SETTLE, WINDOW)
    # Ended from outside, it must leave no run behind that trains on, or stands still for ever.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lab-bench-")))
        sides = []
        for name, checkout in (("this", ROOT), ("before", options.beside)):
            if checkout is not None:
                (folder / name).mkdir()
                sides.append(Side(name, checkout, folder / name, options.quick))
                stack.callback(sides[-1].close)
                sides[-1].wait_for_steps()
        rows: list[Row] = []
        quiet: dict[str, float] = {}
        for title, neighbour in neighbours(options.quick).items():
            speeds = {}
            for side in sides:
                try:
                    with neighbour(side):
                        speeds[side.name] = side.speed(settle, window)
                except Missing as missing:
                    rows.append(Row("neighbour", "quickstart's model", title, note=str(missing)))
            quiet = quiet or speeds
            rows += [_row(title, name, speed, quiet, speeds) for name, speed in speeds.items()]
    return rows


def _row(title: str, name: str, speed: float, quiet: dict[str, float], speeds: dict[str, float]) -> Row:
    note = "" if name == "this" else "before"
    if name == "this" and "before" in speeds:
        note = f"{speed / speeds['before']:.2f}x before"
    return Row(
        "neighbour",
        "quickstart's model",
        title,
        ratio=speed / quiet[name],
        milliseconds=1000 / speed,
        note=note,
    )


Neighbour = Callable[[Side], Any]


def neighbours(quick: bool) -> dict[str, Neighbour]:
    """By name what stands beside the run; each a context for one side. Raises `Missing` for what is not here."""
    found: dict[str, Neighbour] = {
        "quiet": lambda side: spinning(0),
        "one spinning process": lambda side: spinning(1),
        "one on every core": lambda side: spinning(len(usable_cpus())),
        "one that comes and goes": lambda side: coming_and_going(),
        "the page, computing without pause": computing,
        "the page, open on Live": open_on_live,
        "quiet again": lambda side: spinning(0),
    }
    if quick:
        del found["the page, open on Live"]
    return found


@contextmanager
def spinning(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many processes that do nothing but use a core."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def during(work: Callable[[], object]) -> Iterator[None]:
    """`work` again and again in a thread."""
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            work()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def coming_and_going() -> Iterator[None]:
    """A process that spins for three seconds and is away for three, over and over."""
    with spinning(1) as (process,):

        def phase() -> None:
            time.sleep(PHASE)
            process.send_signal(signal.SIGSTOP)
            time.sleep(PHASE)
            process.send_signal(signal.SIGCONT)

        with during(phase):
            yield


@contextmanager
def page(side: Side) -> Iterator[str]:
    """The page of the side's checkout over its runs; yields its address."""
    command = [sys.executable, "-m", "analysis_app", "--runs", str(side.folder / "runs"), "--port", "0"]
    server = subprocess.Popen(
        command,
        cwd=side.checkout,
        env=side.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in server.stdout or ():
            if " is at " in line:
                threading.Thread(target=lambda: [*(server.stdout or ())], daemon=True).start()
                yield line.split(" is at ")[1].split("/  ")[0]
                return
        raise Missing("the page did not start")
    finally:
        server.kill()
        server.wait()


@contextmanager
def computing(side: Side) -> Iterator[None]:
    """Analyses of ever other texts, two at a time."""
    with page(side) as url, ExitStack() as stack:
        answered: list[float] = []

        def ask(first: int) -> Callable[[], None]:
            numbers = iter(range(first, 1 << 30, 2))

            def one() -> None:
                name = "".join(chr(ord("a") + int(digit)) for digit in str(next(numbers)))
                text = f"def {name}(x): return x " * 3
                body = json.dumps({"run": "run", "text": text, "layer": 0, "head": 0}).encode()
                request = urllib.request.Request(
                    f"{url}/api/analyze/attention", body, {"Content-Type": "application/json"}
                )
                begin = time.perf_counter()
                with urllib.request.urlopen(request, timeout=60) as answer:
                    answer.read()
                answered.append(time.perf_counter() - begin)

            return one

        ask(0)()
        for first in (1, 2):
            stack.enter_context(during(ask(first)))
        yield
        print(f"  {side.name}: {len(answered)} analyses, median {1000 * statistics.median(answered):.0f} ms")


@contextmanager
def open_on_live(side: Side) -> Iterator[None]:
    """A headless Chromium with the Live tab of the run."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise Missing("needs Playwright") from None
    if not (chromium := find_chromium()):
        raise Missing("needs a Chromium: LAB_CHROMIUM names one")
    with page(side) as url, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=list(BROWSER_FLAGS))
        try:
            tab = browser.new_page(viewport={"width": 1400, "height": 1000})
            tab.goto(f"{url}/?run=run&tab=live")
            tab.wait_for_selector("[data-panel=live]")
            yield
        finally:
            browser.close()
