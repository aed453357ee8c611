"""How the threads of a process wait for each other: spinning or asleep.

A step is thousands of pieces of work, each shared out to all threads, which then wait for the slowest. GNU's OpenMP
(libgomp, which PyTorch brings on Linux) lets them spin for some milliseconds before they sleep. That is the quickest
where each has a processor to itself: to wake a thread costs more than many a piece of work. Where another program wants
one, the spinning keeps the very thread off that all are waiting for, and a step takes 3 to 16 times as long.

Two things follow. Which way is the better one on a quiet machine is measured once (`lab.waiting_trial`) and said to
libgomp in `OMP_WAIT_POLICY`, which it reads when it is loaded, so before PyTorch is imported: `adopt`. And while the
process runs, `sleep(True)` lets its threads sleep at once and `sleep(False)` spin again; `watch_neighbours` calls that
as other programs come and go. Nothing that is computed depends on the way threads wait.

libgomp has no call for that, but a rule in its manual (GOMP_SPINCOUNT): where a process holds more threads than there
are processors they hardly spin. `sleep(True)` makes a team of so many that do nothing, from a thread that does nothing.

Where the user chose a way, that counts; where there is another OpenMP, or none (macOS), all stays as PyTorch has it.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lab.files import read_json
from lab.limits import usable_cpus, usable_threads
from lab.neighbours import Others

POLICY_VARIABLE = "OMP_WAIT_POLICY"
SET_BY_USER = (POLICY_VARIABLE, "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
SPIN, SLEEP = "spin", "sleep"
FILE = "waiting.json"  # in the cache, machine → what was measured on it
CPUINFO, MAPS = Path("/proc/cpuinfo"), Path("/proc/self/maps")
GPU = Path("/dev/nvidiactl")  # there a step waits for other things


@dataclass(frozen=True)
class Measured:
    """What the trial found on this machine: the better way to wait, and how many threads are the fastest."""

    policy: str
    threads: int


def machine() -> str:
    """What a trial's result holds for: processor, processors at hand, PyTorch's version."""
    name = "unknown processor"
    with suppress(OSError, StopIteration):
        name = next(line for line in CPUINFO.read_text().splitlines() if line.startswith("model name")).split(":")[1]
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "n/a"
    return f"{name.strip()}, {len(usable_cpus())} processors, torch {torch}"


def is_open(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether there is something to choose: Linux, several threads on a CPU, and no choice of the user's."""
    return (
        sys.platform == "linux"
        and not any(environment.get(name) for name in SET_BY_USER)
        and not GPU.exists()
        and usable_threads()[0] > 1
    )


def read_kept(folder: Path, now: float) -> Measured | None:
    """What was measured on this machine and is kept in the cache's `folder`; None where nothing holds."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        found = (read_json(folder / FILE) or {})[machine()]
        if found["until"] is None or now < found["until"]:
            return Measured(SLEEP if found["policy"] == SLEEP else SPIN, max(1, int(found["threads"])))
    return None


def adopt(found: Measured | None) -> None:
    """Let what was measured hold for this process. Call it before PyTorch is imported."""
    if found is None or "torch" in sys.modules:
        return
    adopted.append(found)
    if found.policy == SLEEP:
        os.environ[POLICY_VARIABLE] = "passive"


adopted: list[Measured] = []
"""What was measured on this machine and holds for this process; empty: nothing."""


# ---------------------------------------------------------------- while the process runs


class _Idle:
    """A team of threads that do nothing, as long as it lives."""

    def __init__(self, size: int) -> None:
        self._over, made = threading.Event(), threading.Event()

        def hold() -> None:
            nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)  # free(NULL)
            for library in _libgomps():
                library.GOMP_parallel(nothing, None, size, 0)
            made.set()
            self._over.wait()

        # The team ends with the thread that made it.
        self._thread = threading.Thread(target=hold, name="idle-team", daemon=True)
        self._thread.start()
        made.wait()

    def end(self) -> None:
        self._over.set()
        self._thread.join()


_idle: _Idle | None = None
_lock = threading.Lock()


def can_sleep() -> bool:
    """Whether `sleep` does something: PyTorch is loaded with libgomp, and the way to wait was not chosen before."""
    return sys.platform == "linux" and not any(map(os.environ.get, SET_BY_USER)) and bool(_libgomps())


def sleep(on: bool) -> None:
    """Let threads that wait sleep at once (`on`) or spin first, from now on. Does nothing where that is not open."""
    global _idle
    with _lock:
        if on and _idle is None and can_sleep():
            _idle = _Idle(len(usable_cpus()) + 1)
        elif not on and _idle is not None:
            _idle.end()
            _idle = None


def sleeps() -> bool:
    """Whether waiting threads sleep at once because `sleep` was called."""
    return _idle is not None


def _libgomps() -> tuple[ctypes.CDLL, ...]:
    """GNU's OpenMP as it is loaded now; a process with several parts may hold several."""
    if not _loaded and "torch" in sys.modules:
        _loaded.extend(_find())
    return tuple(_loaded)


_loaded: list[ctypes.CDLL] = []


def _find() -> list[ctypes.CDLL]:
    paths: set[str] = set()
    with suppress(OSError):
        paths = {line.split()[-1] for line in MAPS.read_text().splitlines() if "/libgomp" in line}
    found = []
    for path in sorted(paths):
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(path)
            library.GOMP_parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
            library.GOMP_parallel.restype = None
            found.append(library)
    return found


# ---------------------------------------------------------------- who else is there

LOOK_SECONDS = 0.5  # between two looks at the machine, 40 microseconds each
PRESSED, FREE = 0.3, 0.15  # processors lacking, from which on waiting threads sleep; below which they spin again
ROOM_SECONDS, MOST_ROOM_SECONDS = (
    2.0,
    60.0,
)  # seconds for which there must be room; twice as many for what comes again at once


class Pressure:
    """Whether other programs lack this process processors, judged so that it does not change at every look.

    >>> pressure = Pressure()
    >>> [pressure.judge(second, lacking) for second, lacking in enumerate([0.0, 1.0, 0.0, 0.0, 0.0])]
    [False, True, True, True, False]
    """

    def __init__(self) -> None:
        self.pressed, self.lacking = False, 0.0
        self._free_since: float | None = None
        self._patience, self._left = ROOM_SECONDS, -MOST_ROOM_SECONDS

    def judge(self, now: float, lacking: float) -> bool:
        """Take a reading of `Others.lacking` at `now`, in seconds."""
        self.lacking = lacking
        if not self.pressed:
            if lacking >= PRESSED:
                soon = now - self._left < 2 * self._patience
                self._patience = min(MOST_ROOM_SECONDS, 2 * self._patience) if soon else ROOM_SECONDS
                self.pressed, self._free_since = True, None
        elif lacking >= FREE:
            self._free_since = None
        else:
            self._free_since = now if self._free_since is None else self._free_since
            if now - self._free_since >= self._patience:
                self.pressed, self._left = False, now
        return self.pressed

    def room_for(self, threads: int) -> int:
        """How many of so many threads have a processor to themselves; at least one."""
        return max(1, threads - round(self.lacking)) if self.pressed else threads


pressure = Pressure()
"""What `watch_neighbours` sees."""
_watching = threading.Event()


def watch_neighbours(others: Others | None = None) -> None:
    """From here on let waiting threads sleep while other programs want the processors: a thread looks twice a second.

    Once a process; does nothing with one thread, or where the system does not say what others do.
    """
    if _watching.is_set() or usable_threads()[0] == 1:
        return
    others, threads = others or Others(), usable_threads()[0]
    others.taken()
    _watching.set()

    def watch() -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            if (lacking := others.lacking(threads)) is not None:
                sleep(pressure.judge(time.monotonic(), lacking))

    threading.Thread(target=watch, name="neighbours", daemon=True).start()
