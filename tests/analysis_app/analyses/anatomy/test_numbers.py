"""An activation summarised."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from analysis_app.analyses.anatomy.numbers import numbers_of


def test_statistics_are_those_of_all_that_is_finite() -> None:
    x = torch.tensor([[3.0, 4.0, 0.0], [-1.0, -math.inf, 2.0]])
    found = numbers_of(x, most=8)
    assert (found.minimum, found.maximum) == (-1, 4)
    assert found.mean == pytest.approx(8 / 5)
    np.testing.assert_allclose(found.norms, [5, math.sqrt(5)])
    assert found.dims == [0, 1, 2]
    np.testing.assert_array_equal(found.picture, x.T)


def test_a_picture_of_a_wide_vector_has_its_ends_or_its_largest_numbers() -> None:
    x = torch.arange(100.0).repeat(2, 1)
    found = numbers_of(x, most=4)
    assert (len(found.dims), found.dims[0], found.dims[-1]) == (4, 0, 99)
    np.testing.assert_array_equal(found.picture[:, 0], found.dims)
    largest = numbers_of(x, most=4, largest=True)
    assert largest.dims == []
    np.testing.assert_array_equal(largest.picture[:, 1], [99, 98, 97, 96])
