"""Tensors as arrays of their own."""

from __future__ import annotations

import numpy as np
import torch

from lab.interp.arrays import to_array, to_integers


def test_an_array_is_a_copy_in_fp32() -> None:
    x = torch.tensor([[1.5, 2.0], [3.0, 4.0]], dtype=torch.bfloat16, requires_grad=True).T
    found = to_array(x)
    assert (found.dtype, found.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_array_equal(found, [[1.5, 3.0], [2.0, 4.0]])
    found[0, 0] = 9
    assert float(x[0, 0]) == 1.5


def test_integers_are_a_copy_in_int64() -> None:
    x = torch.tensor([1, 2], dtype=torch.int32)
    found = to_integers(x)
    assert found.dtype == np.int64
    found[0] = 9
    assert x.tolist() == [1, 2]
