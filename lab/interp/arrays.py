"""What analyses return: NumPy arrays in fp32 on the CPU, copies that share no memory with the model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def to_array(x: Tensor) -> Array:
    """`x` of any float type and device as an fp32 array of the same shape, a copy."""
    return np.array(x.detach().float().cpu().numpy(), order="C")


def to_integers(x: Tensor) -> IntArray:
    """`x` of any integer type and device as an int64 array of the same shape, a copy."""
    return np.array(x.detach().long().cpu().numpy(), order="C")
