"""Single records: what comes back, and what is said of damaged ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.runs.records import read_config, read_json, write_json


def test_what_json_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    values = {
        "nan": float("nan"),
        "tensor": torch.tensor([1.5]),
        "scalar": np.float32(0.5),
        "path": Path("a"),
        "set": {2, 1},
    }
    write_json(path, values)
    expected = {"nan": None, "tensor": [1.5], "scalar": 0.5, "path": "a", "set": [1, 2]}
    assert json.loads(path.read_text()) == expected
    assert read_json(path) == expected


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_damaged_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"data\.json is damaged"):
        read_json(path)


@pytest.mark.parametrize("content", [b"", b"a: [", b"- 1", b"\xff\xfe\x00", b"!!python/object/apply:os.getcwd []"])
def test_damaged_or_hostile_yaml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.yaml is damaged"):
        read_config(path)
