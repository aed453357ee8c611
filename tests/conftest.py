"""What every test shares: one torch thread (two busy cores make two threads collapse), no network, a Chromium."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before anything imports these libraries: no look-ups, no telemetry, no hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from scripts.page_server import BROWSER_FLAGS, find_chromium
from tests.tiny import keep_all_looks

CHROMIUM_FIX = "run ./scripts/test, or install Chromium (Debian: apt-get install chromium) or set LAB_CHROMIUM"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Token caches of the tests live and die with the test session, never in the person's own cache."""
    before = os.environ.get("LAB_CACHE_DIR")
    os.environ["LAB_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["LAB_CACHE_DIR"]
    else:
        os.environ["LAB_CACHE_DIR"] = before


@pytest.fixture(scope="session", autouse=True)
def _all_looks() -> None:
    """No look gives way, however busy the machine is: what a run leaves out is tested with a clock of its own."""
    keep_all_looks()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; skips, naming the fix, where there is none."""
    if not (found := find_chromium()):
        pytest.skip(f"no Chromium found: {CHROMIUM_FIX}")
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """A headless Chromium that can reach this machine and nothing else."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=chromium, args=list(BROWSER_FLAGS))
        yield found
        found.close()


@pytest.fixture(scope="session")
def shakespeare() -> Path:
    """tinyshakespeare.txt from LAB_DATA_DIR; skips where it is not."""
    path = Path(os.environ.get("LAB_DATA_DIR", "")) / "tinyshakespeare.txt"
    if not os.environ.get("LAB_DATA_DIR") or not path.exists():
        pytest.skip("no TinyShakespeare: set LAB_DATA_DIR to a folder that holds tinyshakespeare.txt")
    return path


@pytest.fixture
def start_process() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`start_process(code, *arguments)`: a Python process that has printed its first line ("ready")."""
    started = []

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
