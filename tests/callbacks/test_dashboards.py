"""What reaches TensorBoard and Weights & Biases: pictures, histograms, tables, numbers, and their axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from lab.callbacks.dashboards import Dashboards, markdown_table
from lab.runs import open_run
from tests.callbacks.fits import PICTURES


def test_pictures_reach_tensorboard_and_are_legible_in_size(tensorboard: Any) -> None:
    assert set(tensorboard.Tags()["images"]) == PICTURES
    for name in PICTURES:
        images = tensorboard.Images(name)
        assert {image.step for image in images} <= {0, 1, 2, 4, 8, 10, 12}, name
        assert {0, 12} <= {image.step for image in images}, name
        for image in images:
            assert image.encoded_image_string.startswith(b"\x89PNG")
            assert 600 <= image.width <= 960, name
            assert image.height >= 150, name


def test_scalars_reach_tensorboard_at_the_step_of_metrics_jsonl(watched: Path, tensorboard: Any) -> None:
    steps, values = open_run(watched).metrics().series("stats/entropy.layer0")
    found = tensorboard.Scalars("stats/entropy.layer0")
    assert [event.step for event in found] == steps
    np.testing.assert_allclose([event.value for event in found], values, rtol=1e-6)


def test_weights_and_biases_gets_pictures_histograms_tables_and_both_axes(wandb_rows: list[dict[str, Any]]) -> None:
    rows = {name: [row for row in wandb_rows if name in row] for name in (*PICTURES, "samples", "weights/layer0")}
    for name in PICTURES:
        assert rows[name][-1][name]["_type"] == "image-file", name
    assert rows["samples"][-1]["samples"]["_type"] == "table-file"
    histogram = rows["weights/layer0"][-1]["weights/layer0"]
    assert histogram["_type"] == "histogram"
    assert len(histogram["bins"]) == len(histogram["values"]) + 1
    for name, found in rows.items():
        assert found[-1]["trainer/global_step"] == 12, name
        assert found[-1]["tokens"] == 12 * 128, name


def test_without_a_dashboard_nothing_is_drawn() -> None:
    nowhere = Dashboards([], lambda step: 64 * step)
    assert not nowhere
    nowhere.picture("name", cast(Any, None), 3)
    assert nowhere.when(1200) == "step 1,200 · 76.8k tokens"


def test_what_a_model_wrote_stays_in_its_cell() -> None:
    table = markdown_table(["prompt", "text"], [["a|b", "<b>*x*</b>\n  y"]])
    assert table.splitlines() == [
        "| prompt | text |",
        "| --- | --- |",
        "| a&#124;b | &#60;b&#62;&#42;x&#42;&#60;/b&#62;<br>&nbsp; y |",
    ]
