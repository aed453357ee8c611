"""`startup`: seconds until the help is printed, and until a fit has made its first step."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks.commands import LAB, ROOT, flags
from scripts.benchmarks.measure import Options, Row, percentile
from scripts.benchmarks.workloads import library_text


def run(options: Options) -> list[Row]:
    """Seconds of whole processes, everything they import included; tokens are cached, as at a second start."""
    repeats = 1 if options.quick else 7
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as folder:
        fit = fit_command(Path(folder), options)
        subprocess.run([*fit, "--run.name", "first"], check=True, capture_output=True)
        works: dict[str, Callable[[int], float]] = {
            "--help": lambda n: _seconds([*LAB, "--help"]),
            "fit to its first step on pico": lambda n: _first_step(
                [*fit, "--run.name", f"n{n}"], Path(folder) / f"n{n}"
            ),
        }
        times = {name: [1000 * work(n) for n in range(repeats)] for name, work in works.items()}
    return [
        Row("startup", "pico", name, milliseconds=percentile(t, 0.5), p10=percentile(t, 0.1), unit="process")
        for name, t in times.items()
    ]


def fit_command(folder: Path, options: Options) -> list[str]:
    """One step of the smallest preset on a text by characters."""
    text = library_text(20_000 if options.quick else 1_000_000)
    settings = {
        "model.config": ROOT / "configs/model/pico.yaml",
        "data.corpus": "text",
        "data.path": text,
        "data.tokenizer": "char",
        "data.cache_dir": folder / "cache",
        "data.batch_size": 4,
        "validation.every": 0,
        "horizon.steps": 1,
        "run.root": folder,
    }
    return [*LAB, "fit", *flags(settings)]


def _seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def _first_step(command: list[str], run: Path) -> float:
    """Seconds until metrics.jsonl has its first line."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics = run / "metrics.jsonl"
    while not (metrics.exists() and metrics.stat().st_size):
        if process.poll() not in (None, 0):
            raise RuntimeError(f"`{' '.join(command)}` ended with code {process.returncode}")
        time.sleep(0.005)
    seconds = time.perf_counter() - begin
    process.wait()
    return seconds
