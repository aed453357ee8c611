"""What this machine has: a unit for bf16, memory within the limits of its container (`lab.limits`)."""

from __future__ import annotations

import os
import resource
import sys
from functools import cache
from pathlib import Path

import torch

from lab.limits import memory_limit

CPUINFO = Path("/proc/cpuinfo")
# A training step in bf16 without a unit for it, over one in fp32 (widths 128 and 384, one core): rounding from and to
# bf16 is cheap with AVX-512 (1.0 to 1.3 measured) and not otherwise (9 to 12).
EMULATED_BF16 = {"avx512": 1.2, "other": 10.0}


@cache
def native_bf16(cpuinfo: Path = CPUINFO) -> str | None:
    """The CPU's unit for bf16 products (AMX, AVX512-BF16), or None: then bf16 would be emulated, slowly."""
    flags = _cpu_flags(cpuinfo)
    return next((unit for flag, unit in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16")) if flag in flags), None)


def emulated_bf16(cpuinfo: Path = CPUINFO) -> float:
    """How many times as long as in fp32 a step in bf16 takes on a CPU without a unit for it, roughly."""
    wide = {"avx512bw", "avx512dq", "avx512vl"} <= _cpu_flags(cpuinfo)
    return EMULATED_BF16["avx512" if wide else "other"]


def _cpu_flags(cpuinfo: Path) -> set[str]:
    try:
        return set(next(line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")).split())
    except (OSError, StopIteration):
        return set()


def total_memory(device: str | torch.device) -> int:
    """Bytes: all there is on a GPU, else on this machine, or as many as its container may use."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(total, memory_limit() or total)


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
