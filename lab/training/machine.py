"""What this machine has: cores, a unit for bf16, memory; each within the limits of its container."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

CPU_TOPOLOGY = Path("/sys/devices/system/cpu")
CGROUP = Path("/sys/fs/cgroup")
MEMORY_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # of a container, in cgroup version 2 and 1


def physical_cores(cpus: Iterable[int], topology: Path = CPU_TOPOLOGY) -> int:
    """How many cores lie behind these logical CPUs: two hyperthreads share one core's arithmetic."""
    cores = set()
    for cpu in cpus:
        place = topology / f"cpu{cpu}" / "topology"
        try:
            cores.add(((place / "physical_package_id").read_text(), (place / "core_id").read_text()))
        except OSError:  # some virtual machines don't say: each counts
            cores.add((str(cpu), ""))
    return max(1, len(cores))


def cpu_quota(file: Path = CGROUP / "cpu.max") -> float | None:
    """How many CPUs' time a container's limit leaves (cgroup v2: microseconds per period); None: no limit."""
    try:
        quota, period = file.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no such file, or "max"
        return None


@cache
def native_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """The CPU's unit for bf16 products (AMX, AVX512-BF16), or None: then bf16 would be emulated, slowly."""
    try:
        flags = next(line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")).split()
    except (OSError, StopIteration):
        return None
    return next((unit for flag, unit in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16")) if flag in flags), None)


def total_memory(device: str | torch.device) -> int:
    """Bytes: all there is on a GPU, else on this machine, or as many as its container may use."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in MEMORY_LIMITS:
        with suppress(OSError, ValueError):  # no such file, or "max"
            total = min(total, int((CGROUP / limit).read_text()))
    return total


def held_memory(device: str | torch.device) -> int:
    """Bytes held now: by PyTorch on a GPU, else by the process."""
    if torch.device(device).type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _proc("VmRSS") or peak_memory("cpu")


def peak_memory(device: str | torch.device) -> int:
    """Bytes: the most that PyTorch has held on a GPU, or the process's largest resident set."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux, bytes on macOS


def restart_peak(device: str | torch.device) -> None:
    """Let `recent_peak` begin here, where the system can (Linux, CUDA)."""
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def recent_peak(device: str | torch.device) -> int:
    """Bytes: the most that was held since `restart_peak`."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _proc("VmHWM") or peak_memory("cpu")


def _proc(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
    except (OSError, StopIteration):
        return None
