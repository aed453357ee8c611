"""What a run costs by its settings alone: parameters, FLOPs, tokens, epochs, memory by part, disk. Trains nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from lab.model import GPTConfig, count_parameters, flops_per_token
from lab.planning.memory import Memory, Step, step_memory

KNOWN_VOCABULARIES = {"bytes": 257, "char": 96, "bpe": 4096, "gpt2": 50257, "r50k_base": 50257, "p50k_base": 50281}
KNOWN_VOCABULARIES |= {"cl100k_base": 100277, "o200k_base": 200019}
"""Vocabulary size by kind of tokenizer, before one is made; `char` depends on the text, printable ASCII is assumed."""
DEFAULT_BATCH = 16


@dataclass(frozen=True)
class Sizes:
    """The costs of a run. None: not known from what was given. `disk` is bytes by kind of file."""

    parameters: dict[str, int]
    flops_per_token: int
    tokens_per_step: int
    steps: int | None
    tokens: int | None
    flops: int | None
    tokens_per_parameter: float | None
    epochs: float | None
    memory: Memory
    disk: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


def sizes(
    config: GPTConfig,
    step: Step,
    *,
    steps: int | None = None,
    tokens_per_epoch: int | None = None,
    checkpoints: int = 3,
    snapshots: int | None = None,
) -> Sizes:
    """The costs of training `config` for `steps` optimizer steps.

    Args:
        step: What one step takes through the network, and how.
        tokens_per_epoch: Tokens of one pass over the training text; None: it never repeats, or is not known.
        checkpoints: Checkpoints that lie on the disk at the end: the newest two and the best one.
        snapshots: Snapshots taken by the end.
    """
    parameters, each = count_parameters(config), flops_per_token(config, step.context_length)
    per_step = step.batch_size * step.context_length * step.accumulation
    tokens = None if steps is None else steps * per_step
    memory = step_memory(config, step)
    disk = {"checkpoints": checkpoints * (memory.weights + memory.optimizer)}
    if snapshots is not None:
        disk["snapshots"] = snapshots * memory.weights
    return Sizes(
        parameters,
        each,
        per_step,
        steps,
        tokens,
        None if tokens is None else tokens * each,
        None if tokens is None else tokens / parameters["total"],
        tokens / tokens_per_epoch if tokens is not None and tokens_per_epoch else None,
        memory,
        disk,
    )


def size_of(
    settings: Mapping[str, Any],
    *,
    vocab_size: int | None = None,
    tokens_per_epoch: int | None = None,
    levers: Mapping[str, Any] | None = None,
) -> Sizes:
    """The costs of a configuration as `config.yaml` writes it (what it leaves out has its default).

    Answers in a second at most, while settings are being chosen: no text is read, no weight is made. The vocabulary is
    guessed from the tokenizer's kind unless given; `levers` are precision and kernels, as `{"precision": "bf16-mixed",
    "attention": "explicit", …}`. A horizon in minutes leaves tokens and FLOPs unknown.

    Raises `ValueError` for settings that cannot be, as the model's configuration says it.
    """
    model, data = _group(settings, "model"), _group(settings, "data")
    known = {f.name for f in fields(GPTConfig)}
    given = {k: v for k, v in _group(model, "config").items() if k in known and k != "vocab_size"}
    kind = str(data.get("tokenizer") or "bpe")
    size = vocab_size or data.get("vocab_size") or KNOWN_VOCABULARIES.get(kind, KNOWN_VOCABULARIES["bpe"])
    config = GPTConfig(**given | {"vocab_size": size})
    context = data.get("context_length") or config.context_length
    batch = data.get("batch_size") or DEFAULT_BATCH
    per_step = data.get("tokens_per_step") or batch * context
    optimizer = _group(model, "optimizer").get("name") or "adamw"
    chosen = {
        name: value for name, value in (levers or {}).items() if name in ("precision", "attention", "loss", "dropout")
    }
    step = Step(batch, context, max(1, per_step // (batch * context)), optimizer, **chosen)
    steps = steps_of(_group(settings, "horizon"), per_step, count_parameters(config)["total"])
    return sizes(config, step, steps=steps, tokens_per_epoch=tokens_per_epoch)


def steps_of(horizon: Mapping[str, Any], tokens_per_step: int, parameters: int) -> int | None:
    """Optimizer steps of a horizon that says them without a clock; None for minutes, or nothing."""
    if horizon.get("steps"):
        return int(horizon["steps"])
    tokens = horizon.get("tokens") or (horizon.get("tokens_per_parameter") or 0) * parameters
    return math.ceil(float(tokens) / tokens_per_step) if tokens else None


def _group(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = settings.get(name)
    return found if isinstance(found, Mapping) else {}
