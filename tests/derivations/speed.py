"""Speed and memory. The run `clocked` has a clock that only its batches and steps move: see `tiny_run`."""

from __future__ import annotations

import resource
from collections.abc import Iterator

from tests.derivations.page import training_flops
from tests.derivations.register import FP64, Pair, derives
from tests.derivations.tiny_run import PEAK_FLOPS, STEP_SECONDS, TOKENS_PER_STEP, WAIT_SECONDS, TinyRun

CLOCKED = ("clocked",)


@derives("perf/step_seconds", within=FP64, only=CLOCKED)
def step_seconds(run: TinyRun) -> Iterator[Pair]:
    """what the clock moves by while a batch comes and in its step"""
    for shown in run["perf/step_seconds"].values():
        yield shown, WAIT_SECONDS + STEP_SECONDS


@derives("perf/tokens_per_second", within=FP64, only=CLOCKED)
def tokens_per_second(run: TinyRun) -> Iterator[Pair]:
    """tokens of a step over what the clock moves by while its batch comes and in it"""
    for shown in run["perf/tokens_per_second"].values():
        yield shown, TOKENS_PER_STEP / (WAIT_SECONDS + STEP_SECONDS)


@derives("perf/data_share", within=FP64, only=CLOCKED)
def data_share(run: TinyRun) -> Iterator[Pair]:
    """what the clock moves by while a batch comes, of that and the step"""
    for shown in run["perf/data_share"].values():
        yield shown, WAIT_SECONDS / (WAIT_SECONDS + STEP_SECONDS)


@derives("perf/mfu", within=FP64, only=CLOCKED)
def mfu(run: TinyRun) -> Iterator[Pair]:
    """PyTorch's count of operations of a step, over its seconds and the device's peak"""
    for shown in run["perf/mfu"].values():
        yield shown, training_flops(run) * TOKENS_PER_STEP / (WAIT_SECONDS + STEP_SECONDS) / PEAK_FLOPS


@derives("perf/memory_bytes", within=0, only=CLOCKED)
def memory(run: TinyRun) -> Iterator[Pair]:
    """rising, and no more than the peak that the operating system knows of this process at the end"""
    shown = list(run["perf/memory_bytes"].values())
    unit = 1 if resource.getpagesize() == 16384 else 1024
    assert shown[-1] <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    assert shown[0] > 50e6, "PyTorch alone takes more"
    yield shown, sorted(shown)
