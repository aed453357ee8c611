"""The most FLOP/s that a device does, by its data sheet: what the share of a peak (MFU) is taken of."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Peak(NamedTuple):
    """Dense FLOP/s of matrix products; TF32 and sparsity are left aside. None: the device has no unit for it."""

    bf16: float | None
    fp16: float | None
    fp32: float


# By the name that CUDA reports, without its maker's: names of other devices begin or end alike (L4, L40, L40S; 4090,
# 4090 D), so only whole names count. From NVIDIA's data sheets of these products; for the consumer cards from its
# architecture white papers (GA102 V2.1, appendix A; Ada V2.1, appendix A: products in fp16 and bf16 that are summed up
# in fp32). Where a sheet states the rate with sparsity, half of it.
H100_SXM, H100_NVL, A100 = Peak(989e12, 989e12, 67e12), Peak(835e12, 835e12, 60e12), Peak(312e12, 312e12, 19.5e12)
PEAKS: dict[str, Peak] = {
    "H200": H100_SXM,
    "H200 NVL": H100_NVL,
    "GH200 480GB": H100_SXM,
    "H100 80GB HBM3": H100_SXM,
    "H100 NVL": H100_NVL,
    "H100 PCIe": Peak(756e12, 756e12, 51e12),
    "A100-SXM4-40GB": A100,
    "A100-SXM4-80GB": A100,
    "A100-PCIE-40GB": A100,
    "A100 80GB PCIe": A100,
    "L40S": Peak(362e12, 362e12, 91.6e12),
    "L40": Peak(181e12, 181e12, 90.5e12),
    "L4": Peak(121e12, 121e12, 30.3e12),
    "A10": Peak(125e12, 125e12, 31.2e12),
    "A10G": Peak(70e12, 70e12, 31.5e12),
    "GeForce RTX 4090": Peak(165e12, 165e12, 82.6e12),
    "GeForce RTX 3090 Ti": Peak(80e12, 80e12, 40e12),
    "GeForce RTX 3090": Peak(71e12, 71e12, 35.6e12),
    "V100-SXM2-16GB": Peak(None, 125e12, 15.7e12),
    "V100-SXM2-32GB": Peak(None, 125e12, 15.7e12),
    "V100-PCIE-16GB": Peak(None, 112e12, 14e12),
    "V100-PCIE-32GB": Peak(None, 112e12, 14e12),
    "T4": Peak(None, 65e12, 8.1e12),
}
MAKERS = ("NVIDIA ", "Tesla ")


def peak_flops(device: torch.device, precision: str) -> float | None:
    """The most FLOP/s that the device does in this precision; None where no data sheet is known here, and on a CPU."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    for maker in MAKERS:
        name = name.removeprefix(maker)
    peak = PEAKS.get(name)
    if peak is None:
        return None
    if "bf16" in precision:
        return peak.bf16
    return peak.fp16 if "16" in precision else peak.fp32
