"""`recipe`: how long until the loss that the README's setting ends with: reference, same recipe in the lab, fast
recipe.

Whole commands, one after another by turns over the seeds, each with a run directory of its own; training seconds leave
validation out, `whole command` is from start to end. The reference validates on the whole held-out text each time, the
lab within its budget and on the whole text at the end: that loss counts. `--race`: the fast recipe alone beside the
reference, a third of the time.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

from lab.runs import open_run
from scripts.benchmarks import commands
from scripts.benchmarks.commands import LAB, ROOT
from scripts.benchmarks.measure import Options, Row
from scripts.benchmarks.workloads import benchmark_text

EVALUATIONS = 20  # validations of a run
README = "configs/shakespeare_char.yaml"
FAST = "configs/shakespeare_char_fast.yaml"
RACE = "lab, fast recipe"
VARIANTS: dict[str, tuple[str, list[str]]] = {
    "lab, README's recipe": (README, []),
    "lab, README's model and optimizer, learning rate tuned": (
        README,
        ["--model.optimizer.lr", "4e-3", "--horizon.steps", "1100"],
    ),
    RACE: (FAST, []),
    "lab, fast recipe, 2000 steps": (FAST, ["--horizon.steps", "2000"]),
}


@dataclass(frozen=True)
class Result:
    """How one run ended: nats per character on the whole held-out text, and seconds."""

    val_loss: float
    training: float
    whole: float


def run(options: Options) -> list[Row]:
    """Every variant with every seed. Without Shakespeare's text there is nothing to compare: one row says so."""
    text = benchmark_text(options.quick)
    if text.name != "tinyshakespeare.txt" and not options.quick:
        return [Row("recipe", "A", "reference", note="n/a: LAB_DATA_DIR names no folder with tinyshakespeare.txt")]
    threads, rows = options.threads[0], []
    for threads in options.threads:
        results: dict[str, list[Result]] = {}
        with tempfile.TemporaryDirectory(prefix="lab-bench-") as folder:
            for seed in range(1 if options.quick else options.seeds):
                results.setdefault("reference", []).append(_reference(text, seed, threads, options))
                for name, (config, extra) in VARIANTS.items():
                    if (ROOT / config).exists() and (name == RACE or not options.race):
                        command = _fit(config, extra, seed, threads, Path(folder), options, text)
                        results.setdefault(name, []).append(_lab(command, Path(folder)))
        rows += _rows(results, threads)
    return rows


def _rows(results: dict[str, list[Result]], threads: int) -> list[Row]:
    base = results["reference"]
    target = statistics.median(r.val_loss for r in base)
    rows = []
    for name, found in results.items():
        losses = sorted(r.val_loss for r in found)
        reached = sum(loss <= target for loss in losses)
        note = f"val loss {losses[0]:.4f} … {losses[-1]:.4f}, {reached} of {len(found)} at or below {target:.4f}"
        for unit, seconds in (("training", [r.training for r in found]), ("whole command", [r.whole for r in found])):
            before = statistics.median([r.training if unit == "training" else r.whole for r in base])
            median = statistics.median(seconds)
            rows.append(
                Row(
                    "recipe",
                    "A",
                    name,
                    threads,
                    ratio=before / median,
                    milliseconds=1000 * median,
                    value=statistics.median(losses),
                    unit=unit,
                    note=note,
                )
            )
    return rows


def _reference(text: Path, seed: int, threads: int, options: Options) -> Result:
    steps = 20 if options.quick else 2000
    command = [sys.executable, str(ROOT / "scripts/reference_gpt.py"), "--text", str(text), "--seed", str(seed)]
    command += ["--threads", str(threads), "--steps", str(steps), "--evaluations", str(EVALUATIONS)]
    begin = time.perf_counter()
    found = json.loads(commands.run(*command))
    return Result(found["val_loss"], found["training_seconds"], time.perf_counter() - begin)


def _fit(
    config: str, extra: list[str], seed: int, threads: int, folder: Path, options: Options, text: Path
) -> list[str]:
    command = [*LAB, "fit", "--config", str(ROOT / config), *extra]
    command += ["--seed_everything", str(seed), "--levers.threads", str(threads)]
    command += ["--run.root", str(folder), "--data.cache_dir", str(folder / "cache")]
    if options.quick:
        command += ["--horizon.steps", "20", "--data.corpus", "text", "--data.path", str(text)]
        command += ["--model.schedule.warmup_steps", "2"]
    return command


def _lab(command: list[str], folder: Path) -> Result:
    begin = time.perf_counter()
    commands.run(*command)
    whole = time.perf_counter() - begin
    lines = [orjson.loads(line) for line in open_run("last", folder).metrics_path.read_bytes().splitlines()]
    validating, before = 0.0, 0.0
    for line in lines:  # as written: a validation has a line of its own, after that of the step it follows
        if "val/loss" in line or "val/subset_loss" in line:
            validating += line["time"] - before
            val_loss = line.get("val/loss", line.get("val/subset_loss"))
        before = line["time"]
    return Result(val_loss, lines[-1]["time"] - validating, whole)
