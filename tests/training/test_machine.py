"""What a machine has, read from files made by hand and from the one the tests run on."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest
import torch

from lab.training import machine
from lab.training.machine import (
    emulated_bf16,
    held_memory,
    native_bf16,
    peak_memory,
    recent_peak,
    restart_peak,
    total_memory,
)


def cpuinfo(folder: Path, flags: str) -> Path:
    """A /proc/cpuinfo of two CPUs with these flags."""
    file = folder / "cpuinfo"
    file.write_text("".join(f"processor\t: {i}\nflags\t\t: fpu {flags} sse2\nbugs\t:\n\n" for i in range(2)))
    return file


@pytest.mark.parametrize(
    ("flags", "unit"),
    [
        ("avx512f avx512_bf16", "AVX512-BF16"),
        ("avx512_bf16 amx_bf16 amx_tile", "AMX"),
        ("avx2 avx512f", None),
    ],
)
def test_bf16_units_are_read_from_the_cpus_flags(tmp_path: Path, flags: str, unit: str | None) -> None:
    assert native_bf16(cpuinfo(tmp_path, flags)) == unit


def test_a_machine_without_cpuinfo_has_no_known_bf16(tmp_path: Path) -> None:
    assert native_bf16(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("flags", "at_least", "below"), [("avx512bw avx512dq avx512vl", 1, 2), ("avx2 avx512f", 5, 20), ("", 5, 20)]
)
def test_what_bf16_costs_without_a_unit(tmp_path: Path, flags: str, at_least: float, below: float) -> None:
    assert at_least <= emulated_bf16(cpuinfo(tmp_path, flags)) < below


def test_a_containers_limit_is_all_the_memory_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = total_memory("cpu")
    assert whole > 1e8
    for limit, total in ((123456789, 123456789), (10**18, whole), (None, whole)):
        monkeypatch.setattr(machine, "memory_limit", lambda limit=limit: limit)
        assert total_memory(torch.device("cpu")) == total


def test_what_the_process_holds_and_has_held() -> None:
    restart_peak("cpu")
    before = held_memory("cpu")
    with mmap.mmap(-1, 64 << 20) as block:  # past the allocator, which may have this much in hand
        block.write(b"1" * len(block))
        assert held_memory("cpu") > before + (50 << 20)
    assert 1e7 < before < recent_peak("cpu")
    assert peak_memory("cpu") > before
