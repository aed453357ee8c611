"""`looks`: of a run's wall-clock, what goes into steps, into validation, and into all else that looks or saves.

Runs of about a minute with the cadences that nothing sets, as whole commands. With `--beside CHECKOUT` the same ones of
another version of the project run by turns with these.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from scripts.benchmarks.commands import ROOT, flags
from scripts.benchmarks.measure import Options, Row
from scripts.benchmarks.workloads import library_text

MINUTES = 1.1  # a little above the shortest run that the budget holds for
QUICKSTART = ROOT / "configs/quickstart.yaml"


def run(options: Options) -> list[Row]:
    """A row for each configuration, version and part: its share of the run in per cent, and its seconds."""
    versions = {"this version": ROOT} if options.beside is None else {"before": options.beside, "this version": ROOT}
    rows = []
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as name:
        for threads in options.threads:
            for workload, settings in workloads(options.quick).items():
                for version, checkout in versions.items():
                    folder = Path(name) / f"{version.split()[0]}-{threads}" / workload.replace(" ", "-")
                    found = parts(fit(checkout, settings, threads, folder))
                    total = found.pop("whole")
                    rows += [
                        Row(
                            "looks",
                            workload,
                            f"{version}: {part}",
                            threads,
                            milliseconds=1000 * seconds,
                            value=100 * seconds / total,
                            unit="% of the run",
                            note=f"of {total:.0f} s",
                        )
                        for part, seconds in found.items()
                    ]
    return rows


def workloads(quick: bool) -> dict[str, dict[str, Any]]:
    """The quickstart, a small model by characters, and one that reads eight times as far back as the quickstart's."""
    length: dict[str, Any] = {"horizon.steps": 4, "horizon.minutes": "null"} if quick else {"horizon.minutes": MINUTES}
    text = library_text(200_000 if quick else 1_000_000)
    own = {"data.corpus": "text", "data.path": text, "model.schedule.warmup_steps": 1} if quick else {}
    small = {"model.config": ROOT / "configs/model/pico.yaml", "data.corpus": "text", "data.path": text}
    far = {"model.config.context_length": 1024, "data.batch_size": 2, "data.tokens_per_step": 2048}
    return {
        "quickstart": {"config": QUICKSTART, **length, **own},
        "small": {**small, "data.tokenizer": "char", "data.batch_size": 8, "model.schedule.warmup_steps": 1, **length},
        "long context": {"config": QUICKSTART, **far, **length, **own},
    }


def fit(checkout: Path, settings: dict[str, Any], threads: int, folder: Path) -> Path:
    """Run `fit` with the code of `checkout`; its run directory. Raises RuntimeError with the end of its errors."""
    own = {"levers.threads": threads, "run.root": folder, "run.name": "run", "data.cache_dir": folder.parent / "cache"}
    command = [sys.executable, "-m", "lab", "fit", *flags({**settings, **own})]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` ended with code {done.returncode}: {done.stderr[-2000:]}")
    return folder / "run"


def parts(run: Path) -> dict[str, float]:
    """Seconds of the whole run, in steps, in validation and in the rest, from its metrics.jsonl, of any version."""
    lines = [orjson.loads(line) for line in (run / "metrics.jsonl").read_bytes().splitlines()]
    steps = validation = before = 0.0
    done = 0
    for line in lines:  # as written: a validation has a line of its own, behind those of its step
        if "val/loss" in line or "val/subset_loss" in line:
            validation += line["time"] - before
        if speed := line.get("perf/tokens_per_second"):
            steps += (line["tokens"] - done) / speed  # the mean over the steps since the line before
            done = line["tokens"]
        before = line["time"]
    whole = lines[-1]["time"]
    return {"whole": whole, "steps": steps, "validation": validation, "all else": max(0.0, whole - steps - validation)}
