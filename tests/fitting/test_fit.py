"""`lab.fit` from Python, and from a notebook's kernel."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.__main__ import main
from lab.errors import NonFiniteLoss
from lab.fitting.listener import Listener
from lab.presets import lay_over, nested
from tests.patience import PATIENCE
from tests.tiny import losses, tiny_args

CELL = """
import lab
run = lab.fit(configuration, horizon={"steps": 3})
assert (run.status().state, run.status().step) == ("completed", 3)
model, tokenizer = lab.load(str(run.path))
"""


def tiny(folder: Path, **more: Any) -> dict[str, Any]:
    """The settings of `tiny_args` as a tree."""
    words = tiny_args(folder, steps=6)
    tree: dict[str, Any] = {}
    for flag, value in zip(words[::2], words[1::2], strict=True):
        plain: Any = int(value) if value.isdigit() else value
        lay_over(tree, nested(flag[2:], False if value == "false" else plain))
    return tree | more


def test_it_trains_what_the_command_line_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = lab.fit(tiny(tmp_path), run={"name": "python"})
    assert capsys.readouterr().out == ""
    assert (run.name, run.status().state) == ("python", "completed")
    assert main(["fit", *tiny_args(tmp_path, steps=6)]) == 0
    assert losses(run.path) == losses(tmp_path / "runs" / "tiny")


def test_going_on_and_branching_off(tmp_path: Path) -> None:
    first = lab.fit(tiny(tmp_path), checkpoint={"every": 3, "keep": 9})
    again = lab.fit(resume=str(first.path), **{"horizon.steps": 8})
    assert (again.path, again.status().step) == (first.path, 8)
    child = lab.fit(fork=f"{first.path}@3", run={"name": "child", "root": str(first.path.parent)})
    assert child.status().parent == {"run": "tiny", "step": 3}


def test_mistakes_are_raised_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"(?s)n_layres.*\n.*lr is fast: expected a number$"):
        lab.fit(tiny(tmp_path), model={"config": {"n_layres": 1}, "optimizer": {"lr": "fast"}})
    assert not (tmp_path / "runs").exists()


def test_a_loss_that_is_not_finite_is_raised(tmp_path: Path) -> None:
    ruin = {"model.optimizer.lr": 1e30, "model.optimizer.clip": None, "trainer.precision": "32-true"}
    with pytest.raises(NonFiniteLoss):
        lab.fit(tiny(tmp_path), **ruin)


def test_a_listener_hears_in_order(tmp_path: Path) -> None:
    heard = []

    class Ear(Listener):
        def begins(self, fit: Any) -> None:
            heard.append(("begins", fit.decisions.steps))

        def ended(self, fit: Any) -> None:
            heard.append(("ended", fit.run.status().step))

    lab.fit(tiny(tmp_path), listener=Ear())
    assert heard == [("begins", 6), ("ended", 6)]


def test_from_another_thread(tmp_path: Path) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(lab.fit(tiny(tmp_path))))
    thread.start()
    thread.join()
    assert found
    assert found[0].status().state == "completed"


def test_in_a_notebook(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(f"configuration = {tiny(tmp_path)!r}"), nbformat.v4.new_code_cell(CELL)]
    )
    nbclient.NotebookClient(book, timeout=PATIENCE, kernel_name="python3").execute()
    assert (tmp_path / "runs" / "tiny" / "run.json").exists()


def test_it_is_imported_only_when_asked_for() -> None:
    code = "import lab, sys; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
