"""The smallest real fit: a model of a few thousand parameters on a text of a few kilobytes, seconds on one core."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE

WORDS = "the cat sat on a mat and then it ran to the door where a dog was asleep in the warm sun".split()  # noqa: SIM905


def write_corpus(path: Path, words: int = 4000) -> Path:
    """A text of random sentences over 20 words: learnable, and the same on every machine."""
    rng = random.Random(0)
    path.write_text("".join(rng.choice(WORDS) + rng.choice([" "] * 5 + [".\n"]) for _ in range(words)))
    return path


def keep_all_looks() -> None:
    """In this process every run keeps all its looks, as if it were short, whatever they take."""
    import lab.training.looking as looking

    looking.LEAST_SECONDS = 1e9


def tiny_args(tmp_path: Path, *more: str, steps: int = 12, name: str | None = "tiny") -> list[str]:
    """Arguments of `fit` for a run that takes a second or two."""
    corpus = tmp_path / "corpus.txt"
    if not corpus.exists():
        write_corpus(corpus)
    settings: dict[str, Any] = {
        "run.root": tmp_path / "runs",
        "model.config.n_layers": 2,
        "model.config.n_heads": 2,
        "model.config.d_model": 32,
        "model.config.context_length": 16,
        "data.corpus": "text",
        "data.path": corpus,
        "data.tokenizer": "char",
        "data.batch_size": 4,
        "data.val_tokens": 256,
        "horizon.steps": steps,
        "tensorboard": "false",
        "trainer.accelerator": "cpu",
    }
    args = [x for key, value in settings.items() for x in (f"--{key}", str(value))]
    return [*args, *(["--run.name", name] if name else []), *more]


def lab(*args: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """`python -m lab …` in a process of its own, as a person would type it."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"} | kwargs.pop("env", {})
    return subprocess.run(
        [sys.executable, "-m", "lab", *args],
        capture_output=True,
        text=True,
        env=env,
        timeout=kwargs.pop("timeout", PATIENCE),
        **kwargs,
    )


def losses(run: Path) -> dict[int, str]:
    """Training loss of every step as the exact bits of its float; of two lines for one step the later counts."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: float(row["train/loss"]).hex() for row in rows if "train/loss" in row}
