"""`checkpoint`: how long training stands still while a checkpoint is written, against Lightning's default.

Both in one process that keeps freed memory, as `fit` does on a CPU.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from lab.model import GPT
from lab.training.checkpoint_io import LabCheckpointIO
from lab.training.keep_memory import keep_freed_memory
from lab.training.optimizers import build_optimizer
from scripts.benchmarks.measure import Options, Row, percentile, timed
from scripts.benchmarks.workloads import ADAMW, WORKLOADS


def run(options: Options) -> list[Row]:
    """Weights and optimizer state of workload B (128 MB). Both writers by turns, each file deleted afterwards."""
    workload = WORKLOADS["tiny" if options.quick else "B"]
    keep_freed_memory()
    state = training_state(GPT(workload.config))
    lab = LabCheckpointIO(background=True)
    writers: dict[str, Callable[[dict[str, Any], Path], None]] = {
        "Lightning's default": TorchCheckpointIO().save_checkpoint,
        "lab": lab.save_checkpoint,
    }
    times: dict[str, list[float]] = {name: [] for name in writers}
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as folder:
        for n in range(2 if options.quick else 7):
            for name, write in writers.items():
                path = Path(folder) / f"{n}.ckpt"
                times[name].append(timed(lambda write=write, path=path: write(state, path)))
                lab.finish()  # the rest of its writing, which training does not wait for
                path.unlink()
    base = times["Lightning's default"]
    return [
        Row(
            "checkpoint",
            workload.name,
            name,
            torch.get_num_threads(),
            ratio=percentile(base, 0.1) / percentile(t, 0.1),
            ratio_median=percentile(base, 0.5) / percentile(t, 0.5),
            milliseconds=percentile(t, 0.5),
            p10=percentile(t, 0.1),
            unit="checkpoint",
        )
        for name, t in times.items()
    ]


def training_state(model: GPT) -> dict[str, Any]:
    """What a checkpoint holds most of: weights and AdamW's two averages."""
    optimizer = build_optimizer(model, ADAMW)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    return {"state_dict": model.state_dict(), "optimizer_states": [optimizer.state_dict()], "global_step": 1}
