"""Weights reproduce the loss recorded with them, other weights do not."""

from __future__ import annotations

from pathlib import Path

from analysis_app.analyses.reproduction import reproduction
from analysis_app.library import Library


def test_weights_reproduce_their_recorded_loss_at_every_step(library: Library) -> None:
    for step in library.steps("tiny"):
        found = reproduction(library.open("tiny", step))
        assert found["reproduces"], found


def test_other_weights_do_not_reproduce_it(runs: Path, tmp_path: Path) -> None:
    """A snapshot whose tensors were swapped for another step's: same shapes, same size, other numbers."""
    import hashlib
    import json
    import shutil

    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    first, last = sorted((tmp_path / "tiny" / "snapshots").glob("*.safetensors"))[
        :: len(Library(runs).steps("tiny")) - 1
    ]
    content = first.read_bytes()
    facts = json.loads(last.with_suffix(".json").read_text())
    last.write_bytes(content)
    facts |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    last.with_suffix(".json").write_text(json.dumps(facts))
    assert reproduction(Library(tmp_path).open("tiny", facts["step"]))["reproduces"] is False
