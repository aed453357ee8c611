"""How every analysis runs a model: tokens checked first, then evaluation mode, no gradients, no autocast, the plain
uncompiled code, and afterwards everything as it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lab.model import GPT, GPTConfig, Tap
from lab.model.gpt import Block

Tokens = Sequence[int] | Sequence[Sequence[int]] | npt.NDArray[Any] | Tensor


def check_tokens(config: GPTConfig, tokens: Tokens, at_least: int = 1) -> Tensor:
    """`tokens` as int64 `[batch, pos]`, a copy; one sequence alone becomes a batch of one.

    Raises ValueError naming all that is wrong: no integers, sequences of unequal length, ids outside the vocabulary,
    more positions than context_length, fewer than `at_least`.
    """
    found = _integers(tokens)
    if found.ndim == 1:
        found = found.unsqueeze(0)
    if found.ndim != 2 or found.shape[0] == 0:
        raise ValueError(f"tokens of shape {list(found.shape)}: give [batch, pos], or one sequence [pos]")
    problems = []
    n_pos = found.shape[1]
    if n_pos > config.context_length:
        problems.append(
            f"{n_pos} tokens are more than context_length={config.context_length}: leave out "
            f"{n_pos - config.context_length} of them, for example the first"
        )
    if n_pos < at_least:
        why = "a text of one token leaves nothing to predict or to attend to: " if n_pos == 1 else ""
        problems.append(f"{n_pos} tokens: {why}give at least {at_least}")
    outside = (found < 0) | (found >= config.vocab_size)
    if outside.any():
        sequence, position = outside.nonzero()[0].tolist()
        problems.append(
            f"token {found[sequence, position].item()} at position {position} of sequence {sequence} is "
            f"outside the vocabulary: ids go from 0 to {config.vocab_size - 1} (another model's tokenizer?)"
        )
    if problems:
        raise ValueError("\n".join(problems))
    return found


def _integers(tokens: Tokens) -> Tensor:
    if isinstance(tokens, Tensor):
        if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
            raise ValueError(f"tokens of type {tokens.dtype}: give integer ids")
        return tokens.detach().to("cpu", torch.int64, copy=True)
    try:
        array = np.asarray(tokens)
    except ValueError:
        raise ValueError("the sequences differ in length: a batch needs equal lengths") from None
    if array.size == 0:
        return torch.zeros(array.shape, dtype=torch.int64)
    if array.dtype.kind not in "iu":
        raise ValueError(f"tokens of type {array.dtype}: give integer ids")
    return torch.from_numpy(array.astype(np.int64))


def check_layer(config: GPTConfig, layer: int) -> int:
    """`layer` counted from 0; negative ones count from the end. Raises ValueError where there is no such layer."""
    return check_index("layer", layer, config.n_layers)


def check_index(what: str, index: int, count: int) -> int:
    """`index` in 0 … count-1; negative ones count from the end. Raises ValueError outside."""
    if not -count <= index < count:
        raise ValueError(f"{what} {index}: there are {count}, from 0 to {count - 1} (or -{count} to -1)")
    return index % count


def plain(model: GPT) -> GPT:
    """The module itself where `torch.compile(model)` has wrapped it."""
    return cast(GPT, getattr(model, "_orig_mod", model))


def blocks(model: GPT) -> list[Block]:
    """The model's blocks, typed."""
    return cast(list[Block], list(model.blocks))


@contextmanager
def analysing(model: GPT) -> Iterator[None]:
    """Inside: evaluation mode, no gradients, no autocast, nothing compiled. Afterwards each module's mode is put back.

    Compiled code would be recompiled for a tap, 0.3 to 1 s each, or run without it.
    """
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    try:
        model.eval()
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(torch.autocast(device.type, enabled=False))
            # Before this module is loaded nothing can have been compiled, and loading it takes a second.
            if "torch._dynamo" in sys.modules:
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def forward(model: GPT, tokens: Tensor, tap: Tap | None = None) -> Tensor:
    """Logits `[batch, pos, vocab_size]` after checked `tokens` `[batch, pos]`, with a `tap` on the way, as an analysis
    sees them.

    Raises ValueError where they are not finite: then nothing in the model means anything.
    """
    model = plain(model)
    with analysing(model):
        logits = model.forward(tokens.to(model.token_embedding.weight.device), tap)
    if not bool(logits.isfinite().all()):
        raise ValueError(
            "the model's logits are not finite (NaN or infinity): its weights are broken, most likely since "
            "training diverged; take an earlier checkpoint"
        )
    return logits
