"""Snapshots: the schedule, weights there and back, shared tensors, damage."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lab.runs import Run
from lab.runs.checkpoints import check_file
from lab.runs.snapshots import (
    delete_snapshots_beyond,
    list_snapshots,
    read_snapshot,
    write_snapshot,
)


def test_weights_there_and_back(run: Run) -> None:
    state = {
        "a": torch.randn(3, 4),
        "transposed": torch.randn(3, 4).T,
        "bf16": torch.randn(5).bfloat16(),
        "scalar": torch.tensor(2),
        "empty": torch.empty(0),
        "also_empty": torch.empty(0),
    }
    info = write_snapshot(
        run, 16, state, tokens=7, losses={"train/loss": 1.5}, model_config={"d_model": 4}, probe_loss=2.0
    )
    back = read_snapshot(info.path)
    assert back.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(back[name], tensor)
        assert back[name].dtype == tensor.dtype
    assert info.path.name == "step-00000016.safetensors"
    assert (info.kind, info.tokens, info.model_config, info.probe_loss) == (
        "snapshot",
        7,
        {"d_model": 4},
        2.0,
    )
    assert list_snapshots(run) == [info]
    assert check_file(info) is None


def test_a_tied_head_is_stored_once(run: Run) -> None:
    model = torch.nn.ModuleDict({"embedding": torch.nn.Embedding(50, 8), "head": torch.nn.Linear(8, 50, bias=False)})
    model["head"].weight = model["embedding"].weight
    info = write_snapshot(run, 0, model.state_dict())
    assert list(load_file(info.path)) == ["embedding.weight"], "a reader that knows only safetensors sees it once"
    assert info.size < 2 * 50 * 8 * 4
    back = read_snapshot(info.path)
    assert torch.equal(back["head.weight"], model["head"].weight)
    assert back["head.weight"] is back["embedding.weight"]


def test_views_of_one_tensor_that_differ_are_both_stored(run: Run) -> None:
    whole = torch.arange(6.0)
    state = {"first": whole[:3], "second": whole[3:], "reshaped": whole.view(2, 3), "whole": whole}
    back = read_snapshot(write_snapshot(run, 0, state).path)
    for name, tensor in state.items():
        assert torch.equal(back[name], tensor)


def test_a_plain_safetensors_file_reads_too(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    assert torch.equal(read_snapshot(tmp_path / "x.safetensors")["a"], torch.ones(2))


def test_damaged_files(run: Run, tmp_path: Path) -> None:
    info = write_snapshot(run, 0, {"a": torch.randn(100)})
    content = info.path.read_bytes()
    for damaged in (b"", b"nonsense", content[:-10], content[:20]):
        info.path.write_bytes(damaged)
        with pytest.raises(ValueError, match="no whole safetensors file"):
            read_snapshot(info.path)
    with pytest.raises(ValueError, match="no whole safetensors file"):
        read_snapshot(tmp_path / "missing")
    assert list_snapshots(run) == []


@pytest.mark.parametrize("shared", ["[]", "3", "{", '{"a": ["b"]}', '{"a": "none"}', "[[[["])
def test_hostile_metadata(tmp_path: Path, shared: str) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"w": torch.ones(2)}, path, {"shared": shared})
    with pytest.raises(ValueError, match="no whole safetensors file"):
        read_snapshot(path)


def test_going_back_deletes_what_lies_beyond(run: Run) -> None:
    for step in (0, 1, 2, 4, 8, 16):
        write_snapshot(run, step, {"a": torch.ones(1) * step})
    assert delete_snapshots_beyond(run, 4) == [8, 16]
    assert [info.step for info in run.snapshots()] == [0, 1, 2, 4]
