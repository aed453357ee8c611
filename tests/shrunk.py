"""Any `fit` made small: its own settings, a model of a few thousand parameters, a short text, a handful of steps."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.data.bpe import PUBLISHED, tiktoken_holds
from lab.data.corpora import SYNTHETIC
from lab.presets import find_settings
from lab.runs.configurations import flatten
from tests.tiny import write_corpus

CONTEXT, BATCH = 16, 2


def given(args: list[str]) -> dict[str, Any]:
    """Every setting in the files and flags of `args`, later ones winning; a preset counts as model.config.*."""
    settings: dict[str, Any] = {}
    for flag, value in pairwise(args):
        if flag == "--config":
            settings |= _expanded(yaml.safe_load(find_settings(value).read_text()) or {})
        elif flag.startswith("--"):
            settings |= _expanded({flag[2:]: value})
    return settings


def _expanded(tree: dict[str, Any]) -> dict[str, Any]:
    flat = flatten(tree)
    preset = flat.pop("model.config", None)
    if preset is None:
        return flat
    return flatten({"model": {"config": yaml.safe_load(Path(preset).read_text())}}) | flat


def shrunk(args: list[str], folder: Path, *, steps: int = 3) -> list[str]:
    """`args` of a fit, and after them what makes it a matter of a second, under `folder`.

    What a configuration is about stays: the optimizer, the schedule, the model's switches, a made corpus, a text of
    one's own. Another corpus gives way to a text of a few kilobytes, and a tokenizer that is downloaded to bytes;
    with a text of one's own it stays, and must be there already.
    """
    settings = given(args)
    changed = {
        "run.root": str(folder / "runs"),
        "horizon.steps": steps,
        "validation.every": steps,
        "trainer.accelerator": "cpu",
        "trainer.precision": "32-true",
        "levers.compile": "false",
        "model.config.n_layers": 1,
        "model.config.n_heads": 2 * (settings.get("model.config.n_kv_heads") or 1),
        "model.config.d_model": 16 * 2 * (settings.get("model.config.n_kv_heads") or 1),
        "data.batch_size": BATCH,
        "data.val_tokens": 200,
    }
    if "model.schedule.warmup_steps" in settings:
        changed["model.schedule.warmup_steps"] = 1
    context = settings.get("model.config.context_length", 256)
    if settings.get("data.corpus", "python") not in SYNTHETIC:
        context = CONTEXT
        changed |= {"model.config.context_length": context} | _own_text(folder, settings)
    if "data.tokens_per_step" in settings:
        changed["data.tokens_per_step"] = 2 * BATCH * int(context)
    return [*_without_horizon(args), *(x for key, value in changed.items() for x in (f"--{key}", str(value)))]


def _own_text(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """A small text instead of one that is downloaded or large; the person's own stays."""
    kind = settings.get("data.tokenizer", "bpe")
    changed: dict[str, Any] = {"data.vocab_size": 270} if kind == "bpe" else {}
    if settings.get("data.corpus") == "text":
        require_vocabulary(kind)
        return changed
    text = folder / "corpus.txt"
    if not text.exists():
        write_corpus(text)
    changed |= {"data.corpus": "text", "data.path": text, "data.corpus_options": "{}"}
    return changed | ({} if kind in ("bpe", "char", "bytes") else {"data.tokenizer": "bytes"})


def _without_horizon(args: list[str]) -> list[str]:
    """A horizon among the flags would contradict the one of a few steps; one in a file is overruled by it."""
    kept: list[str] = []
    for flag in (rest := iter(args)):
        if flag.startswith("--horizon."):
            _ = None if "=" in flag else next(rest)
        else:
            kept.append(flag)
    return kept


def require_vocabulary(name: str) -> None:
    """Skips where a published vocabulary is not on this machine: no test asks the network for it."""
    if name in PUBLISHED and not tiktoken_holds(name):
        pytest.skip(f"no vocabulary '{name}': set TIKTOKEN_CACHE_DIR to a folder where tiktoken has put it")
