"""What training leaves behind: files of a run directory, the fields in them, events, metrics; and the model's hooks.

Taken from three real runs in this process: one steered through every command and resumed, one forked, one that fails.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lab.__main__ import main
from lab.model import GPT, GPTConfig
from lab.runs.metrics import METRICS
from tests.surface.routes import is_name, keys
from tests.tiny import lab, tiny_args

RARE = {
    "instrument_failed": ("error", "instrument"),
    "finding": ("chance", "ended", "head", "layer"),  # of an induction head; of what is over
}
"""Events, and fields of them, that a short run does not come to."""
COMMANDS = (["pause"], ["checkpoint"], ["sample", "the "], ["sample", "§"], ["resume"], ["lr", "0.5"])
ALWAYS = ("kind", "step", "wall")
EVERY = {"log": 1, "doctor": 1} | dict.fromkeys(
    ("validation", "throughput", "audit", "gradient_noise", "activation_histograms", "checkpoint", "snapshots"), 20
)
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "rope, rmsnorm, qk_norm, swiglu": {"positions": "rope", "norm": "rmsnorm", "qk_norm": True, "mlp": "swiglu"},
    "n_kv_heads": {"n_kv_heads": 3},
    "post norm": {"norm_position": "post"},
    "no positions": {"positions": "none"},
}
SIZES = {2: "batch", 7: "pos", 6: "head", 3: "kv_head", 4: "d_head", 24: "d_model", 11: "d_mlp", 13: "vocab"}
"""Every size another, so that a shape tells what its numbers are."""


def make_runs(folder: Path) -> Path:
    """The three runs, as `steered`, `fork` and `bad` under `folder/made`; made once."""
    runs = folder / "made"
    if (runs / "bad").exists():
        return runs
    root = ("--run.root", str(runs))
    every = [f"--{group}.every={steps}" for group, steps in EVERY.items()]
    said = ["--predict.final_loss=[1,3]", "--predict.mental_model=It counts.", *every]
    steering = threading.Thread(target=steer, args=[runs / "steered"])
    steering.start()
    assert main(["fit", *tiny_args(folder, *root, *said, steps=100_000, name="steered")]) == 0
    steering.join()
    steps = status(runs / "steered")["step"]
    for newest in (runs / "steered" / "checkpoints").glob(f"*{steps}.ckpt"):
        newest.unlink()  # as if the process had died before it could save
    assert main(["fit", "--resume", "steered", *root, "--horizon.steps", str(steps + 20)]) == 0
    assert main(["report", "steered", "--root", str(runs), "--html"]) == 0
    start = ["--fork", f"steered@{steps + 20}", "--run.name", "fork", "--horizon.steps", str(steps + 22)]
    assert main(["fit", *start, *root]) == 0
    ruin = ["--model.optimizer.lr=1e30", "--model.optimizer.clip=null", "--trainer.precision=32-true"]
    assert main(["fit", *tiny_args(folder, *root, *ruin, "--tensorboard=true", name="bad")]) == 1
    return runs


def steer(run: Path) -> None:
    """Ask a run for everything there is, from outside; the prompt `§` is refused. Whatever happens, stop it."""

    def control(*words: str) -> None:
        lab("control", run.name, *words, "--root", str(run.parent), "--timeout", "100")

    deadline = time.monotonic() + 120
    try:
        for step, words in [*((2, words) for words in COMMANDS), (25, ["stop"])]:
            while status(run).get("step", -1) < step and time.monotonic() < deadline:
                time.sleep(0.05)
            control(*words)
    finally:
        control("stop")


def status(run: Path) -> dict[str, Any]:
    """What run.json says now; nothing before there is one."""
    try:
        return {key: value for key, value in json.loads((run / "run.json").read_text()).items() if value is not None}
    except FileNotFoundError:
        return {}


# ---------------------------------------------------------------- the run directory


def files(folder: Path) -> list[str]:
    """Every file of the runs, and `file  key` for what stands in those that are JSON, YAML or npz."""
    lines: set[str] = set()
    for run in make_runs(folder).iterdir():
        for path in sorted(run.rglob("*")):
            if path.is_file():
                name = re.sub(r"\d{8}", "N", path.relative_to(run).as_posix())
                name = re.sub(r"events\.out\.tfevents\..*", "events.out.tfevents.*", name)
                lines |= {name, *(f"{name}  {key}" for key in inside(path))}
    return sorted(lines)


def inside(path: Path) -> Iterator[str]:
    """What a file is made of. Events, metrics and settings have lists of their own; `best` and `last` are links."""
    if path.name in ("events.jsonl", "metrics.jsonl", "config.yaml", "tokenizer.json") or path.stem in ("best", "last"):
        return
    if path.suffix == ".jsonl":
        for line in path.read_text().splitlines():
            yield from keys(json.loads(line))
    elif path.suffix == ".json":
        yield from keys(json.loads(path.read_text()))
    elif path.suffix == ".ckpt":
        yield from keys(torch.load(path, weights_only=True, map_location="cpu"), depth=1)
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            for name in arrays:
                kind = "text" if arrays[name].dtype.kind == "U" else arrays[name].dtype
                yield f"{name}: {kind}, {arrays[name].ndim} dimensions"


def events(folder: Path) -> list[str]:
    """`checkpoint best`, one line a kind and field of what events.jsonl can say."""
    found: dict[str, set[str]] = {kind: set(fields) for kind, fields in RARE.items()}
    for run in make_runs(folder).iterdir():
        for line in (run / "events.jsonl").read_text().splitlines():
            event = json.loads(line)
            assert event.keys() >= set(ALWAYS), event
            found.setdefault(event["kind"], set()).update(event.keys() - set(ALWAYS))
    return sorted(line for kind, fields in found.items() for line in (kind, *(f"{kind}  {field}" for field in fields)))


# ---------------------------------------------------------------- metrics


def metrics(folder: Path) -> list[str]:
    """`train/loss: nats per token, lower is better`, one line a metric; what the runs wrote must be among them."""
    written: set[str] = set()
    for run in make_runs(folder).iterdir():
        for line in (run / "metrics.jsonl").read_text().splitlines():
            written |= {key for key in json.loads(line) if is_name(key)}
    lines = [f"{m.name}: {m.unit}" + (f", {m.better} is better" if m.better else "") for m in METRICS.values()]
    lines += sorted({re.sub(r"\d+", "{i}", name) + "  (written)" for name in written})
    return sorted(lines)


# ---------------------------------------------------------------- hooks


def hooks(_: Path) -> list[str]:
    """`blocks.{i}.attn.hook_q [batch, pos, head, d_head]`, one line a hook, and in which variants of the model."""
    found: dict[str, list[str]] = {}
    for variant, switches in VARIANTS.items():
        config = GPTConfig(n_layers=1, n_heads=6, d_model=24, d_mlp=11, context_length=7, vocab_size=13, **switches)
        model, shapes = GPT(config), {}

        def look(name: str, x: torch.Tensor, shapes: dict[str, list[int]] = shapes) -> torch.Tensor:
            shapes[name] = list(x.shape)
            return x

        with torch.no_grad():
            model(torch.zeros(2, 7, dtype=torch.long), tap=look)
        assert sorted(shapes) == sorted(model.hook_names()), variant
        for name, shape in shapes.items():
            sizes = ", ".join(SIZES[size] for size in shape)
            found.setdefault(f"{name.replace('.0.', '.{i}.')} [{sizes}]", []).append(variant)
    return sorted(f"{line}  {'all' if len(who) == len(VARIANTS) else '; '.join(who)}" for line, who in found.items())
