"""Peaks of devices: whole names alone, by precision."""

from __future__ import annotations

import pytest
import torch

from lab.training.peaks import PEAKS, peak_flops

CUDA = torch.device("cuda")


@pytest.mark.parametrize(
    ("name", "precision", "peak"),
    [
        ("NVIDIA H200", "bf16-mixed", 989e12),
        ("NVIDIA H100 NVL", "bf16-mixed", 835e12),
        ("NVIDIA H100 80GB HBM3", "bf16-true", 989e12),
        ("NVIDIA A100-SXM4-80GB", "32-true", 19.5e12),
        ("NVIDIA L40", "bf16-mixed", 181e12),
        ("NVIDIA L40S", "bf16-mixed", 362e12),
        ("NVIDIA L4", "bf16-mixed", 121e12),
        ("NVIDIA GeForce RTX 3090 Ti", "16-mixed", 80e12),
        ("NVIDIA GeForce RTX 4090 D", "bf16-mixed", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bf16-mixed", None),
        ("NVIDIA GeForce RTX 2060", "bf16-mixed", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "bf16-mixed", None),
        ("Tesla T4", "16-mixed", 65e12),
        ("Tesla V100-SXM2-16GB", "bf16-mixed", None),
    ],
)
def test_a_peak_is_of_the_whole_name_and_the_precision(
    name: str, precision: str, peak: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert peak_flops(CUDA, precision) == peak


def test_of_a_cpu_no_peak_is_known() -> None:
    assert peak_flops(torch.device("cpu"), "bf16-mixed") is None


def test_products_in_half_precision_are_no_slower_than_in_fp32() -> None:
    for name, peak in PEAKS.items():
        assert peak.fp32 < min(filter(None, peak[:2])), name
