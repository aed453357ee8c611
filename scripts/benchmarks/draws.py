"""Configurations drawn at random, to test forecasts on runs that they were not made with."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.data.datamodule import LabDataModule
from lab.model import GPTConfig, flops_per_token
from scripts.benchmarks.commands import LAB, flags, run

SECONDS = (60.0, 80.0)  # that a target takes on one thread, roughly
FEW_VAL_TOKENS = 8192  # of a run of some seconds: else it would be validated for longer than it is trained
FLOPS_PER_WIDTH = 0.45e9  # of one thread in a second, for each unit of width: small products are slow


@dataclass(frozen=True)
class Draw:
    """A configuration: text and vocabulary, network, recipe, and about how many seconds it takes."""

    corpus: str
    tokenizer: str
    vocab_size: int | None
    batch_size: int
    config: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    seconds: float
    precision: str | None = None
    tokens_per_step: int | None = None

    def data(self) -> LabDataModule:
        """Its data, ready to be read."""
        data = LabDataModule(
            corpus=self.corpus,
            tokenizer=self.tokenizer,
            vocab_size=self.vocab_size,
            context_length=self.config["context_length"],
            batch_size=self.batch_size,
            val_tokens=65536,
        )
        data.prepare()
        data.setup()
        return data

    def steps(self, config: GPTConfig) -> int:
        """Optimizer steps that take about `seconds`."""
        per_step = self.tokens_per_step or self.batch_size * config.context_length
        return max(2, int(self.seconds * FLOPS_PER_WIDTH * config.d_model / (flops_per_token(config) * per_step)))

    def lab(self, command: str, root: Path, *more: str) -> str:
        """`python -m lab COMMAND` of it; what it printed."""
        config = GPTConfig(vocab_size=self.vocab_size or 256, **self.config)
        values: dict[str, Any] = {
            **{f"model.config.{k}": v for k, v in self.config.items()},
            **{f"model.optimizer.{k}": v for k, v in self.optimizer.items()},
            **{f"model.schedule.{k}": v for k, v in self.schedule.items()},
            "data.corpus": self.corpus,
            "data.tokenizer": self.tokenizer,
            "data.vocab_size": self.vocab_size,
            "data.batch_size": self.batch_size,
            "data.tokens_per_step": self.tokens_per_step,
            "data.val_tokens": FEW_VAL_TOKENS,
            "trainer.precision": self.precision,
            "trainer.accelerator": "cpu",
            "levers.threads": 1,
            "horizon.steps": self.steps(config),
            "run.root": root,
        }
        return run(*LAB, command, *flags(values), *more)


def _texts() -> list[tuple[str, str, int | None]]:
    texts: list[tuple[str, str, int | None]] = [
        *(("python", "bpe", 512), ("python", "bpe", 1024), ("python", "bytes", None))
    ]
    if os.environ.get("LAB_DATA_DIR"):
        texts += [("shakespeare", "char", None), ("shakespeare", "char", None), ("shakespeare", "bpe", 512)]
    return texts


def draw(series: str, number: int) -> Draw:
    """A target for the forecast of its final loss: small, since it is to be trained to its end."""
    if series == "quick":
        return quick()
    rng = random.Random(f"{series}-{number}")
    corpus, tokenizer, vocab_size = rng.choice(_texts())
    width = rng.choice([48, 64, 80, 96])
    config = {
        "n_layers": rng.randint(2, 4),
        "d_model": width,
        "n_heads": width // 16,
        "context_length": rng.choice([32, 64]),
        "positions": rng.choice(["rope", "rope", "learned"]),
        "norm": rng.choice(["layernorm", "rmsnorm"]),
        "mlp": rng.choice(["gelu", "relu2", "swiglu"]),
        "qk_norm": rng.random() < 0.5,
        "bias": rng.random() < 0.3,
        "zero_init": rng.random() < 0.5,
        "tie_embeddings": rng.random() < 0.7,
    }
    optimizer: dict[str, Any] = {"lr": round(10 ** rng.uniform(-3, -2.4), 5)}
    if rng.random() < 0.35:
        optimizer |= {"name": "muon", "muon_lr": rng.choice([0.01, 0.02])}
    schedule = {
        "kind": rng.choice(["cosine", "cosine", "wsd", "linear"]),
        "warmup_fraction": rng.choice([0.02, 0.05]),
        "final_lr_fraction": rng.choice([0.0, 0.1]),
    }
    batch = 512 // config["context_length"]
    return Draw(corpus, tokenizer, vocab_size, batch, config, optimizer, schedule, rng.uniform(*SECONDS))


def draw_for_cost(series: str, number: int) -> Draw:
    """A run of some seconds for the forecast of minutes and memory: any kernel, precision and size that fits them."""
    if series == "quick":
        return quick()
    rng = random.Random(f"cost-{series}-{number}")
    corpus, tokenizer, vocab_size = rng.choice([*_texts(), ("python", "bpe", 4096)])
    width = rng.choice([64, 96, 128, 192, 256])
    head = rng.choice([16, 32])
    config = {
        "n_layers": rng.randint(2, 6),
        "d_model": width,
        "n_heads": width // head,
        "n_kv_heads": rng.choice([None, 1]),
        "context_length": rng.choice([64, 128, 256]),
        "positions": rng.choice(["rope", "learned"]),
        "norm": rng.choice(["layernorm", "rmsnorm"]),
        "mlp": rng.choice(["gelu", "relu2", "swiglu"]),
        "qk_norm": rng.random() < 0.5,
        "bias": rng.random() < 0.5,
        "tie_embeddings": rng.random() < 0.6,
        "dropout": rng.choice([0.0, 0.0, 0.1]),
    }
    batch = rng.choice([1024, 2048, 4096]) // config["context_length"]
    micro = rng.choice([1, 1, 2])
    return Draw(
        corpus,
        tokenizer,
        vocab_size,
        batch,
        config,
        {"lr": 1e-3, "name": rng.choice(["adamw", "muon"])},
        {"kind": rng.choice(["cosine", "wsd"])},
        rng.uniform(8, 14),
        rng.choice([None, "32-true"]),
        batch * config["context_length"] * micro,
    )


def quick() -> Draw:
    """The smallest configuration that all the code runs on."""
    shape = {"n_layers": 1, "n_heads": 2, "d_model": 32, "context_length": 16}
    return Draw("python", "bytes", None, 16, shape, {"lr": 1e-3}, {"kind": "cosine"}, 0.5)
