"""`ablate`: what each choice of the fast recipe brings, by taking it back alone, over several seeds.

The recipe was chosen by its loss on the text that `recipe` holds out. Here the text is turned by a tenth, so that
another part is held out, which the choice did not depend on.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from lab.runs import open_run
from scripts.benchmarks.commands import ROOT, fit, flags, switched_off
from scripts.benchmarks.measure import Options, Row, percentile
from scripts.benchmarks.recipe import FAST, README
from scripts.benchmarks.workloads import benchmark_text

HELD_OUT = 0.1  # the lab's default share; the turned text ends before the part that is held out by default
QUIET = [
    *(
        "--tensorboard",
        "false",
        "--validation.at_start",
        "false",
        *switched_off("snapshots", "checkpoint", "throughput"),
    ),
    *switched_off("gradient_noise", "activation_histograms", "probes", "attention_maps", "samples"),
]
VARIANTS: dict[str, tuple[str, list[str]]] = {
    "fast recipe": (FAST, []),
    "AdamW instead of Muon": (FAST, ["--model.optimizer.name", "adamw"]),
    "learned positions instead of rotary": (FAST, ["--model.config.positions", "learned"]),
    "GELU instead of squared ReLU": (FAST, ["--model.config.mlp", "gelu"]),
    "no QK-norm": (FAST, ["--model.config.qk_norm", "false"]),
    "projections not zero at first": (FAST, ["--model.config.zero_init", "false"]),
    "cosine to a tenth instead of linear to 0": (
        FAST,
        ["--model.schedule.kind", "cosine", "--model.schedule.final_lr_fraction", "0.1"],
    ),
    "momentum 0.95 instead of 0.85": (FAST, ["--model.optimizer.muon_momentum", "0.95"]),
    "half the learning rates": (FAST, ["--model.optimizer.muon_lr", "0.01", "--model.optimizer.lr", "3e-3"]),
    "twice the learning rates": (FAST, ["--model.optimizer.muon_lr", "0.04", "--model.optimizer.lr", "12e-3"]),
    "README's setting in as many steps": (README, ["--model.schedule.warmup_steps", "20"]),
    "the same, learning rate tuned": (README, ["--model.schedule.warmup_steps", "20", "--model.optimizer.lr", "4e-3"]),
}


def run(options: Options) -> list[Row]:
    """Every variant with every seed: the loss on the whole held-out part, and a step's milliseconds."""
    variants = dict(list(VARIANTS.items())[:2]) if options.quick else VARIANTS
    steps, seeds = (30, 1) if options.quick else (250, options.seeds)
    text, threads, rows = benchmark_text(options.quick), options.threads[0], []
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as name:
        folder = Path(name)
        path = turned(text, folder)
        for variant, (config, extra) in variants.items():
            losses, times = [], []
            for seed in range(seeds):
                settings = {
                    "data.corpus": "text",
                    "data.path": path,
                    "data.cache_dir": folder / "c",
                    "seed_everything": seed,
                    "levers.threads": threads,
                    "validation.every": steps,
                    "run.root": folder / "runs",
                    "run.name": f"run-{len(rows)}-{seed}",
                    "trainer.accelerator": options.device,
                }
                fit(["--config", str(ROOT / config), "--horizon.steps", str(steps), *extra, *QUIET, *flags(settings)])
                history = open_run(f"run-{len(rows)}-{seed}", folder / "runs").metrics()
                tokens = history.series("perf/tokens_per_second")[1]
                losses.append(history.series("val/loss")[1][-1])
                times += [12 * 64 * 1000 / rate for rate in tokens]
            rows.append(
                Row(
                    "ablate",
                    "A",
                    variant,
                    threads,
                    milliseconds=statistics.median(times),
                    p10=percentile(times, 0.1),
                    value=statistics.mean(losses),
                    unit="nats, mean",
                    note=" ".join(f"{loss:.4f}" for loss in losses),
                )
            )
    return rows


def turned(text: Path, folder: Path) -> Path:
    """The text with its last tenth moved to the front, so that the tenth before that is held out."""
    content = text.read_text(encoding="utf-8")
    cut = int(len(content) * (1 - HELD_OUT))
    path = folder / "turned.txt"
    path.write_text(content[cut:] + content[:cut], encoding="utf-8")
    return path
