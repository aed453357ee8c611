"""`overhead`: what `fit`, with Lightning, logging, TensorBoard, status and checkpoints, costs over a bare loop.

Both run in one process, by turns: `fit` is the command itself, in-process, with its default callbacks (validation
aside, which is work and not overhead); the bare loop makes the same steps of the same model on the same batches.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from lab.callbacks.progress import LabProgressBar
from lab.training.callback import FitContext
from scripts.benchmarks import commands
from scripts.benchmarks.commands import flags
from scripts.benchmarks.measure import Options, Row, TimedProcess, percentile, run_by_turns
from scripts.benchmarks.workloads import ADAMW, WORKLOADS, Workload, benchmark_text, lab_levers, lab_step, text_data

FIRST_STEPS = 5  # left out: caches and buffers are built in them


class StepClock(LabProgressBar):
    """Notes when each step ends, after the bar's own work: the bar is the last callback of a step."""

    ends: list[float] = []  # noqa: RUF012  one list for the whole process: `fit` makes the object

    def after_step(self, fit: FitContext) -> None:
        """After the lab's other callbacks, which come first."""
        super().after_step(fit)
        self.ends.append(time.perf_counter())


def run(options: Options) -> list[Row]:
    """µs a step on a model of next to no work, and the share of workload A's step."""
    rows = []
    for name in ("tiny",) if options.quick else ("tiny", "A"):
        steps, repeats = (20, 1) if options.quick else ((2000, 5) if name == "tiny" else (500, 4))
        for threads in options.threads:
            rows += _compare(WORKLOADS[name], steps, repeats, threads, options)
    return rows


def _compare(workload: Workload, steps: int, repeats: int, threads: int, options: Options) -> list[Row]:
    text = str(benchmark_text(options.quick))
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as folder:
        pair = TimedProcess("pair", build_pair, workload, steps, threads, text, folder, threads=threads)
        run_by_turns([pair], blocks=1, steps=repeats, warm_up=1)
        lines = (Path(folder) / "pairs.txt").read_text().splitlines()[1:]
    pairs = [tuple(float(part) for part in line.split()) for line in lines]
    fit, bare, mean_fit, mean_bare = (list(column) for column in zip(*pairs, strict=True))
    rows = []
    for variant, ours, theirs in (
        ("fit, an ordinary step", fit, bare),
        ("fit, mean of all steps", mean_fit, mean_bare),
    ):
        over = [a - b for a, b in zip(ours, theirs, strict=True)]
        share = 100 * statistics.median(over) / statistics.median(theirs)
        rows.append(
            Row(
                "overhead",
                workload.name,
                variant,
                threads,
                ratio=percentile(theirs, 0.1) / percentile(ours, 0.1),
                milliseconds=statistics.median(ours),
                p10=percentile(ours, 0.1),
                value=1000 * statistics.median(over),
                unit="step",
                note=f"µs over the bare loop; {share:.2f} % of its step",
            )
        )
    return rows


def build_pair(workload: Workload, steps: int, threads: int, text: str, folder: str) -> Any:
    """A pair: `fit`, then the bare loop; medians and means of their steps, in ms, into pairs.txt."""
    import warnings

    warnings.filterwarnings("ignore")
    import torch

    import lab.fitting.trainer as trainer
    from lab.model import GPT

    trainer.LabProgressBar = StepClock  # type: ignore[misc]
    config, root = workload.config, Path(folder)
    arguments = fit_arguments(workload, steps, threads, text, root)

    def fit(n: int) -> list[float]:
        StepClock.ends.clear()
        commands.fit([*arguments, "--run.name", f"n{n}"])
        return _gaps(StepClock.ends)

    def bare(n: int) -> list[float]:
        data = text_data(workload, Path(text), root / "cache")
        step = lab_step(GPT(config), data, lab_levers(config, "cpu", threads=threads))
        ends = []
        for i in range(steps):
            step(i)
            ends.append(time.perf_counter())
        return _gaps(ends)

    def pair(n: int) -> None:
        first, second = (fit, bare) if n % 2 else (bare, fit)
        torch.manual_seed(n)
        one, other = first(n), second(n)
        ours, theirs = (one, other) if n % 2 else (other, one)
        with open(root / "pairs.txt", "a") as file:
            print(
                *(average(times) for average in (statistics.median, statistics.mean) for times in (ours, theirs)),
                file=file,
            )

    return pair


def _gaps(ends: list[float]) -> list[float]:
    return [1000 * (b - a) for a, b in zip(ends[FIRST_STEPS:], ends[FIRST_STEPS + 1 :], strict=False)]


def fit_arguments(workload: Workload, steps: int, threads: int, text: str, root: Path) -> list[str]:
    """The flags of `fit` that train a workload into `root`."""
    config = workload.config
    settings = {
        **{
            f"model.config.{name}": getattr(config, name)
            for name in ("n_layers", "n_heads", "d_model", "context_length", "bias")
        },
        "model.optimizer.lr": ADAMW.lr,
        "model.optimizer.betas": list(ADAMW.betas),
        "data.corpus": "text",
        "data.path": text,
        "data.tokenizer": "char",
        "data.batch_size": workload.batch_size,
        "data.cache_dir": str(root / "cache"),
        "levers.threads": threads,
        "horizon.steps": steps,
        "validation.every": 0,
        "run.root": str(root / "runs"),
    }
    return flags(settings)
