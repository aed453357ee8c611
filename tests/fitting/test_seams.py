"""A run that is changed between its first and its last step: what it learned from before stays what it was."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from analysis_app.steering.status import run_facts
from lab.__main__ import main
from lab.data.dataset import LabData
from lab.forecasting.finished import finished_runs
from lab.loading import load_data
from lab.runs import Run, open_run
from lab.runs.comparison import compare, read
from lab.runs.events import Resumed, of_kind
from lab.runs.facts import Facts
from lab.runs.predictions import calibration, read_predictions
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


# ---------------------------------------------------------------- another context


@pytest.mark.parametrize("kind", ["resume", "fork"])
def test_a_horizon_in_tokens_binds_whatever_the_context(tmp_path: Path, kind: str) -> None:
    more = ("--horizon.steps=null", "--horizon.tokens=1024", "--checkpoint.every=8", "--checkpoint.keep=9")
    assert fit(*tiny_args(tmp_path, *more)) == 0
    run = open_run("tiny", tmp_path / "runs")
    assert (run.status().total_steps, run.status().tokens) == (16, 1024)
    run.checkpoints()[-1].path.unlink()  # as if it had been stopped at step 8, after 512 tokens
    before = [read_of(run, step) for step in range(8)]
    again = go_on(run, "--data.context_length=8", kind=kind)
    assert (again.status().total_steps, again.status().tokens) == (24, 1024)
    assert [read_of(again, step) for step in range(8)] == before
    assert seams_of(again).last.sequences == 64  # as far into the text as 32 sequences of 16 are
    assert len(read_of(again, 8)) == 4


@pytest.mark.parametrize("kind", ["resume", "fork"])
def test_a_horizon_in_minutes_counts_what_is_gone(run: Run, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.fitting.decisions.seconds_per_step", lambda *_: 0.5)
    monkeypatch.setattr("lab.fitting.decisions._seconds_of", lambda _: 2.0)
    again = go_on(run, "--horizon.minutes=0.1", "--data.context_length=8", kind=kind)
    assert seams_of(again).last.total_steps == 8 + (6 - 2) / 0.5 // 1.08, "the estimate; the clock revises it"


def test_the_models_context_may_change_where_no_weight_belongs_to_a_position(tmp_path: Path) -> None:
    more = ("--model.config.positions=rope", "--horizon.steps=null", "--horizon.tokens=512", "--checkpoint.every=4")
    assert fit(*tiny_args(tmp_path, *more)) == 0
    run = open_run("tiny", tmp_path / "runs")
    again = go_on(run, "--model.config.context_length=32", "--horizon.tokens=1024", kind="fork")
    assert (again.status().total_steps, again.status().tokens) == (12, 1024)
    assert seams_of(again).last.changed["model.config.context_length"] == {"from": 16, "to": 32}


# ---------------------------------------------------------------- another text


@pytest.mark.parametrize("kind", ["resume", "fork"])
def test_another_text_is_read_from_its_start_and_validated_at_once(
    run: Run, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "harder.txt"
    letters = sorted(set(Path((run.config() or {})["data"]["path"]).read_text()))
    rng = random.Random(1)
    other.write_text("".join(rng.choice(letters) for _ in range(20_000)))
    best = run.checkpoints()[-1].losses["val/loss"]
    more = (f"--data.path={other}", f"--data.tokenizer={run.tokenizer_path}", "--horizon.steps=12")
    again = go_on(run, *more, "--checkpoint.every=2", kind=kind)
    told = said(capsys)
    assert "another text is read, from its sequence 0 on" in told
    assert ("what is held out is not what the run was validated on" in told) == (kind == "resume")
    steps, losses = again.metrics().series("val/loss")
    assert 8 in steps
    assert losses[steps.index(8)] > best
    after = [info for info in again.checkpoints() if info.step > 8]
    assert any("best" in info.aliases for info in after)
    assert seams_of(again).at(8).sequences == 0
    assert again.status().tokens == 12 * 64
    assert read_of(again, 7) == read_of(run, 7)


def test_a_fork_of_the_same_text_is_validated_at_its_first_step(run: Run) -> None:
    again = go_on(run, "--horizon.steps=12", "--validation.every=100", kind="fork", step=4)
    steps, losses = again.metrics().series("val/loss")
    theirs = dict(zip(*run.metrics().series("val/loss"), strict=True))
    assert steps == [4, 12]
    assert losses[0] == theirs[4]


def test_early_stopping_of_a_fork_forgets_what_its_parent_reached(tmp_path: Path) -> None:
    stopping = "lightning.pytorch.callbacks.EarlyStopping"
    more = (
        f"--trainer.callbacks={stopping}", "--trainer.callbacks.monitor=val/loss", "--trainer.callbacks.patience=1",
        "--validation.every=4", "--checkpoint.every=4",
    )  # fmt: skip
    assert fit(*tiny_args(tmp_path, *more, steps=8)) == 0
    run = open_run("tiny", tmp_path / "runs")
    harder = tmp_path / "harder.txt"
    letters = sorted(set((tmp_path / "corpus.txt").read_text()))
    rng = random.Random(1)
    harder.write_text("".join(rng.choice(letters) for _ in range(20_000)))
    again = go_on(
        run, f"--data.path={harder}", f"--data.tokenizer={run.tokenizer_path}", "--horizon.steps=40", kind="fork"
    )
    assert (again.status().step or 0) > 8  # where its parent's best would have ended it


# ---------------------------------------------------------------- settings edited by hand


def edit(run: Run, old: str, new: str) -> None:
    text = run.config_path.read_text()
    assert old in text
    run.config_path.write_text(text.replace(old, new))


def test_a_configuration_edited_by_hand_is_compared_with_what_was_trained(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(run, "lr: 0.001", "lr: 0.002")
    edit(run, "steps: 8", "steps: 12")
    go_on(run)
    told = said(capsys)
    assert "model.optimizer.lr: 0.001 → 0.002" in told
    assert "horizon.steps: 8 → 12" in told
    assert run.status().step == 12
    changed = {"model.optimizer.lr": {"from": 0.001, "to": 0.002}, "horizon.steps": {"from": 8, "to": 12}}
    assert of_kind(run.events(), Resumed)[-1].changed == changed
    assert seams_of(run).last.changed == changed


def test_of_a_run_from_before_the_record_a_longer_horizon_is_seen(run: Run) -> None:
    run.seams_path.unlink()
    edit(run, "steps: 8", "steps: 12")
    go_on(run)
    assert run.status().step == 12
    assert seams_of(run).last.changed == {"horizon.steps": {"from": 8, "to": 12}}


# ---------------------------------------------------------------- predictions


def test_predictions_are_scored_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(*tiny_args(tmp_path, "--predict.final_loss=[1,5]", steps=6)) == 0
    run = open_run("tiny", tmp_path / "runs")
    assert "it was" in said(capsys)
    before = read_predictions(run)
    assert before is not None
    assert before.closed == {"step": 6, "why": "scored"}
    go_on(run, "--horizon.steps=20", "--model.optimizer.lr=0.01")
    assert "predictions, as scored at step 6" in said(capsys)
    assert read_predictions(run) == before
    assert calibration([before])[0].scored == 1


def test_a_run_that_is_changed_before_its_end_closes_its_predictions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--checkpoint.every=4", "--checkpoint.keep=9", "--predict.final_loss=[1,5]")
    assert fit(*tiny_args(tmp_path, *more, steps=8)) == 0
    run = open_run("tiny", tmp_path / "runs")
    content = json.loads(run.predictions_path.read_text())  # as if it had been stopped at step 4
    content["closed"], content["predictions"] = None, [row | {"outcome": None} for row in content["predictions"]]
    run.predictions_path.write_text(json.dumps(content))
    run.checkpoints()[-1].path.unlink()
    capsys.readouterr()
    go_on(run, "--validation.every=2", "--horizon.steps=10")
    found = read_predictions(run)
    assert found is not None
    assert found.closed == {"step": 4, "why": "the run was changed, horizon.steps: 8 → 10"}
    assert not found.scored
    assert "predictions: closed at step 4 and not scored" in said(capsys)
    assert not calibration([found])


def test_how_closely_a_run_is_watched_closes_no_prediction(tmp_path: Path) -> None:
    more = ("--checkpoint.every=4", "--checkpoint.keep=9", "--predict.final_loss=[1,5]")
    assert fit(*tiny_args(tmp_path, *more, steps=8)) == 0
    run = open_run("tiny", tmp_path / "runs")
    content = json.loads(run.predictions_path.read_text())
    content["closed"], content["predictions"] = None, [row | {"outcome": None} for row in content["predictions"]]
    run.predictions_path.write_text(json.dumps(content))
    run.checkpoints()[-1].path.unlink()
    go_on(run, "--validation.every=2")
    found = read_predictions(run)
    assert found is not None
    assert found.closed == {"step": 8, "why": "scored"}


# ---------------------------------------------------------------- who reads the record


def test_every_reader_asks_the_record(run: Run) -> None:
    go_on(run, "--data.batch_size=8", "--horizon.steps=16")
    facts = Facts.of(run)
    assert facts.tokens_per_parameter == (512 + 8 * 128) / (facts.parameters or 0)
    assert facts.epochs(8) == pytest.approx(32 / (run.data() or {})["sequences_per_epoch"])
    assert main(["report", "tiny", "--root", str(run.path.parent)]) == 0
    text = run.report_path.read_text()
    assert "1,536 tokens in 16 steps, the last ones of 128" in text
    told = run_facts(run)["seams"]
    assert told == [{"step": 8, "tokens": 512, "changed": "data.batch_size: 4 → 8, horizon.steps: 8 → 16"}]
    finished = finished_runs([run], corpus=text_of_run(run), tokenizer=vocabulary(run), validation=256, settings={})
    assert finished.left_out["tiny"].startswith("it was changed at step 8")


def test_a_comparison_tells_a_changed_run_from_one_of_its_settings(run: Run) -> None:
    shutil.copytree(run.path, run.path.parent / "whole")
    whole = open_run("whole", run.path.parent)
    go_on(run, "--data.batch_size=8", "--horizon.steps=16")
    again = read([run, whole])
    told = compare(again, "val/loss", "tokens", None)
    assert len(told["groups"]) == 2
    assert told["settings"]["changed at step 8"] == {"A": "data.batch_size: 4 → 8, horizon.steps: 8 → 16"}


def text_of_run(run: Run) -> str:
    return str((run.data() or {})["corpus"]["fingerprint"])


def vocabulary(run: Run) -> str:
    return str((run.data() or {})["tokenizer"]["fingerprint"])


@pytest.mark.parametrize("damage", [None, b"", b"\0" * 200, b'{"format": 1, "seams": [{"st'])
@pytest.mark.parametrize("kind", ["resume", "fork"])
def test_a_record_that_is_lost_is_that_of_the_newest_checkpoint(run: Run, kind: str, damage: bytes | None) -> None:
    went_on = go_on(run, "--data.batch_size=8", "--horizon.steps=12", kind=kind)
    held, texts, path = seams_of(went_on), [read_of(went_on, n) for n in (3, 10)], went_on.seams_path
    path.unlink() if damage is None else path.write_bytes(damage)
    assert seams_of(went_on).all == held.all
    assert [read_of(went_on, n) for n in (3, 10)] == texts
    again = go_on(went_on, "--data.batch_size=2", "--horizon.steps=16")
    assert seams_of(again).all[:-1] == held.all
    assert tokens_of(again)[16] == 8 * 64 + 4 * 128 + 4 * 32


# ---------------------------------------------------------------- the text changed under the run


def reverse_words(file: Path) -> None:
    """Another text of the same characters and size."""
    file.write_text(re.sub(r"\w+", lambda word: word[0][::-1], file.read_text()))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of 2 steps on a relative `corpus.txt` of the working folder."""
    monkeypatch.chdir(tmp_path)
    args = tiny_args(tmp_path, steps=2)
    args[args.index("--data.path") + 1] = "corpus.txt"
    assert fit(*args) == 0
    return open_run("tiny", tmp_path / "runs")


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--data.val_tokens", "300"),
        ("--data.batch_size", "8", "--data.tokens_per_step", "128"),
        ("--data.tokenizer", "runs/tiny/tokenizer.json"),
        ("--data.path", "./corpus.txt"),
        ("--data.path", "{}/corpus.txt"),
        ("--data.seed", "5"),
        ("--data.val_fraction", "0.2"),
        ("--data.corpus_options", "{max_bytes: 9000}"),
        ("--data.cache_dir", "other"),
    ],
)
def test_a_changed_file_is_refused_whatever_else_changes(
    own: Run, flags: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reverse_words(tmp_path / "corpus.txt")
    before = {path: path.read_bytes() for path in own.path.rglob("*") if path.is_file() and path.name != ".lock"}
    given = [flag.replace("{}", str(tmp_path)) for flag in flags]
    assert fit("--resume", "tiny", "--horizon.steps", "4", *given) == 2
    assert "is no longer what run 'tiny' began with" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_another_file_of_ones_own_is_another_text(own: Run, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text((tmp_path / "corpus.txt").read_text())
    reverse_words(tmp_path / "other.txt")
    assert fit("--resume", "tiny", "--horizon.steps", "4", "--data.path", "other.txt") == 0
    assert seams_of(own).last.changed["data.path"] == {"from": "corpus.txt", "to": "other.txt"}
    assert len({seam.text for seam in seams_of(own).all}) == 2


def test_a_run_goes_on_from_another_folder(
    own: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    here = "../runs/tiny"
    assert main(["validate", here]) == 0
    assert main(["batch", here, "0"]) == 0
    assert fit("--resume", here, "--horizon.steps", "4") == 0
    assert [*seams_of(own).last.changed] == ["horizon.steps"]
    assert not [*Path().iterdir()]
    monkeypatch.chdir(tmp_path)
    assert load_data(own, 0).step_batch(0)[0].shape == load_data(own, 3).step_batch(3)[0].shape
    capsys.readouterr()


def test_a_project_that_was_moved_as_a_whole_is_found(
    own: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("runs", "corpus.txt"):
        (tmp_path / name).rename(moved / name)
    monkeypatch.chdir(moved)
    assert fit("--resume", "tiny", "--horizon.steps", "4", "--run.root", "runs") == 0
    assert main(["batch", "tiny", "0"]) == 0
