"""`startup`: seconds until the help is printed, runs are listed, a fit has made its first step, the page has answered.

Whole processes, with everything they import; tokens are cached, as at a second start. With `--beside CHECKOUT` the same
commands of another version of the project run by turns with these, and each ratio says how many times faster this one
is:

    git worktree add ../before 481af80
    python scripts/bench.py startup --beside ../before
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.request import urlopen

from scripts.benchmarks.commands import ROOT, flags
from scripts.benchmarks.measure import Options, Row, percentile
from scripts.benchmarks.workloads import library_text

RUNS_LISTED = 10
POLL_SECONDS = 0.002


@dataclass
class Checkout:
    """A version of the project, where its runs and its cached tokens are, and milliseconds by what was timed."""

    name: str
    path: Path
    folder: Path
    times: dict[str, list[float]] = field(default_factory=dict)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """`python -m WORDS` with this version's code; bytecode is kept, as it is for a user."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPATH"] = str(self.path)
        command = [sys.executable, "-m", *words]
        return subprocess.Popen(
            command, cwd=self.path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def finished(self, *words: str) -> None:
        """The same, until it has ended. Raises RuntimeError for an exit code other than 0."""
        process = self.start(*words)
        _wait(process, lambda: process.poll() is not None, words)

    def fit(self, name: str, quick: bool) -> tuple[str, ...]:
        """One step of the smallest preset on a text by characters, as words after `python -m`."""
        settings = {
            "model.config": ROOT / "configs/model/pico.yaml",
            "data.corpus": "text",
            "data.path": library_text(20_000 if quick else 1_000_000),
            "data.tokenizer": "char",
            "data.cache_dir": self.folder / "cache",
            "data.batch_size": 4,
            "validation.every": 0,
            "horizon.steps": 1,
            "run.root": self.folder / "runs",
            "run.name": name,
        }
        return ("lab", "fit", *flags(settings))


def run(options: Options) -> list[Row]:
    """A row for each command and version; the other version's first, which ratios are to."""
    repeats = 1 if options.quick else 5
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as temporary:
        places = [("lab", ROOT)] if options.beside is None else [("beside", options.beside), ("lab", ROOT)]
        checkouts = [Checkout(name, path, Path(temporary) / name) for name, path in places]
        for one in checkouts:  # compiles the bytecode, tokenises, and makes what is listed
            one.finished(*one.fit("listed", options.quick))
            for n in range(1, RUNS_LISTED):
                shutil.copytree(one.folder / "runs" / "listed", one.folder / "runs" / f"listed{n}")
            page(one, 0)
        works: dict[str, Callable[[Checkout, int], float | None]] = {
            "--help": lambda one, _: one.finished("lab", "--help"),
            f"runs, {RUNS_LISTED} of them": lambda one, _: one.finished("lab", "runs", "--root", f"{one.folder}/runs"),
            "fit to its first step on pico": partial(first_step, quick=options.quick),
            "the page's first answer": page,
        }
        for name, work in works.items():
            for n in range(repeats):
                for one in checkouts if n % 2 == 0 else checkouts[::-1]:
                    begin = time.perf_counter()
                    ended = work(one, n)
                    one.times.setdefault(name, []).append(1000 * ((ended or time.perf_counter()) - begin))
    return [row(name, one, checkouts) for name in works for one in checkouts]


def row(name: str, one: Checkout, checkouts: list[Checkout]) -> Row:
    """One command of one version."""
    first, times = checkouts[0].times[name], one.times[name]
    compared = len(checkouts) > 1
    return Row(
        "startup",
        name,
        one.name,
        ratio=percentile(first, 0.1) / percentile(times, 0.1) if compared else None,
        ratio_median=percentile(first, 0.5) / percentile(times, 0.5) if compared else None,
        milliseconds=percentile(times, 0.5),
        p10=percentile(times, 0.1),
        unit="process",
    )


def first_step(one: Checkout, n: int, quick: bool) -> float:
    """When metrics.jsonl had its first line; the process has ended by the time this returns."""
    words = one.fit(f"n{n}", quick)
    metrics, process = one.folder / "runs" / f"n{n}" / "metrics.jsonl", one.start(*words)
    _wait(process, lambda: metrics.exists() and metrics.stat().st_size > 0, words)
    seen = time.perf_counter()
    _wait(process, lambda: process.poll() is not None, words)
    return seen


def page(one: Checkout, n: int) -> float:
    """When the page at `/` had been read; the server has ended by the time this returns."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("analysis_app", "--runs", f"{one.folder}/runs", "--port", str(port))
    process = one.start(*words)
    try:
        _wait(process, partial(_answers, f"http://127.0.0.1:{port}/"), words)
        return time.perf_counter()
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=60) as answer:
            return bool(answer.read())
    except OSError:
        return False


def _wait(process: subprocess.Popen[bytes], done: Callable[[], bool], words: tuple[str, ...]) -> None:
    while not done():
        if process.poll() not in (None, 0):
            raise RuntimeError(f"`python -m {' '.join(words)}` ended with code {process.returncode}")
        time.sleep(POLL_SECONDS)
