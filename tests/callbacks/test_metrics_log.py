"""The curve of a run, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.__main__ import main
from lab.runs import open_run
from tests.tiny import tiny_args


def test_a_line_says_which_share_of_its_steps_was_clipped(tmp_path: Path) -> None:
    """Lines of every step and of every third one are of the same run: a share is the mean of its steps'."""
    for name, every in (("single", 1), ("thirds", 3)):
        args = tiny_args(tmp_path, "--model.optimizer.clip", "1.4", "--log.every", str(every), name=name)
        assert main(["fit", *args]) == 0
    single, thirds = (open_run(name, tmp_path / "runs").metrics() for name in ("single", "thirds"))
    norms, (steps, clipped) = single.series("train/grad_norm")[1], single.series("train/clipped")
    assert clipped == [float(norm > 1.4) for norm in norms]
    assert 0 < sum(clipped) < len(clipped)
    for step, share in zip(*thirds.series("train/clipped"), strict=True):
        since = [c for s, c in zip(steps, clipped, strict=True) if step - 3 < s <= step]
        if step % 3 == 0:
            assert share == pytest.approx(sum(since) / len(since))
