"""The trial that `lab.waiting` rests on: which way of waiting, and how many threads, are the fastest on this machine.

Two processes, one that spins and one that sleeps, do small training steps by turns, the spinning one also with half of
the threads. It takes about four seconds, once a machine: the result is kept in the cache. Where others were busy
meanwhile it says little, so libgomp's own way is taken, and after a day the trial is made again.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from lab.errors import WriteError
from lab.files import read_json, write_json
from lab.limits import THREADS_VARIABLE, usable_threads
from lab.neighbours import Others
from lab.waiting import FILE, POLICY_VARIABLE, SLEEP, SPIN, Measured, adopt, is_open, machine, read_kept

ROUNDS, SECONDS = 7, 0.1  # of each way
BUSY = 0.25  # processors that others take, above which nothing is learnt
BETTER, FEWER_BETTER = 1.03, 1.1  # how much faster than libgomp's own way, than all threads
AGAIN = 24 * 3600.0  # seconds after which a trial is repeated that was disturbed or did not come to its end
PATIENCE = 20.0  # seconds until a process must have loaded PyTorch


def prepare(folder: Path, *, trial: bool = False) -> None:
    """Before PyTorch is imported: let what was measured on this machine, and is kept in `folder`, hold from here on.

    With `trial` it is measured where nothing is kept.
    """
    if "torch" in sys.modules or not is_open():
        return
    found = read_kept(folder, time.time())
    if found is None and trial:
        found = measure_and_keep(folder)
    adopt(found)


def measure_and_keep(folder: Path) -> Measured | None:
    """Make the trial and keep what it found in `folder`; None where others are busy. What fails leaves no trace."""
    others = Others()
    others.taken()
    time.sleep(SECONDS)
    if (others.taken() or 0.0) > BUSY:
        return None
    with contextlib.suppress(OSError, AttributeError):  # the terminal is gone, or was never there
        print("measuring how threads work best on this machine (seconds, once)", file=sys.stderr)
    threads = usable_threads()[0]
    rates = _rates(threads)
    disturbed = (others.taken() or 0.0) > BUSY
    found = Measured(SPIN, threads) if disturbed or rates is None else judge(rates, threads)
    until = time.time() + AGAIN if disturbed or rates is None else None
    with contextlib.suppress(OSError, ValueError, WriteError):  # a cache of another user, a full disk
        folder.mkdir(parents=True, exist_ok=True)
        kept = read_json(folder / FILE) or {}
        write_json(
            folder / FILE, kept | {machine(): {"policy": found.policy, "threads": found.threads, "until": until}}
        )
    return found


def judge(rates: dict[tuple[str, int], list[float]], threads: int) -> Measured:
    """The best of what was measured by turns: (way, threads) → steps a second in each round.

    >>> judge({(SPIN, 2): [10, 10, 2], (SLEEP, 2): [11, 11, 11], (SPIN, 1): [6, 6, 6]}, 2)
    Measured(policy='sleep', threads=2)
    """

    def gain(policy: str, count: int) -> float:
        pairs = zip(rates[policy, count], rates[SPIN, threads], strict=True)
        return statistics.median(a / b for a, b in pairs)

    fewer = min(count for _, count in rates)
    if fewer < threads and gain(SPIN, fewer) > max(FEWER_BETTER, gain(SLEEP, threads)):
        return Measured(SPIN, fewer)
    return Measured(SLEEP if gain(SLEEP, threads) > BETTER else SPIN, threads)


def _rates(threads: int) -> dict[tuple[str, int], list[float]] | None:
    """Steps a second of each way in each round; None where a process did not come up or died."""
    ways = [(SPIN, threads), (SLEEP, threads), (SPIN, max(1, threads // 2))]
    rates: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    with contextlib.ExitStack() as stack:
        try:
            processes = {policy: stack.enter_context(_Worker(policy, threads)) for policy in (SPIN, SLEEP)}
            for n in range(ROUNDS + 1):
                for policy, count in ways if n % 2 else ways[::-1]:
                    rate = processes[policy].rate(count)
                    if n:  # the first round warms up
                        rates[policy, count].append(rate)
        except (OSError, ValueError):
            return None
    return rates


class _Worker:
    """A process that trains a little when it is asked to."""

    def __init__(self, policy: str, threads: int) -> None:
        environment = {**os.environ, THREADS_VARIABLE: str(threads)}
        if policy == SLEEP:
            environment[POLICY_VARIABLE] = "passive"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lab.waiting_trial"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def rate(self, threads: int) -> float:
        """Steps a second with so many threads. Raises OSError or ValueError where there is no answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{threads}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        import select

        out = self._process.stdout
        assert out is not None
        if not select.select([out], [], [], PATIENCE)[0]:
            raise OSError("no answer")
        return out.readline()


def serve(asked: IO[str], answers: IO[str]) -> None:
    """In the process of a trial: for each line with a number of threads, train a tenth of a second, answer the rate."""
    import torch

    model = torch.nn.Sequential(
        torch.nn.Linear(128, 512), torch.nn.GELU(), torch.nn.Linear(512, 128), torch.nn.LayerNorm(128)
    )
    x = torch.randn(1024, 128)
    for line in asked:
        torch.set_num_threads(int(line))
        begin, steps = time.perf_counter(), 0
        while time.perf_counter() - begin < SECONDS:
            model(x).square().mean().backward()
            steps += 1
        print(steps / (time.perf_counter() - begin), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
