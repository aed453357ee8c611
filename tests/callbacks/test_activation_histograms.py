"""Histograms of activations, weights and gradients, and the size of an update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import lab
from lab.callbacks.activation_histograms import MOST_NUMBERS, norm, some_of
from lab.runs import open_run


def test_histograms_reach_tensorboard_with_counts_and_edges(tensorboard: Any) -> None:
    tags = set(tensorboard.Tags()["histograms"])
    assert {"activations/resid_post.layer0", "weights/layer1", "weights/embedding", "gradients/layer0"} <= tags
    event = tensorboard.Histograms("activations/resid_post.layer0")[-1]
    value = event.histogram_value
    assert event.step == 12
    assert sum(value.bucket) == value.num == 3 * 16 * 32  # texts × positions × d_model
    assert len(value.bucket) == len(value.bucket_limit) == 66
    assert value.bucket_limit[0] == pytest.approx(-8)  # the first bucket: all below the first edge
    centre = value.sum / value.num
    assert abs(centre) < 1


def test_the_update_ratio_is_that_of_the_snapshots(watched: Path) -> None:
    from lab.callbacks.activation_histograms import layers

    before, after = (dict(layers(lab.load(str(watched), step=step).model)) for step in (7, 8))
    row = next(row for row in open_run(watched).metrics().rows if row["step"] == 8)
    for place in after:
        moved = sum(((a - b) ** 2).sum().item() for a, b in zip(after[place], before[place], strict=True)) ** 0.5
        size = sum((a**2).sum().item() for a in after[place]) ** 0.5
        assert row[f"stats/update_ratio.{place}"] == pytest.approx(moved / size, rel=1e-4)
    total = sum(row[f"stats/grad_norm.{place}"] ** 2 for place in after) ** 0.5
    step_7 = next(row for row in open_run(watched).metrics().rows if row["step"] == 7)
    assert total <= step_7["train/grad_norm"] * (1 + 1e-5)  # gains and biases are not in it
    assert total > 0.9 * step_7["train/grad_norm"]


def test_evenly_spaced_numbers_stand_for_many() -> None:
    many = torch.arange(float(3 * MOST_NUMBERS))
    few = some_of([many])
    assert len(few) <= MOST_NUMBERS
    assert len(set((few[1:] - few[:-1]).tolist())) == 1
    assert (few[1] - few[0]) % 2 == 1, "an even stride would meet the same columns of every row"
    assert torch.equal(some_of([many[:4], many[4:6]]), many[:6])
    assert len(some_of([])) == 0
    assert norm([]) == 0
