"""What this process may use of its machine: CPUs, their time, memory. Every pool of threads asks `usable_threads`.

A container, a batch system (SLURM) or systemd limits a process through control groups. They nest, and the smallest
limit of the process's own group and of all above it binds (cgroups(7)). In version 2 all limits lie in one tree, in
version 1 in a tree for each resource, and a machine may have both. `taskset` and the like narrow the affinity instead.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

ROOT = Path("/")  # above /proc and /sys
UNLIMITED = 1 << 62  # version 1 has a number for "no limit": the largest, less a page
THREADS_VARIABLE = "OMP_NUM_THREADS"  # what PyTorch, NumPy's BLAS and pyarrow read too


def usable_threads() -> tuple[int, str]:
    """How many threads can compute at the same time, and why: OMP_NUM_THREADS, or as many as physical cores.

    Neither counts beyond what the process may use: threads that wait for each other on one core are slower than one.
    """
    cpus, time = usable_cpus(), cpu_quota()
    asked = os.environ.get(THREADS_VARIABLE, "").split(",")[0].strip()  # a list is for nested regions
    if asked.isdecimal() and int(asked) > 0:
        most = len(cpus) if time is None else max(1, min(len(cpus), math.ceil(time)))
        if int(asked) <= most:
            return int(asked), THREADS_VARIABLE
        return most, f"{THREADS_VARIABLE} is {asked}, but this process may use {most} CPU{'s' * (most > 1)}"
    cores = physical_cores(cpus)
    if time is not None and time < cores:
        return max(1, int(time)), f"this process may use the time of {time:g} of {cores} cores"
    return cores, "physical cores this process may use"


def usable_cpus() -> frozenset[int]:
    """The logical CPUs, by number, that affinity and control groups leave. Never empty."""
    everything = range(os.cpu_count() or 1)
    cpus = frozenset(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else everything)
    for group in _groups("cpuset"):
        # What binds in the end, or, where a kernel does not say that, what was set.
        for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
            cpus = cpus & _cpu_list(_read(group / name)) or cpus
    return cpus


def cpu_quota() -> float | None:
    """How many CPUs' time control groups leave: microseconds in a period of so many; None: no limit."""
    quotas = []
    for group in _groups("cpu"):
        words = _read(group / "cpu.max").split()
        words = words or [_read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")]
        with suppress(ValueError, IndexError):  # no such file, or "max"
            quota, period = int(words[0]), int(words[1])
            if quota > 0 and period > 0:  # -1: no limit
                quotas.append(quota / period)
    return min(quotas, default=None)


def memory_limit() -> int | None:
    """Bytes that control groups leave, for all processes of the group together; None: no limit."""
    limits = []
    for group in _groups("memory"):
        # Beyond `high` a process is slowed down to a crawl, beyond the others it is killed.
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            with suppress(ValueError):  # no such file, or "max"
                limits.append(int(_read(group / name)))
    return min((limit for limit in limits if 0 < limit < UNLIMITED), default=None)


def physical_cores(cpus: Iterable[int]) -> int:
    """How many cores lie behind these logical CPUs: two hyperthreads share one core's arithmetic."""
    cores = set()
    for cpu in cpus:
        place = ROOT / f"sys/devices/system/cpu/cpu{cpu}/topology"
        core = (_read(place / "physical_package_id"), _read(place / "core_id"))
        cores.add(core if all(core) else (str(cpu), ""))  # some virtual machines don't say: each counts
    return max(1, len(cores))


def _groups(controller: str) -> Iterator[Path]:
    """The folders of the process's own group and of all above it that may hold limits of this controller."""
    own: dict[str, str] = {}
    for line in _read(ROOT / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        own |= dict.fromkeys(controllers.split(","), path)  # version 2 has one line, which names no controller
    for line in _read(ROOT / "proc/self/mountinfo").splitlines():
        fields, kind = (part.split() for part in line.partition(" - ")[::2])
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            path = own.get("", "/")
        elif kind[0] == "cgroup" and controller in kind[2].split(","):
            path = own.get(controller, "/")
        else:
            continue
        # A container's own group is the root of what is mounted in it, whatever its path is called outside.
        inside = PurePosixPath(path)
        below = inside.relative_to(fields[3]) if inside.is_relative_to(fields[3]) else PurePosixPath()
        below = PurePosixPath() if ".." in below.parts else below
        mounted = ROOT / fields[4].lstrip("/")
        yield from (mounted / group for group in (below, *below.parents))


def _cpu_list(text: str) -> frozenset[int]:
    """`0-3,7` as numbers; what is none is left out."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        with suppress(ValueError):
            cpus.update(range(int(first), min(int(last or first), 1 << 16) + 1))
    return frozenset(cpus)


def _read(file: Path) -> str:
    """A file's text without the white space around it; empty where it cannot be read."""
    try:
        return file.read_text(errors="replace").strip()
    except (OSError, ValueError):
        return ""
