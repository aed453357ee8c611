"""When a run saves itself, and which checkpoints stay."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

import lab.callbacks.checkpoints
from lab.callbacks.checkpoints import Checkpoints
from lab.callbacks.validation import Validation
from lab.runs import metrics, open_run
from lab.runs.events import CheckpointSaved, of_kind
from lab.training.callback import FitContext
from lab.training.looking import LookTimes
from tests.callbacks.fits import OFF, fit


def between(checkpoints: Checkpoints, total: int, validation: Validation | None) -> int:
    return checkpoints.steps_between(
        cast(Any, SimpleNamespace(total_steps=total, find=lambda kind: validation, looks=LookTimes()))
    )


def test_unset_a_tenth_of_the_run_at_steps_that_are_validated() -> None:
    assert between(Checkpoints(), 1000, Validation()) == 100
    assert between(Checkpoints(), 1000, Validation(every=30)) == 120
    assert between(Checkpoints(), 1000, Validation(every=0)) == between(Checkpoints(), 1000, None) == 100
    assert between(Checkpoints(), 5, Validation()) == 1
    assert between(Checkpoints(every=7), 1000, Validation(every=30)) == 7


def test_the_newest_the_best_and_milestones_stay(tmp_path: Path) -> None:
    more = (
        "--checkpoint.every",
        "2",
        "--checkpoint.keep",
        "1",
        "--checkpoint.milestones",
        "5",
        "--validation.every",
        "4",
    )
    run = open_run(fit(tmp_path, "run", *OFF, *more, "--model.optimizer.lr", "0.01"))
    kinds = {info.step: info.kind for info in run.checkpoints()}
    events = of_kind(run.events(), CheckpointSaved)
    best = max(event.step for event in events if event.best)
    assert kinds == {5: "milestone", 10: "milestone", best: kinds[best], 12: "final"}
    assert [event.step for event in events] == [2, 4, 5, 6, 8, 10, 12]


def test_settings_that_cannot_be_are_refused_all_at_once() -> None:
    with pytest.raises(ValueError, match=r"checkpoint\.every is -1: .*0 for the end only") as caught:
        Checkpoints(every=-1, keep=0, milestones=0)
    assert [line.split(" ")[0] for line in str(caught.value).splitlines()] == [
        "checkpoint.every",
        "checkpoint.keep",
        "checkpoint.milestones",
    ]


@pytest.mark.parametrize("better", [True, False])
def test_best_on_the_subset_is_compared_with_the_last_on_the_whole_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, better: bool
) -> None:
    """The first checkpoint passes for the best on the subset; the last has learned more, or is told to have less."""
    pretended = iter([(metrics.VAL_SUBSET_LOSS, loss) for loss in (1.0, *[2.0] * 20)])
    monkeypatch.setattr(lab.callbacks.checkpoints, "curve_loss", lambda losses: next(pretended))
    if better:
        monkeypatch.setattr(FitContext, "loss_of", lambda fit, weights: {metrics.VAL_LOSS: 0.5})
    asked = ("--validation.windows", "4", "--validation.every", "4", "--checkpoint.every", "4")
    run = open_run(fit(tmp_path, "best", *OFF, *asked, "--checkpoint.keep", "9"))
    first, *_, last = run.checkpoints()
    assert (first.step, last.step) == (4, 12)
    assert ("best" in first.aliases, "best" in last.aliases) == (better, not better)
    assert first.losses[metrics.VAL_LOSS] is not None
    assert (first.losses[metrics.VAL_LOSS] < last.losses[metrics.VAL_LOSS]) == better
    weights = torch.load(last.path, weights_only=True)["state_dict"]
    plain = open_run(fit(tmp_path, "plain", *OFF, "--validation.every", "0"))
    same = torch.load(plain.checkpoints()[-1].path, weights_only=True)["state_dict"]
    assert all(torch.equal(weights[name], same[name]) for name in same)  # the last weights are back in place
