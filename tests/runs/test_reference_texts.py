"""Probe bundles: written whole, read back exactly, and nothing else opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lab.errors import WriteError
from lab.runs import Run
from lab.runs.reference_texts import (
    decode_pattern,
    delete_bundles_beyond,
    encode_pattern,
    list_bundles,
    read_bundle,
    write_bundle,
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_what_was_written_is_read(run: Run) -> None:
    arrays = {"norms": np.arange(6, dtype=np.float32).reshape(2, 3), "token_strings": np.array([["·a", "⏎"]])}
    info = write_bundle(run, 1000, arrays)
    assert info.path.name == "step-00001000.npz"
    found = read_bundle(info.path)
    assert (int(found["format"]), int(found["step"])) == (1, 1000)
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_a_pattern_survives_its_eight_bits() -> None:
    rng = np.random.default_rng(0)
    patterns = rng.dirichlet(np.full(64, 0.1), 200).astype(np.float32)
    found = decode_pattern(encode_pattern(patterns))
    assert np.abs(found - patterns).max() < 0.004
    small = patterns < 0.001
    assert np.abs(found - patterns)[small].max() < 0.00015
    assert np.array_equal(decode_pattern(encode_pattern([0.0, 1.0])), [0.0, 1.0])


def test_bundles_are_listed_by_step_and_those_beyond_deleted(run: Run) -> None:
    assert list_bundles(run) == []
    for step in (8, 1, 100_000_000):
        write_bundle(run, step, {})
    (run.reference_texts_dir / ".tmp-step-00000002.npz-1-0").write_bytes(b"half")
    (run.reference_texts_dir / "notes.txt").write_text("mine")
    assert [info.step for info in run.reference_texts()] == [1, 8, 100_000_000]
    assert delete_bundles_beyond(run, 8) == [100_000_000]
    assert [info.step for info in list_bundles(run)] == [1, 8]


@pytest.mark.parametrize("damage", ["torn", "foreign", "pickle", "missing", "format"])
def test_what_is_no_bundle_is_refused(run: Run, damage: str) -> None:
    path = write_bundle(run, 3, {"norms": np.zeros(100)}).path
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "foreign":
        path.write_bytes(b"no zip at all")
    elif damage == "pickle":
        np.savez(path, format=1, evil=np.array([{"a": 1}], dtype=object))
    elif damage == "format":
        np.savez(path, format=99)
    else:
        path.unlink()
    with pytest.raises(ValueError, match=r"step-00000003\.npz"):
        read_bundle(path)


def test_objects_are_never_written(run: Run) -> None:
    with pytest.raises(ValueError, match="plain arrays only: evil"):
        write_bundle(run, 1, {"evil": np.array([None, {}], dtype=object)})
    assert list_bundles(run) == []


def test_a_write_that_fails_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(WriteError, match="the disk is full"):
        write_bundle(run, 1, {"norms": np.zeros(3)})
    assert list(run.reference_texts_dir.iterdir()) == []
