"""`minutes`: how far from the minutes asked for a run ends, quiet, and with a neighbour that arrives half-way.

Whole commands; measured from outside, between the events of the start and of the end. The neighbour is a process that
does nothing but fill a core.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.runs import Run
from lab.runs.events import Completed, Decided, Started, of_kind
from scripts.benchmarks.commands import LAB, ROOT, flags
from scripts.benchmarks.measure import Options, Row
from scripts.benchmarks.workloads import library_text

MINUTES = 1.5
KINDS = ("wsd", "cosine", "linear")
CASES = {"quiet": None, "a neighbour from half-way on": 0.5}
LOOK_SECONDS = 0.2  # between two looks at how far the run is


def run(options: Options) -> list[Row]:
    """A row for each schedule and case: by how many per cent of its minutes the run ends late."""
    minutes, kinds = (0.05, KINDS[:1]) if options.quick else (MINUTES, KINDS)
    rows = []
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as folder:
        for threads in options.threads:
            for kind in kinds:
                for case, since in CASES.items():
                    settings = workload(options.quick) | {
                        "model.schedule.kind": kind,
                        "horizon.minutes": minutes,
                        "levers.threads": threads,
                        "run.root": Path(folder) / f"{kind}-{threads}-{since}",
                        "data.cache_dir": Path(folder) / "cache",
                    }
                    rows.append(row(fit(settings, minutes, since), kind, case, threads, minutes))
    return rows


def workload(quick: bool) -> dict[str, Any]:
    """The quickstart, or the smallest preset."""
    if not quick:
        return {"config": ROOT / "configs/quickstart.yaml"}
    text = library_text(20_000)
    return {
        "model.config": ROOT / "configs/model/pico.yaml",
        "data.corpus": "text",
        "data.path": text,
        "data.tokenizer": "char",
    }


def fit(settings: dict[str, Any], minutes: float, since: float | None) -> Run:
    """Train, with a neighbour once the share `since` of the minutes is over; the run."""
    command = [*LAB, "fit", *flags({**settings, "run.name": "run"})]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = Run(Path(settings["run.root"]) / "run")
    with contextlib.ExitStack() as neighbours:
        waits = since is not None
        while process.poll() is None:
            seconds = found.status().details.get("training_seconds") or 0.0
            if waits and since is not None and seconds >= since * 60 * minutes:
                neighbours.enter_context(neighbour())
                waits = False
            time.sleep(LOOK_SECONDS)
    if process.returncode:
        raise RuntimeError(f"`{' '.join(map(str, command))}` ended with code {process.returncode}")
    return found


@contextlib.contextmanager
def neighbour() -> Iterator[None]:
    """A process that fills a core, as long as this is open."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def row(found: Run, kind: str, case: str, threads: int, minutes: float) -> Row:
    """When it ended, and how it came to that."""
    events, status = found.events(), found.status()
    begin, end = of_kind(events, Started)[0].wall, of_kind(events, Completed)[-1].wall
    assert begin is not None
    assert end is not None
    decided = [event for event in of_kind(events, Decided) if event.what == "horizon"]
    planned = decided[-1].value["planned"] if decided else status.total_steps
    rates = found.metrics().series("train/lr")[1]
    return Row(
        "minutes",
        kind,
        case,
        threads,
        milliseconds=1000 * (end - begin),
        value=100 * ((end - begin) / (60 * minutes) - 1),
        unit="% later than asked",
        note=f"{status.total_steps:,} steps, {planned:,} estimated, {len(decided)} revisions; the rate ends at"
        f" {rates[-1] / max(rates):.2g} of its peak",
    )
