"""Steps are compiled from a recorded step on, and a resumed run changes over there again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lab.__main__ import main
from lab.callbacks import compiling
from lab.runs import open_run
from lab.runs.events import Decided, InstrumentFailed, of_kind
from lab.training.compiling import Graph
from tests.tiny import losses, tiny_args

QUIET = (
    "--validation.every=0",
    "--snapshots.every=0",
    "--probes.every=0",
    "--checkpoint.every=4",
    "--checkpoint.keep=9",
    "--log.every=1",
)
BESIDE = (*QUIET, "--levers.compile", "beside")


class Soon:
    """Stands for the process beside: ready when it is asked for the sixth time."""

    made: list[Soon]
    error: str | None = None

    def __init__(self, graph: Graph, folder: Path) -> None:
        self.graph, self.asked, self.ended = graph, 0, False
        type(self).made.append(self)

    def ready(self) -> bool:
        self.asked += 1
        if self.error and self.asked == 6:
            raise RuntimeError(self.error)
        return self.asked == 6

    def end(self) -> None:
        self.ended = True


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> type[Soon]:
    """Compiled code is ready after six steps; it computes a loss that is 1 % larger, so that it shows."""
    Soon.made, Soon.error = [], None

    def compile(self: Graph, model: Any) -> None:
        eager = model.loss
        vars(model)["loss"] = lambda *args, **named: eager(*args, **named) * (1.01 if torch.is_grad_enabled() else 1)

    monkeypatch.setattr(compiling, "Beside", Soon)
    monkeypatch.setattr(compiling, "missing_compiler", lambda: None)
    monkeypatch.setattr(Graph, "compile", compile)
    return Soon


def fit(folder: Path, *more: str) -> Path:
    folder.mkdir(exist_ok=True)
    assert main(["fit", *tiny_args(folder, *more)]) == 0
    return folder / "runs" / "tiny"


def decided(run: Path) -> list[tuple[int, Any]]:
    return [(event.step, event.value) for event in of_kind(open_run(run).events(), Decided) if event.what == "compiled"]


def test_steps_before_are_as_they_would_be_and_a_resumed_run_changes_over_where_it_did(
    soon: type[Soon], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, run = losses(fit(tmp_path / "plain", *QUIET)), fit(tmp_path / "beside", *BESIDE)
    assert decided(run) == [(6, True)]
    assert "step 6: steps are compiled from here on, after" in capsys.readouterr().err
    assert soon.made[0].ended
    assert (soon.made[0].graph.batch_size, soon.made[0].graph.context_length) == (4, 16)
    first = losses(run)
    assert [step for step in first if first[step] == plain[step]] == [*range(6)]

    for checkpoint in [*(run / "checkpoints").glob("step-*8*"), *(run / "checkpoints").glob("step-*12*")]:
        checkpoint.unlink()
    assert main(["fit", "--resume", str(run)]) == 0
    assert decided(run) == [(6, True)]
    assert losses(run) == first


def test_a_compilation_that_fails_leaves_the_run_as_it_is(soon: type[Soon], tmp_path: Path) -> None:
    soon.error = "compiling beside the training failed: no room"
    run = fit(tmp_path / "beside", *BESIDE)
    assert losses(run) == losses(fit(tmp_path / "plain", *QUIET))
    (failed,) = of_kind(open_run(run).events(), InstrumentFailed)
    assert (failed.instrument, failed.step) == ("levers.compile", 6)
    assert "no room" in failed.error
    assert not decided(run)


def test_a_change_over_that_fails_leaves_the_run_as_it_is(
    soon: type[Soon], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Graph, model: Any) -> None:
        raise OSError("No such file: g++")

    monkeypatch.setattr(Graph, "compile", broken)
    run = fit(tmp_path / "beside", *BESIDE)
    assert losses(run) == losses(fit(tmp_path / "plain", *QUIET))
    assert [e.error for e in of_kind(open_run(run).events(), InstrumentFailed)] == ["OSError: No such file: g++"]


def test_without_a_compiler_it_says_so(
    soon: type[Soon], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compiling, "missing_compiler", lambda: "no C++ compiler at hand (g++)")
    fit(tmp_path, *BESIDE)
    assert "levers.compile: no C++ compiler at hand (g++); steps stay as they are" in capsys.readouterr().err
    assert not soon.made


def test_a_run_that_ends_first_ends_the_compilation(soon: type[Soon], tmp_path: Path) -> None:
    fit(tmp_path, *BESIDE, "--horizon.steps", "4")
    assert soon.made[0].ended
