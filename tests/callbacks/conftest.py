"""One run with every instrument and both dashboards, shared by the tests of all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.callbacks.fits import ACCUMULATING, fit
from tests.callbacks.wandb_log import history


@pytest.fixture(scope="package")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything on, both dashboards, and one head drawn large."""
    tmp_path = tmp_path_factory.mktemp("watched")
    return fit(
        tmp_path, "watched", *ACCUMULATING, "--tensorboard", "true", "--wandb", "offline", "--attention_maps.heads",
        '["1.0"]', "--throughput.every", "4",
    )  # fmt: skip


@pytest.fixture(scope="package")
def tensorboard(watched: Path) -> Any:
    """TensorBoard's own reader of the run's event files, keeping everything."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    keep = dict.fromkeys(("scalars", "images", "histograms", "tensors"), 0)
    return EventAccumulator(str(watched / "tensorboard"), size_guidance=keep).Reload()


@pytest.fixture(scope="package")
def wandb_rows(watched: Path) -> list[dict[str, Any]]:
    return history(watched)
