"""What a machine has, read from files made by hand and from the one the tests run on."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest
import torch

from lab.training import machine
from lab.training.machine import (
    cpu_quota,
    held_memory,
    native_bf16,
    peak_memory,
    physical_cores,
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


def test_hyperthreads_of_one_core_count_once(tmp_path: Path) -> None:
    for cpu, core in enumerate((0, 1, 0, 1)):
        place = tmp_path / f"cpu{cpu}" / "topology"
        place.mkdir(parents=True)
        (place / "physical_package_id").write_text("0\n")
        (place / "core_id").write_text(f"{core}\n")
    assert physical_cores({0, 1, 2, 3}, tmp_path) == 2
    assert physical_cores({0, 2}, tmp_path) == 1
    assert physical_cores({0, 1, 8, 9}, tmp_path) == 4  # two that don't say where they are count each


def test_a_containers_share_of_time(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "none").write_text("max 100000\n")
    assert cpu_quota(tmp_path / "cpu.max") == 1.5
    assert cpu_quota(tmp_path / "none") is None
    assert cpu_quota(tmp_path / "missing") is None


def test_a_containers_limit_is_all_the_memory_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    whole = total_memory("cpu")
    assert whole > 1e8
    (tmp_path / "memory.max").write_text("123456789\n")
    assert total_memory("cpu") == 123456789
    (tmp_path / "memory.max").write_text("max\n")
    assert total_memory(torch.device("cpu")) == whole
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("23456789\n")
    assert total_memory("cpu") == 23456789


def test_what_the_process_holds_and_has_held() -> None:
    restart_peak("cpu")
    before = held_memory("cpu")
    with mmap.mmap(-1, 64 << 20) as block:  # past the allocator, which may have this much in hand
        block.write(b"1" * len(block))
        assert held_memory("cpu") > before + (50 << 20)
    assert 1e7 < before < recent_peak("cpu")
    assert peak_memory("cpu") > before
