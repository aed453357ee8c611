"""`compare` as a person meets it: seeds, pairs, one seed each, wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.__main__ import main as lab
from lab.commands.compare import main
from lab.files import write_json
from lab.runs import MetricsWriter, Run, create_run
from tests.report.runs import DATA, make_run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two learning rates under three seeds each, and another run."""
    root = tmp_path_factory.mktemp("runs")
    for seed in (1, 2, 3):
        make_run(root, f"low-{seed}", steps=60, seed=seed, lr=1e-3)
        make_run(root, f"high-{seed}", steps=60, seed=seed, lr=4e-3)
    make_run(root, "long", steps=120, seed=9, lr=2e-3)
    return root


def ask(root: Path, capsys: pytest.CaptureFixture[str], *args: str) -> dict:
    assert main([*args, "--root", str(root), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_two_configurations_under_three_seeds(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{kind}-{seed}" for kind in ("low", "high") for seed in (1, 2, 3)]
    found = ask(root, capsys, *names)
    assert [list(group["runs"]) for group in found["groups"]] == [names[:3], names[3:]]
    assert found["settings"] == {"model.optimizer.lr": {"A": 1e-3, "B": 4e-3}}
    assert (found["metric"], found["axis"], found["at"]) == ("val/loss", "tokens", 60 * 64)
    difference = found["differences"][0]
    assert (difference["kind"], difference["real"]) == ("pairs", True)
    assert difference["estimate"]["mean"] == pytest.approx(0.06)
    same = found["same_batches"][0]
    assert (same["first"], same["second"]) == ("low-1", "high-1")
    assert same["mean"] == pytest.approx(0.06)


def test_one_seed_each_borrows_the_spread_of_others(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(root, capsys, "low-1", "long")
    difference = found["differences"][0]
    assert (difference["kind"], difference["real"], difference["elsewhere"]) == ("one seed each", None, True)
    assert "With the spread that seeds of other runs show" in difference["sentence"]
    assert any(note.startswith("To 7,680 tokens goes long") for note in found["notes"])


def test_one_configuration(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(root, capsys, "low-1", "low-2", "low-3")
    assert (len(found["groups"]), found["differences"]) == (1, [])
    assert found["groups"][0]["spread"] > 0


def test_the_terminal(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab(["compare", "low-1", "high-1", "high-2", "--root", str(root), "--axis", "step"]) == 0
    said = capsys.readouterr().out
    for words in ("val/loss at step 60", "model.optimizer.lr", "Is the difference real?", "On the same batches, steps"):
        assert words in said


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ([], "name two runs or more"),
        (["low-1"], "name two runs or more"),
        (["low-1", "low-1"], "was given twice"),
        (["low-1", "lwo-2"], "did you mean 'low-2'"),
        (["low-1", "low-2", "--axis", "tokenz"], "choose one of step, tokens, time"),
        (["low-1", "low-2", "--metric", "val/los"], "did you mean 'val/loss'"),
        (["low-1", "low-2", "--metrik", "x"], "did you mean --metric"),
    ],
)
def test_wrong_input_is_one_line(root: Path, capsys: pytest.CaptureFixture[str], args: list[str], error: str) -> None:
    assert main([*args, "--root", str(root)]) == 2
    said = capsys.readouterr()
    assert error in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)


def test_runs_with_little_in_them(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty, nan = create_run(tmp_path, "empty"), create_run(tmp_path, "nan")
    nan.config_path.write_text("a: [")
    with MetricsWriter(nan) as metrics:
        metrics.write(0, 0, 0.0, {"val/loss": float("nan")})
    assert empty.path.is_dir()
    found = ask(tmp_path, capsys, "empty", "nan")
    assert found["differences"][0]["kind"] == "nothing to compare"
    notes = " ".join(found["notes"])
    assert "nan: " in notes
    assert "config.yaml is damaged" in notes
    assert "empty: no metrics yet" in notes
    assert main(["empty", "nan", "--root", str(tmp_path)]) == 0
    assert "no val/loss that could be compared" in capsys.readouterr().out
    both = ask(root, capsys, "low-1", str(tmp_path / "nan"))
    assert both["differences"][0]["sentence"].startswith("B: no val/loss")


def test_other_texts_and_vocabularies_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [make_run(tmp_path, name, steps=40) for name in ("a", "b")]
    write_json(runs[1].data_path, DATA | {"tokenizer": {"name": "char", "fingerprint": "other"}})
    found = ask(tmp_path, capsys, "a", "b")
    assert found["metric"] == "val/bits_per_byte"
    assert "losses per token do not compare" in " ".join(
        ask(tmp_path, capsys, "a", "b", "--metric", "val/loss")["notes"]
    )
    write_json(runs[1].data_path, DATA | {"corpus": {"name": "another"}})
    assert "no loss compares" in " ".join(ask(tmp_path, capsys, "a", "b")["notes"])
    write_json(runs[1].data_path, DATA | {"val_slice": {"text": "Twice"}})
    assert "The held-out texts differ" in " ".join(ask(tmp_path, capsys, "a", "b")["notes"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.sampled_from(("config.yaml", "data.json", "metrics.jsonl", "run.json")), cut=st.floats(0, 1))
def test_torn_anywhere(root: Path, capsys: pytest.CaptureFixture[str], file: str, cut: float) -> None:
    path = Run(root / "high-3").path / file
    before = path.read_bytes()
    try:
        path.write_bytes(before[: int(cut * len(before))])
        assert ask(root, capsys, "low-1", "high-3")["groups"]
    finally:
        path.write_bytes(before)
