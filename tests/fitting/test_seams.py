"""A run that is changed between its first and its last step: what it learned from before stays what it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lab.__main__ import main
from lab.data.dataset import LabData
from lab.loading import load_data
from lab.runs import Run, open_run
from lab.runs.seams import Seams
from tests.tiny import tiny_args

PER_SEQUENCE = 16  # tokens


def fit(*args: str) -> int:
    return main(["fit", *args])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one: 8 steps of 4 sequences of 16 tokens, with every fourth checkpoint."""
    folder = tmp_path_factory.mktemp("done")
    kept = ("--checkpoint.every", "4", "--checkpoint.keep", "9", "--validation.every", "4")
    assert fit(*tiny_args(folder, *kept, steps=8)) == 0
    return folder / "runs"


@pytest.fixture
def run(done: Path, tmp_path: Path) -> Run:
    """A copy of it to be changed."""
    shutil.copytree(done, tmp_path / "runs")
    return open_run("tiny", tmp_path / "runs")


def go_on(run: Run, *flags: str, kind: str = "resume", step: int = 8) -> Run:
    """Resume or fork; returns the run that goes on."""
    onto = ["--resume", run.name] if kind == "resume" else ["--fork", f"{run.name}@{step}", "--run.name", "fork"]
    assert fit(*onto, "--run.root", str(run.path.parent), *flags) == 0
    return run if kind == "resume" else open_run("fork", run.path.parent)


def seams_of(run: Run) -> Seams:
    """The run's, which has some."""
    found = run.seams()
    assert found is not None
    return found


def read_of(run: Run, step: int) -> list[str]:
    """The text that a step of a run learned from."""
    return load_data(run, step).batch_text(step)


def tokens_of(run: Run) -> dict[int, int]:
    """Step → tokens, of the lines of metrics.jsonl."""
    return {row["step"]: row["tokens"] for row in run.metrics().rows}


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What the screen said, without its line ends."""
    return " ".join(capsys.readouterr().out.split())


WAYS: dict[str, tuple[list[str], int]] = {
    "batch_size 8": (["--data.batch_size=8"], 8),
    "batch_size 2": (["--data.batch_size=2"], 2),
    "tokens_per_step": (["--data.tokens_per_step=192"], 12),
    "accumulation": (["--data.batch_size=3", "--data.tokens_per_step=288"], 18),
    "micro-batches alone": (["--data.batch_size=2", "--data.tokens_per_step=64"], 4),
}


@pytest.mark.parametrize("kind", ["resume", "fork"])
@pytest.mark.parametrize("way", WAYS)
def test_another_batch_counts_on(run: Run, way: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags, sequences = WAYS[way]
    before = {step: read_of(run, step) for step in range(8)}
    run = go_on(run, *flags, "--horizon.steps=14", kind=kind)
    assert "reading goes on with sequence 32" in said(capsys)
    assert {step: read_of(run, step) for step in range(8)} == before
    after = [sequence for step in range(8, 14) for sequence in read_of(run, step)]
    one_by_one = LabData(
        **(run.config() or {})["data"] | {"batch_size": 1, "tokens_per_step": 16, "context_length": 16}
    )
    assert after == [one_by_one.batch_text(n)[0] for n in range(32, 32 + 6 * sequences)]  # none left out, none twice
    assert run.status().tokens == 512 + 6 * sequences * PER_SEQUENCE
    tokens = tokens_of(run)
    assert [*tokens.values()] == sorted(tokens.values())
    assert {step: tokens[step] for step in (8, 13)} == {8: 512, 13: 512 + 5 * sequences * PER_SEQUENCE}
    facts = json.loads((run.checkpoints_dir / "last.json").read_text())
    assert (facts["tokens"], facts["sequences"]) == (run.status().tokens, 32 + 6 * sequences)


def test_batches_are_shown_on_both_sides(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    go_on(run, "--data.batch_size=8", "--horizon.steps=12")
    capsys.readouterr()
    found: dict[int, Any] = {}
    for step in (7, 8):
        assert main(["batch", "tiny", str(step), "--root", str(run.path.parent), "--json"]) == 0
        found[step] = json.loads(capsys.readouterr().out)
    assert [len(found[step]["sequences"]) for step in (7, 8)] == [4, 8]


def test_a_seam_is_one_record(run: Run) -> None:
    go_on(run, "--data.batch_size=8", "--horizon.steps=12", "--validation.every=2")
    first, second = seams_of(run).all
    assert (first.step, first.tokens, first.sequences, first.total_steps, first.changed) == (0, 0, 0, 8, {})
    assert (second.step, second.tokens, second.sequences, second.total_steps) == (8, 512, 32, 12)
    assert second.changed == {
        "data.batch_size": {"from": 4, "to": 8},
        "horizon.steps": {"from": 8, "to": 12},
        "validation.every": {"from": 4, "to": 2},
    }
    go_on(run, "--horizon.steps=16")
    assert [seam.step for seam in seams_of(run).all] == [0, 8, 12]


def test_a_resume_from_before_a_seam_forgets_it(run: Run) -> None:
    go_on(run, "--data.batch_size=8", "--horizon.steps=12")
    for info in run.checkpoints()[1:]:  # as if those of the steps 8 and 12 were lost
        info.path.unlink()
    go_on(run)
    assert [(seam.step, seam.tokens, seam.sequences) for seam in seams_of(run).all] == [(0, 0, 0), (4, 256, 16)]
    assert run.status().tokens == 256 + 8 * 8 * PER_SEQUENCE
    assert [*tokens_of(run).values()] == sorted(tokens_of(run).values())


def test_a_resume_with_nothing_changed_leaves_no_seam(run: Run) -> None:
    whole = run.metrics().series("train/loss")
    run.checkpoints()[-1].path.unlink()
    go_on(run)
    assert len(seams_of(run).all) == 1
    assert run.metrics().series("train/loss") == whole


def test_a_record_that_was_lost_is_made_good_by_the_checkpoint(run: Run) -> None:
    go_on(run, "--data.batch_size=8", "--horizon.steps=12")
    run.seams_path.write_bytes(b"\0" * 300)
    go_on(run, "--horizon.steps=14")
    assert run.status().tokens == 512 + 6 * 8 * PER_SEQUENCE
    assert seams_of(run).at(13).sequence_at(13) == 32 + 5 * 8
