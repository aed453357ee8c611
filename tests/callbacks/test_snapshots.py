"""Snapshots of a real run: at which steps, with which facts, and what a resumed run forgets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import lab
from lab.__main__ import main
from lab.callbacks.snapshots import PER_RUN, Snapshots
from lab.model.reference import reference_loss
from lab.runs import open_run
from lab.runs.reference_texts import read_bundle
from tests.callbacks.fits import fit


def test_unset_there_are_so_many_a_run_besides_the_first() -> None:
    steps = [n for n in range(1001) if Snapshots().cadence.due(n, 1000)]
    assert steps[:7] == [0, 1, 2, 4, 8, 16, 32]
    assert steps[7:] == list(range(50, 1001, 1000 // PER_RUN))
    with pytest.raises(ValueError, match=r"snapshots\.every is -1: give a number of steps, or 0 for no snapshots"):
        Snapshots(every=-1)


def test_facts_are_those_of_the_weights(watched: Path) -> None:
    run = open_run(watched)
    info = next(info for info in run.snapshots() if info.step == 8)
    model, _ = lab.load(str(watched), step=8)
    texts = torch.tensor(read_bundle(run.reference_texts()[0].path)["token_ids"])
    beginning = texts.flatten()[: model.config.context_length + 1]
    assert info.probe_loss == pytest.approx(reference_loss(model, beginning.long()), abs=1e-4)
    assert info.tokens == 8 * 128
    row = next(row for row in run.metrics().rows if row["step"] == 7)
    assert info.losses["train/loss"] == row["train/loss"]


def test_a_resumed_run_forgets_the_snapshots_of_the_abandoned_future(tmp_path: Path) -> None:
    run = fit(tmp_path, "run", "--checkpoint.every", "6", "--checkpoint.keep", "9", "--snapshots.every", "3")
    for path in (*run.glob("checkpoints/step-00000012*"), *run.glob("checkpoints/last*")):
        path.unlink()
    again = ("--horizon.steps", "7", "--model.schedule.kind", "constant")
    assert main(["fit", "--resume", "run", "--run.root", str(tmp_path / "runs"), *again]) == 0
    assert [info.step for info in open_run(run).snapshots()] == [0, 1, 2, 3, 6, 7]
