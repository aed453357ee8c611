"""What this machine does best: precision, kernels, fused optimizer, threads, memory, compilation.

Chosen by device, dtype and shape, never by timing: the same machine always chooses the same, so that a
resumed run computes the same numbers, and a busy neighbour decides nothing. What was chosen is recorded
together with why. A resumed run keeps it, but for the threads, which are the machine's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch

from lab.limits import THREADS_VARIABLE, usable_cpus, usable_threads
from lab.model import GPT, GPTConfig
from lab.model.attention import EXPLICIT_CONTEXT_LIMIT, Kernel
from lab.model.layers import DropoutKernel, byte_exact
from lab.model.loss import CHUNKED_VOCABULARY, LossKernel
from lab.training.keep_memory import can_keep_freed_memory, keep_freed_memory
from lab.training.machine import emulated_bf16, native_bf16
from lab.waiting import SLEEP, adopted, watch_neighbours

PRECISIONS = {"32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed", "64": "64-true"}
"""Lightning's short names for precisions, spelt out."""
AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass
class LeverConfig:
    """What to do otherwise than the machine suggests; raises ValueError for impossible values.

    Args:
        threads: CPU threads. None: OMP_NUM_THREADS or one a physical core, of those that this process may use.
        attention: sdpa (PyTorch's fused kernel), explicit (scores written out), or auto: whichever suits
            device, dtype and context.
        loss: whole (all logits at once), chunked (some at a time: a fraction of the memory), or auto: chunks
            on a CPU for vocabularies of 1024 and more.
        dropout: torch, bytes (one random byte a number, p rounded to 1/256), or auto: bytes on a CPU.
        keep_memory: Keep freed memory for the next step instead of giving it back to the system. None: on a
            CPU, where the allocator is glibc's.
        compile: true: torch.compile the network, in place, half a minute before the first step; for long runs on a
            GPU. beside (CPU): a second process compiles, and the run changes over to compiled steps once they are
            ready, within a minute or two. None: no.
        give_way: On a CPU, while other programs want its processors: let waiting threads sleep, and try fewer of
            them where a step still takes long. The number of threads stays where it is set.
    """

    threads: int | None = None
    attention: Kernel = "auto"
    loss: LossKernel = "auto"
    dropout: DropoutKernel = "auto"
    keep_memory: bool | None = None
    compile: bool | Literal["beside"] | None = None
    give_way: bool = True

    def __post_init__(self) -> None:
        problems = []
        if self.compile not in (None, True, False, "beside"):
            problems.append(f"levers.compile is {self.compile!r}: choose true, false or beside")
        if self.threads is not None and self.threads < 1:
            problems.append(f"levers.threads is {self.threads}: give a number of at least 1")
        for name, choices in (("attention", Kernel), ("loss", LossKernel), ("dropout", DropoutKernel)):
            if getattr(self, name) not in get_args(choices):
                problems.append(
                    f"levers.{name} is {getattr(self, name)!r}: choose one of {', '.join(get_args(choices))}"
                )
        if problems:
            raise ValueError("\n".join(problems))


@dataclass(frozen=True)
class Levers:
    """The levers' positions, and in `reasons` why each was chosen.

    `precision` is Lightning's name (`32-true`, `bf16-mixed`, …), `attention` is `sdpa` or `explicit`, `loss`
    `whole` or `chunked`, `dropout` `torch` or `bytes`.
    """

    device: str
    precision: str
    attention: Kernel
    loss: LossKernel
    dropout: DropoutKernel
    fused: bool
    threads: int
    keep_memory: bool
    compile: bool | Literal["beside"]
    reasons: dict[str, str] = field(default_factory=dict)
    give_way: bool = True

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """`{lever: {"value": …, "reason": …}}`, for run.json."""
        return {name: {"value": getattr(self, name), "reason": why} for name, why in self.reasons.items()}

    def lines(self) -> list[str]:
        """One line a lever: `precision bf16-mixed (…)`."""
        return [f"{name} {_shown(getattr(self, name))} ({why})" for name, why in self.reasons.items()]

    def apply(self, model: GPT) -> None:
        """Set threads, memory and kernels; compile, where asked for before the first step, in place."""
        torch.set_num_threads(self.threads)
        if self.give_way and self.device == "cpu":
            watch_neighbours()
        if self.keep_memory:
            keep_freed_memory()
        model.set_attention_kernel(self.attention)
        model.set_loss_kernel(self.loss)
        model.set_dropout_kernel(self.dropout)
        if self.compile is True:
            model.compile()

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision's autocast, for forward passes outside of Lightning's Trainer."""
        dtype = AUTOCAST.get(self.precision)
        return nullcontext() if dtype is None else torch.autocast(torch.device(self.device).type, dtype)


def choose_levers(
    wanted: LeverConfig | None = None,
    *,
    precision: str | int | None = None,
    config: GPTConfig | None = None,
    device: str | torch.device | None = None,
    fused: bool | None = None,
    recorded: Mapping[str, Mapping[str, Any]] | None = None,
) -> Levers:
    """Decide every lever: what is asked for, else what a resumed run began with, else what suits the machine.

    Args:
        wanted: The `levers` settings.
        precision: Asked for, in Lightning's spelling; None: chosen here.
        config: The model; without it the choice is for a short context, a small vocabulary and no dropout.
        device: Asked for; None: a CUDA or Apple GPU where there is one, else the CPU.
        fused: The optimizer's own setting.
        recorded: `as_dict()` of the run that is resumed. Kept where the device is of the same kind, so that
            the numbers stay the same; the reason then says what the machine would take. Threads are not kept.

    Raises ValueError for what the device cannot do.
    """
    wanted = wanted or LeverConfig()
    name = str(device or best_device())
    kind = torch.device(name).type
    recorded = recorded if recorded and recorded.get("device", {}).get("value") == name else {}
    asked = {
        **{lever: None if value == "auto" else value for lever, value in vars(wanted).items()},
        "precision": _precision_asked(precision, kind),
        "compile": _compile_asked(wanted.compile, name),
        "fused": fused,
    }

    def decide(lever: str, suits: Any, why: str) -> Any:
        value, reason = suits, why
        if asked[lever] is not None:
            value, reason = asked[lever], "asked for"
        elif lever in recorded:
            value, reason = recorded[lever]["value"], "as the run began"
            if value != suits:
                reason += f"; this machine would take {_shown(suits)}: {why}"
        reasons[lever] = reason
        return value

    reasons = {"device": "asked for" if device else "the best there is"}
    threads, reasons["threads"] = best_threads(wanted.threads, recorded.get("threads", {}).get("value"))
    chosen = decide("precision", *best_precision(kind))
    return Levers(
        device=name,
        precision=chosen,
        attention=decide("attention", *best_attention(kind, chosen, config)),
        loss=decide("loss", *best_loss(kind, config)),
        dropout=decide("dropout", *best_dropout(kind, config)),
        fused=decide("fused", *best_fused(kind)),
        threads=threads,
        keep_memory=decide("keep_memory", *best_memory(kind)),
        compile=decide("compile", False, "pays off in long runs: levers.compile=beside on a CPU, true on a GPU"),
        reasons=reasons,
        give_way=wanted.give_way,
    )


def best_device() -> str:
    """`cuda`, `mps` or `cpu`: what Lightning's `accelerator: auto` takes."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def best_precision(device: str) -> tuple[str, str]:
    """bf16 where the hardware multiplies it natively, else fp32, and why.

    bf16 has fp32's range and takes a quarter of its time; under autocast weights and sums stay fp32. A whole
    step takes 0.35 of fp32's time with AVX512-BF16 and explicit attention (at widths 128 and 384).
    """
    unit = native_bf16() if device == "cpu" else None
    if device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        unit = "bf16 tensor cores"
    if unit:
        return "bf16-mixed", f"{unit} at hand"
    cost = f": a step in it takes about {emulated_bf16():g} times as long" if device == "cpu" else ""
    return "32-true", f"no native bf16 on this {device}{cost}"


def best_attention(device: str, precision: str, config: GPTConfig | None) -> tuple[str, str]:
    """PyTorch's fused kernel, but for bf16 on a CPU: there its backward pass is up to 12 times fp32's."""
    context = config.context_length if config else 0
    if device == "cpu" and precision.startswith("bf16") and context <= EXPLICIT_CONTEXT_LIMIT:
        return "explicit", "the fused kernel is slow in bf16 on a CPU"
    return "sdpa", "PyTorch's fused kernel"


def best_loss(device: str, config: GPTConfig | None) -> tuple[LossKernel, str]:
    """Chunks where all logits of a step would be hundreds of megabytes; a GPU has its own ways and memory."""
    vocabulary = config.vocab_size if config else 0
    if device == "cpu" and vocabulary >= CHUNKED_VOCABULARY:
        return "chunked", f"logits over {vocabulary:,} tokens are large"
    return "whole", "logits are small" if device == "cpu" else f"suits a {device} device"


def best_dropout(device: str, config: GPTConfig | None) -> tuple[DropoutKernel, str]:
    """Random bytes on a CPU, a fifth of the time of PyTorch's own, where they do p justice."""
    if device != "cpu":
        return "torch", f"is fast on a {device} device"
    p = config.dropout if config else 0.0
    if not byte_exact(p):
        return "torch", f"a byte is too coarse for p = {p:g}"
    return "bytes", f"one a number, p = {round(256 * p) / 256:.4g}" if p else "no dropout asked for"


def best_memory(device: str) -> tuple[bool, str]:
    """On a CPU freed memory is kept: to get cleared pages anew every step is up to a fifth of it."""
    if device != "cpu":
        return False, f"tensors live on the {device} device"
    if not can_keep_freed_memory():
        return False, "not glibc's allocator"
    return True, "saves clearing the same pages at every step"


def best_fused(device: str) -> tuple[bool, str]:
    """One kernel for AdamW's whole update where PyTorch has one: saves up to 5 % of a small model's step."""
    has = device in ("cpu", "cuda", "mps", "xpu")
    return has, "one kernel updates all" if has else f"no such kernel on {device}"


def best_threads(asked: int | None, recorded: int | None) -> tuple[int, str]:
    """As many as asked for, else as can compute at once, and why.

    What was asked for where the run began is not asked for on a machine that has fewer CPUs.
    """
    threads, why = usable_threads()
    if asked is not None and asked == recorded and asked > len(usable_cpus()):
        return threads, f"{asked} were asked for when the run began; {why}"
    if asked is not None:
        return asked, "asked for"
    if why != THREADS_VARIABLE and not hasattr(os, "sched_getaffinity"):
        return torch.get_num_threads(), "PyTorch's choice"  # on macOS it knows slow cores from fast ones
    if adopted and why != THREADS_VARIABLE:
        found = adopted[-1]
        sleep = ", those that wait asleep" if found.policy == SLEEP else ""
        if sleep or found.threads < threads:
            return min(threads, found.threads), f"the fastest in a trial on this machine{sleep}"
    return threads, why


def _shown(value: Any) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def _precision_asked(precision: str | int | None, device: str) -> str | None:
    if precision is None:
        return None
    name = PRECISIONS.get(str(precision), str(precision))
    if name.startswith("16") and device == "cpu":
        # Lightning would take bf16 instead and only warn.
        raise ValueError(f"trainer.precision is {precision}: a CPU does not train in fp16, take bf16-mixed or 32-true")
    return name


def _compile_asked(compile: bool | Literal["beside"] | None, device: str) -> bool | Literal["beside"] | None:
    if compile == "beside" and torch.device(device).type != "cpu":
        raise ValueError(f"levers.compile is beside: that is for a CPU; on {device} take true, or leave it out")
    return compile
