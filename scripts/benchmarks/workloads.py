"""What the benchmarks train: shapes, texts, the reference's step and the lab's."""

from __future__ import annotations

import atexit
import os
import shutil
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lab.data.datamodule import LabDataModule
from lab.model import GPT, GPTConfig
from lab.training.levers import LeverConfig, Levers, choose_levers
from lab.training.optimizers import OptimizerConfig, build_optimizer, grad_norm_and_clip
from scripts import reference_gpt as reference

ADAMW = OptimizerConfig(lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1, clip=1.0)  # as the reference's
TEXT_CHARACTERS, CHARACTERS = 1_115_394, 65  # of TinyShakespeare: how long it is, and how many different ones
QUICK_CHARACTERS = 20_000


@dataclass(frozen=True)
class Workload:
    """A model and how many sequences of its context one step learns from."""

    name: str
    config: GPTConfig
    batch_size: int

    @property
    def tokens(self) -> int:
        """Tokens a step."""
        return self.batch_size * self.config.context_length


def _gpt(layers: int, heads: int, width: int, context: int, vocab: int = CHARACTERS, dropout: float = 0) -> GPTConfig:
    return GPTConfig(
        n_layers=layers,
        n_heads=heads,
        d_model=width,
        context_length=context,
        vocab_size=vocab,
        bias=False,
        dropout=dropout,
    )


WORKLOADS = {
    w.name: w
    for w in (
        Workload("A", _gpt(4, 4, 128, 64), 12),
        Workload("B", _gpt(6, 6, 384, 256), 16),
        Workload("Bd", _gpt(6, 6, 384, 256, dropout=0.2), 16),
        Workload("C", _gpt(6, 6, 384, 256, vocab=50257), 16),
        Workload("tiny", _gpt(1, 2, 16, 16), 4),
    )
}


# ---------------------------------------------------------------- text


@cache
def benchmark_text(quick: bool = False) -> Path:
    """TinyShakespeare where LAB_DATA_DIR holds it, else a text of its length and number of characters; quick: short."""
    known = Path(os.environ.get("LAB_DATA_DIR") or "/nowhere") / "tinyshakespeare.txt"
    return known if known.exists() and not quick else library_text(QUICK_CHARACTERS if quick else TEXT_CHARACTERS)


@cache
def library_text(n_characters: int) -> Path:
    """That many characters of the standard library's source, with its 65 commonest characters only."""
    parts, length = [], 0
    for file in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = file.read_text(encoding="utf-8", errors="ignore")
        parts.append(text)
        length += len(text)
        if length >= 2 * n_characters:
            break
    text = "".join(parts)
    common = {c for c, _ in Counter(text).most_common(CHARACTERS)}
    text = "".join(c for c in text if c in common)[:n_characters]
    folder = tempfile.mkdtemp(prefix="lab-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "library.txt"
    path.write_text(text, encoding="utf-8")
    return path


def text_data(workload: Workload, text: Path, cache_dir: Path) -> LabDataModule:
    """The lab's data module over a text, by characters."""
    data = LabDataModule(
        corpus="text",
        path=str(text),
        tokenizer="char",
        context_length=workload.config.context_length,
        batch_size=workload.batch_size,
        cache_dir=str(cache_dir),
    )
    data.prepare()
    return data


class RandomData:
    """Batches of random tokens for vocabularies that no small text fills, in the data module's manner."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        vocabulary = workload.config.vocab_size
        self.stream = np.random.default_rng(0).integers(0, vocabulary, 200_000).astype(np.uint16)

    def step_batch(self, step: int) -> tuple[Tensor, Tensor]:
        """(tokens, targets) `[1, batch, pos]`."""
        context = self.workload.config.context_length
        starts = np.random.default_rng(step).integers(0, len(self.stream) - context, self.workload.batch_size)
        ids = self.stream[starts[:, None] + np.arange(context + 1)].astype(np.int64)
        x, y = np.ascontiguousarray(ids[:, :-1]), np.ascontiguousarray(ids[:, 1:])
        return torch.from_numpy(x)[None], torch.from_numpy(y)[None]


# ---------------------------------------------------------------- models


def reference_shape(config: GPTConfig) -> reference.Shape:
    """A configuration as the reference has it."""
    return reference.Shape(
        config.n_layers, config.n_heads, config.d_model, config.context_length, config.vocab_size, config.dropout
    )


_NAMES = (
    ("token_embedding", "wte"),
    ("position_embedding", "wpe"),
    ("blocks.", "h."),
    ("ln1", "ln_1"),
    ("ln2", "ln_2"),
    ("ln_final", "ln_f"),
    ("attn.qkv", "attn.c_attn"),
    ("attn.out", "attn.c_proj"),
    ("mlp.up", "mlp.c_fc"),
    ("mlp.down", "mlp.c_proj"),
)


def reference_name(name: str) -> str:
    """What the reference calls the lab's parameter `name`."""
    for ours, theirs in _NAMES:
        name = name.replace(ours, theirs)
    return name


def copy_weights(model: GPT, theirs: reference.ReferenceGPT) -> None:
    """Give the reference the lab's weights."""
    theirs.load_state_dict({reference_name(name): weight for name, weight in model.state_dict().items()})


# ---------------------------------------------------------------- steps

Step = Callable[[int], float]
"""One optimizer step on batch n; returns the loss before the update, so whoever times it waits for the device."""


def reference_step(workload: Workload, device: str, tokens: np.ndarray) -> Step:
    """The reference's own loop over a memory-mapped token file."""
    model = reference.ReferenceGPT(reference_shape(workload.config)).to(device).train()
    optimizer = reference.make_optimizer(model)

    def step(n: int) -> float:
        x, y = reference.get_batch(tokens, workload.batch_size, workload.config.context_length)
        return reference.train_step(model, optimizer, x.to(device), y.to(device))

    return step


def lab_levers(config: GPTConfig, device: str, precision: str | None = None, **wanted: object) -> Levers:
    """The levers that the lab chooses for this model on this device, but for those in `wanted`."""
    return choose_levers(LeverConfig(**wanted), config=config, device=device, precision=precision)  # type: ignore[arg-type]


def lab_step(
    model: GPT, data: LabDataModule | RandomData, levers: Levers, optimizer_config: OptimizerConfig = ADAMW
) -> Step:
    """The lab's step without Lightning: what `PretrainingModule.training_step` computes, as a bare loop."""
    levers.apply(model)
    device = torch.device(levers.device)
    model.to(device).train()
    optimizer = build_optimizer(model, replace(optimizer_config, fused=levers.fused))

    def step(n: int) -> float:
        tokens, targets = data.step_batch(n)
        total = 0.0
        counted = (targets != -1).sum()
        for x, y in zip(tokens.to(device), targets.to(device), strict=True):
            with levers.autocast():
                loss = model.loss(x, y, reduction="sum") / counted
            loss.backward()
            total += float(loss.detach())
        grad_norm_and_clip(model.parameters(), optimizer_config.clip)
        optimizer.step()
        optimizer.zero_grad()
        return total

    return step
