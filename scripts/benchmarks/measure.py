"""How variants are timed: by turns, each in a process of its own, beside the best that the machine can do.

What is compared runs in blocks that alternate, so that other load on the machine disturbs both alike, and in separate
processes, since threads, allocator and precision are settings of a whole process. The tenth percentile is the time
undisturbed, the median the time as it was; ratios are formed of each.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

Build = Callable[..., Callable[[int], Any]]


@dataclass(frozen=True)
class Options:
    """What is to be measured, and how thoroughly.

    Args:
        threads: CPU threads of every process, one set of rows each.
        device: cpu, cuda, …
        quick: Tiny work, a few seconds in all: checks that everything runs and says nothing about speed.
        workloads: Of `train`: which ones.
        seeds: Of `recipe`: how many runs.
        race: Of `recipe`: only the reference and the fast recipe.
        beside: Of `neighbour`, `looks` and `startup`: another checkout of this project, to be compared with.
    """

    threads: tuple[int, ...] = (1,)
    device: str = "cpu"
    quick: bool = False
    workloads: tuple[str, ...] = ("A", "B", "Bd", "C")
    seeds: int = 3
    beside: Path | None = None
    race: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the result; what is not known is None and printed as n/a.

    `ratio` is how many times faster than the first variant of its group (p10 over p10), `ratio_median` the same of the
    medians, `milliseconds` the median of what `unit` counts, `p10` its tenth percentile, `utilisation` the share of the
    matrix-product ceiling in the dtype that this variant multiplies in.
    """

    benchmark: str
    workload: str
    variant: str
    threads: int | None = None
    ratio: float | None = None
    ratio_median: float | None = None
    milliseconds: float | None = None
    p10: float | None = None
    tokens_per_second: float | None = None
    utilisation: float | None = None
    value: float | None = None
    unit: str = "step"
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


def percentile(times: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


# ---------------------------------------------------------------- timed processes


class TimedProcess:
    """A process that builds something once and then runs it in blocks when asked.

    `build(*args)` is called there, with `threads` set and `environment` in place before torch is imported, and returns
    what is timed: a callable of the step's number.
    """

    def __init__(
        self,
        name: str,
        build: Build,
        *args: Any,
        threads: int = 1,
        device: str = "cpu",
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.times: list[float] = []
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        self._pipe = ours
        with _environment({"OMP_NUM_THREADS": str(threads), **(environment or {})}):
            self._process = multiprocessing.get_context("spawn").Process(
                target=_serve, args=(theirs, build, args, threads, device), daemon=True
            )
            self._process.start()
        theirs.close()

    def block(self, steps: int, keep: bool = True) -> list[float]:
        """Run `steps` steps and return the milliseconds of each. Raises RuntimeError with what went wrong there."""
        self._pipe.send(steps)
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"the process of '{self.name}' died") from None
        if isinstance(answer, str):
            raise RuntimeError(f"'{self.name}' failed: {answer}")
        if keep:
            self.times += answer
        return answer

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()


def _serve(pipe: Connection, build: Build, args: tuple[Any, ...], threads: int, device: str) -> None:
    """In the process: build, then time blocks until the pipe closes."""
    try:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        step = build(*args)
        done = 0
        while True:
            steps = pipe.recv()
            times = []
            for n in range(done, done + steps):
                times.append(timed(lambda n=n: step(n), device))
            done += steps
            pipe.send(times)
    except EOFError:
        return
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")


def timed(work: Callable[[], Any], device: str = "cpu") -> float:
    """Milliseconds of `work()`; on a GPU between two events of its own clock."""
    if torch.device(device).type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end))
    begin = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begin)


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def run_by_turns(processes: Sequence[TimedProcess], blocks: int, steps: int, warm_up: int = 2) -> None:
    """Run them by turns, `blocks` times `steps` steps each, in an order that is reversed from block to block; then end
    their processes."""
    try:
        for process in processes:
            process.block(warm_up, keep=False)
        for i in range(blocks):
            for process in processes if i % 2 == 0 else processes[::-1]:
                process.block(steps)
                time.sleep(0.02)  # threads of the one before stop spinning
    finally:
        for process in processes:
            process.close()


def compare(
    benchmark: str,
    workload: str,
    processes: Sequence[TimedProcess],
    threads: int,
    tokens: int | None = None,
    unit: str = "step",
    flops: float | None = None,
    ceilings: dict[str, float] | None = None,
    notes: dict[str, str] | None = None,
) -> list[Row]:
    """Rows of what `run_by_turns` timed: ratios to the first process.

    `flops` a step and `ceilings` (FLOP/s by name) give the utilisation.
    """
    base = processes[0].times
    rows = []
    for one in processes:
        p10, median = percentile(one.times, 0.1), statistics.median(one.times)
        ceiling = (ceilings or {}).get(one.name)
        rows.append(
            Row(
                benchmark,
                workload,
                one.name,
                threads,
                ratio=percentile(base, 0.1) / p10,
                ratio_median=statistics.median(base) / median,
                milliseconds=median,
                p10=p10,
                tokens_per_second=1000 * tokens / median if tokens else None,
                utilisation=1000 * flops / p10 / ceiling if flops and ceiling else None,
                unit=unit,
                note=(notes or {}).get(one.name, ""),
            )
        )
    return rows


# ---------------------------------------------------------------- the machine


@dataclass(frozen=True)
class Contention:
    """How busy others keep the machine: load average of a minute, and the share of a spinning second they took."""

    load: float | None
    stolen: float

    def __str__(self) -> str:
        load = "n/a" if self.load is None else f"{self.load:.2f}"
        return f"load {load}, {100 * self.stolen:.0f} % of a spinning thread's time taken by others"


def contention(seconds: float = 0.5) -> Contention:
    """Spin for a while: processor time that did not pass while wall time did went to others."""
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        pass
    stolen = 1 - (time.process_time() - cpu) / (time.perf_counter() - wall)
    return Contention(os.getloadavg()[0] if hasattr(os, "getloadavg") else None, max(0.0, stolen))


def product_step(m: int, k: int, n: int, dtype: str, device: str) -> Callable[[int], None]:
    """A matrix product `[m, k]·[k, n]` as a step: the ceiling for models of this shape."""
    x = torch.randn(m, k, device=device, dtype=getattr(torch, dtype))
    w = torch.randn(n, k, device=device, dtype=getattr(torch, dtype))
    out = torch.empty(m, n, device=device, dtype=getattr(torch, dtype))

    def step(_: int) -> None:
        torch.mm(x, w.T, out=out)

    return step


def describe_machine(device: str) -> dict[str, Any]:
    """Processor, cores, versions, bf16 unit; the name of the GPU where there is one."""
    from lab.training.machine import native_bf16

    name = None
    try:
        with open("/proc/cpuinfo") as file:
            name = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), None)
    except OSError:
        pass
    facts = {"cpu": name, "cores": os.cpu_count(), "bf16": native_bf16(), "torch": torch.__version__}
    if torch.device(device).type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name()
    return facts
