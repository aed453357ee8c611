"""Reading checkpoint files that are torn, foreign or hostile."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.runs.checkpoint_state import read_state

STATE = {"state_dict": {"w": torch.ones(1000)}, "global_step": 1}


@pytest.mark.parametrize("mmap", [False, True])
def test_tensors_and_plain_values_come_back(tmp_path: Path, mmap: bool) -> None:
    torch.save(STATE, tmp_path / "step.ckpt")
    state = read_state(tmp_path / "step.ckpt", mmap=mmap)
    assert torch.equal(state["state_dict"]["w"], torch.ones(1000))
    assert state["global_step"] == 1


class Harm:
    """Pickles as a call that leaves a trace."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("harm",)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "x": Harm()}, tmp_path / "harm.ckpt")
    (tmp_path / "old.ckpt").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(ValueError, match="could run code"):
        read_state(tmp_path / "harm.ckpt")
    with pytest.raises(ValueError, match="no PyTorch checkpoint"):
        read_state(tmp_path / "old.ckpt")
    assert not (tmp_path / "harm").exists()


def test_missing_empty_torn_and_foreign_files_get_one_line_each(tmp_path: Path) -> None:
    whole = tmp_path / "whole.ckpt"
    torch.save(STATE, whole)
    (tmp_path / "torn").write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("hello")
    (tmp_path / "folder").mkdir()
    torch.save({"weights": torch.ones(2)}, tmp_path / "other")
    expected = {
        "missing": "there is no checkpoint",
        "torn": "is torn",
        "empty": "is empty",
        "text": "is no PyTorch checkpoint",
        "folder": "cannot be read as a checkpoint: Is a directory",
        "other": "no training checkpoint",
    }
    for name, reason in expected.items():
        with pytest.raises(ValueError, match=reason) as caught:
            read_state(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_happened_to_the_file_it_reads_or_says_why(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path, whole = (tmp_path_factory.getbasetemp() / name for name in ("wild.ckpt", "whole.ckpt"))
    if not whole.exists():
        torch.save(STATE, whole)
    content = bytearray(whole.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    try:
        state = read_state(path)
    except ValueError as error:
        said = str(error)
    else:
        said = str(path) if "state_dict" in state else ""
    assert str(path) in said
