"""How much memory a training step takes, by part, before any of it is taken.

The step is gone through with fake tensors, which have shapes and no numbers: PyTorch's own autograd says what it keeps
for the backward pass, for every switch of the model, precision and kernel, and nothing is computed. Live bytes are
counted at every allocation, to the byte what a real step's tensors take (tests/planning/test_memory.py).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lab.model import GPT, GPTConfig, count_parameters

FRAGMENTED = 1.355
"""Growth of a process that keeps freed memory (glibc) for each byte of tensors at their peak: holes that nothing fits
into. Measured as 1.26 to 1.47 over eight configurations of 22 to 160 MB of weights and activations; LOG.md."""
FRAGMENTED_SPREAD = 0.10  # half of the 80 % interval of a process's peak, relative
MOST_LAYERS = 4  # deeper networks are traced with 3 and 4 layers and extrapolated: memory is linear in depth
DTYPES = {"bf16": torch.bfloat16, "16": torch.float16, "64": torch.float64}


@dataclass(frozen=True)
class Step:
    """What a step's memory depends on beside the network: `batch_size` sequences of `context_length` at a time.

    `optimizer` is adamw or muon; precision and kernels are those of `lab.training.levers.Levers`.
    """

    batch_size: int
    context_length: int
    accumulation: int = 1
    optimizer: str = "adamw"
    precision: str = "32-true"
    attention: Literal["auto", "sdpa", "explicit"] = "auto"
    loss: Literal["auto", "whole", "chunked"] = "auto"
    dropout: Literal["auto", "torch", "bytes"] = "auto"


@dataclass(frozen=True)
class Memory:
    """Bytes by part. Gradients appear as activations go, so the parts together are more than `peak`.

    `activations` are what the forward pass leaves for the backward pass up to the head, `logits` what the head and the
    loss add at most; `peak` is the most that is there at once.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    peak: int

    def parts(self) -> dict[str, int]:
        """The parts by name, without the peak."""
        return {name: value for name, value in vars(self).items() if name != "peak"}


def step_memory(config: GPTConfig, step: Step) -> Memory:
    """What training this network takes. Some 0.2 seconds for a small one, at most a second for any; then remembered."""
    if config.n_layers <= MOST_LAYERS:
        return _simulated(config, step)
    low, high = (_simulated(replace(config, n_layers=MOST_LAYERS - i), step) for i in (1, 0))
    more = config.n_layers - MOST_LAYERS
    return Memory(*(b + more * (b - a) for a, b in zip(vars(low).values(), vars(high).values(), strict=True)))


def optimizer_bytes(config: GPTConfig, optimizer: str, bytes_each: int = 4) -> int:
    """AdamW keeps two averages for each parameter; Muon one for the blocks' matrices, and AdamW's for the others."""
    counts = count_parameters(config)
    if optimizer != "muon":
        return 2 * bytes_each * counts["total"]
    biases = config.n_layers * _biases(config)
    hidden = counts["attention"] + counts["mlp"] - biases
    return bytes_each * (2 * counts["total"] - hidden)


def _biases(config: GPTConfig) -> int:
    if not config.bias:
        return 0
    up = config.mlp_width * (2 if config.mlp == "swiglu" else 1)
    return (config.n_heads + 2 * config.kv_heads) * config.d_head + 2 * config.d_model + up


@lru_cache(maxsize=64)
def _simulated(config: GPTConfig, step: Step) -> Memory:
    dtype = next((dtype for name, dtype in DTYPES.items() if step.precision.startswith(name)), torch.float32)
    whole = step.precision.endswith("-true")
    with _fake(), _Count() as count:
        model = _made(config, dtype if whole else torch.float32).train()
        model.set_attention_kernel(step.attention)
        model.set_loss_kernel(step.loss)
        model.set_dropout_kernel(step.dropout)
        weights = sum(p.numel() * p.element_size() for p in model.parameters())
        state = optimizer_bytes(config, step.optimizer, weights // count_parameters(config)["total"])
        at_head: list[int] = []
        last = model.ln_final if model.ln_final is not None else model.blocks[-1]
        last.register_forward_hook(lambda *_: at_head.append(count.restart()))
        tokens = torch.zeros(step.batch_size, step.context_length, dtype=torch.int64)
        before, highest = count.restart(), 0
        for _ in range(min(2, step.accumulation)):
            with nullcontext() if whole else torch.autocast("cpu", dtype):
                loss = model.loss(tokens, tokens, reduction="sum") / 1
            in_head = count.peak
            loss.backward()
            del loss
            highest = max(highest, count.peak, at_head[-1])
        held = weights if step.accumulation > 1 else 0  # the sum of the gradients so far
        activations, logits = at_head[-1] - before - held, in_head - at_head[-1]
        # At its end the step holds weights, gradients and the optimizer's averages, whatever came before.
        peak = max(highest, before + weights) + state
    return Memory(weights, weights, state, activations, logits, peak)


def _made(config: GPTConfig, dtype: torch.dtype) -> GPT:
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return GPT(config)
    finally:
        torch.set_default_dtype(default)


@contextmanager
def _fake() -> Iterator[None]:
    # Fresh weights are drawn, of which nothing remains but the state of the generator: put back.
    with torch.random.fork_rng(devices=[]), FakeTensorMode(allow_non_fake_inputs=True):
        yield


class _Count(TorchDispatchMode):
    """Counts the bytes of all storages that are alive, and the most there were."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def restart(self) -> int:
        """Look for a new peak from here on; returns the live bytes."""
        self.peak = self.live
        return self.live

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._note(tensor.untyped_storage())
        return out

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)

        def gone() -> None:
            self._known.discard(key)
            self.live -= size

        weakref.finalize(storage, gone).atexit = False
