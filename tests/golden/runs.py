"""Six short runs and their losses to the last bit: what a change of the code's shape must leave as it is.

Losses differ in their last bits between processors and versions of torch, so each such pair has a file of its own
under `losses/`. `python -m tests.golden.record` writes the file of the machine it runs on; it never replaces one
without being told to.
"""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path
from typing import Any

import torch

from lab.__main__ import main
from lab.training.machine import native_bf16
from tests.tiny import tiny_args

LOSSES = Path(__file__).parent / "losses"
METRICS = ("train/loss", "val/loss", "train/grad_norm", "train/lr")
STEPS = 16
MIDDLE = 8

MODERN = {
    "model.config.positions": "rope",
    "model.config.norm": "rmsnorm",
    "model.config.mlp": "relu2",
    "model.config.qk_norm": "true",
    "model.config.zero_init": "true",
    "model.config.bias": "false",
    "model.schedule.kind": "wsd",
    "data.tokenizer": "bpe",
    "data.vocab_size": 280,
}
DROPOUT = {"model.config.dropout": 0.125, "model.config.mlp": "swiglu", "model.config.n_kv_heads": 1}
RUNS: dict[str, dict[str, Any]] = {
    "adamw": {"checkpoint.milestones": MIDDLE},
    "muon": {"model.optimizer.name": "muon", **MODERN},
    "dropout": {"model.schedule.kind": "linear", **DROPOUT},
    "accumulation": {"data.tokens_per_step": 192, "model.schedule.kind": "constant"},
    "bf16": {"trainer.precision": "bf16-mixed"},
    "fork": {"fork": f"adamw@{MIDDLE}", "model.optimizer.lr": 0.003},
}
"""Settings of each run beside those of `tests.tiny`. `fork` goes on from `adamw`, so that one comes first."""
BF16 = ("bf16",)


def possible() -> list[str]:
    """The runs that this machine can do: bf16 only where the processor multiplies it."""
    return [name for name in RUNS if name not in BF16 or native_bf16()]


def fit(name: str, folder: Path) -> dict[str, dict[str, float]]:
    """Run configuration `name` under `folder` on one thread: metric → step → value as metrics.jsonl has it."""
    fixed = {"levers.threads": 1, "levers.keep_memory": "false", "trainer.precision": "32-true"}
    more = [f"--{key}={value}" for key, value in (fixed | RUNS[name]).items()]
    code = main(["fit", *tiny_args(folder, *more, steps=STEPS, name=name)])
    assert code == 0, f"fit of {name} ended with exit code {code}"
    return series(folder / "runs" / name)


def series(run: Path) -> dict[str, dict[str, float]]:
    """The compared metrics of a run directory; read here without the lab's own reader."""
    found: dict[str, dict[str, float]] = {metric: {} for metric in METRICS}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        for metric in METRICS:
            if metric in row:
                found[metric][str(row["step"])] = row[metric]
    return found


def key() -> str:
    """Names what the last bits depend on: torch, its vector code, the processor, its unit for bf16."""
    unit = native_bf16() or "no-bf16"
    return re.sub(
        r"[^\w.+-]+", "-", f"{torch.__version__}_{torch.backends.cpu.get_cpu_capability()}_{processor()}_{unit}"
    )


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """`AuthenticAMD-25-17`: vendor, family, model. Libraries of one build choose other kernels on other processors."""
    try:
        lines = cpuinfo.read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return "-".join(facts.get(fact, "unknown") for fact in ("vendor_id", "cpu family", "model"))


def recorded(name: str) -> dict[str, Any]:
    """The losses kept under key `name`."""
    return json.loads((LOSSES / f"{name}.json").read_text())


def known() -> list[str]:
    """The keys there are losses of."""
    return sorted(path.name.removesuffix(".json") for path in LOSSES.glob("*.json"))
