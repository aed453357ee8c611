"""For scripts and tests: the page's server in a process of its own on a free port, and a Chromium to look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing but this machine can be reached.
BROWSER_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)


@dataclass
class Server:
    """A running server: its address, its process, what it has logged, and the milliseconds until it answered."""

    url: str
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)
    start_ms: float = 0.0

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.process.terminate()
        self.process.wait()


def start_server(runs: str | Path, *more: str) -> Server:
    """`python -m analysis_app --runs RUNS` with the arguments `more`. Raises `RuntimeError` where it does not start."""
    began, log = time.perf_counter(), []
    process = subprocess.Popen(
        [sys.executable, "-m", "analysis_app", "--runs", str(runs), "--port", "0", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in process.stdout or ():
        log.append(line)
        if " is at " in line:
            break
    else:
        raise RuntimeError(f"the page's server did not start: {''.join(log)}")
    threading.Thread(target=lambda: log.extend(process.stdout or ()), daemon=True).start()
    url = log[-1].split(" is at ")[1].split("/  ")[0]
    return Server(url, process, log, 1000 * (time.perf_counter() - began))


@contextmanager
def serving(runs: str | Path) -> Iterator[Server]:
    """A server over `runs` for as long as the block lasts."""
    server = start_server(runs)
    try:
        yield server
    finally:
        server.stop()


def find_chromium() -> str | None:
    """The Chromium that LAB_CHROMIUM names, else one in the usual places."""
    named = os.environ.get("LAB_CHROMIUM")
    return named if named and Path(named).exists() else next(filter(None, map(shutil.which, CHROMIUMS)), None)
