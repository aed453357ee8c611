"""`batch` against the data module that training reads from, on text and on made sequences."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.commands.batch import main
from lab.data.datamodule import LabDataModule
from lab.files import write_json
from lab.runs import Run, create_run
from tests.patience import PATIENCE

DOCUMENTS = [f"Document {i}: " + " ".join(f"né→🙂 {i * j}" for j in range(30)) for i in range(40)]


def begin(root: Path, name: str, **settings: Any) -> tuple[Run, LabDataModule]:
    """A run directory as `fit` leaves it before the first step, and the data that it would train on."""
    import yaml

    context = settings.get("context_length") or 24  # as the model would decide
    data = LabDataModule(**settings | {"context_length": context})
    run = create_run(root, name)
    run.config_path.write_text(yaml.safe_dump({"data": settings, "model": {"config": {"context_length": 24}}}))
    write_json(run.data_path, data.facts())
    run.tokenizer_path.write_text(data.tokenizer.to_json())
    return run, data


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "text.jsonl"
    path.write_text("".join(json.dumps({"text": document}) + "\n" for document in DOCUMENTS))
    return path


def told(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    assert main([*args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


SETTINGS: dict[str, dict[str, Any]] = {
    "text": {"corpus": "text", "tokenizer": "bpe", "vocab_size": 400, "context_length": 16, "batch_size": 3},
    "accumulated": {"corpus": "text", "tokenizer": "bytes", "batch_size": 2, "tokens_per_step": 6 * 24},
    "induction": {"corpus": "induction", "context_length": 48, "batch_size": 4},
}


@pytest.mark.filterwarnings("ignore:.*most ids will hardly be seen.*")
@pytest.mark.parametrize("name", SETTINGS)
def test_what_training_sees_is_what_is_shown(text: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = SETTINGS[name]
    if settings["corpus"] == "text":
        settings = settings | {"path": str(text)}
    run, data = begin(Path("runs"), "one", **settings)
    capsys.readouterr()
    for step in (0, 1, 7, 1000):
        found = told(capsys, "one", str(step))
        tokens, targets = data.step_batch(step)
        sequences = found["sequences"]
        assert [s["tokens"] for s in sequences] == tokens.flatten(0, 1).tolist()
        assert [s["targets"] for s in sequences] == targets.flatten(0, 1).tolist()
        assert [s["text"] for s in sequences] == data.batch_text(step)
        assert [s["micro_batch"] for s in sequences] == [m for m in range(tokens.shape[0]) for _ in tokens[m]]
        assert found["epochs"] == data.epochs_seen(step)
    assert (found["run"], found["step"]) == (run.name, 1000)


def test_the_page_shows_borders_of_sequences_and_ends_of_documents(
    text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"corpus": "text", "path": str(text), "tokenizer": "bytes", "batch_size": 2}
    _, data = begin(Path("runs"), "one", **settings, context_length=600, tokens_per_step=2400)
    capsys.readouterr()
    assert main(["one", "0"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("one · batch 0: 4 sequences of 600 tokens, in epoch 1\n")
    assert "sequence 4 of 4, micro-batch 2 of 2" in out
    body = out.split("\n", 3)[3]
    assert "<|endoftext|>\nDocument" in body
    for sequence in data.batch_text(0):
        assert sequence.replace("<|endoftext|>", "<|endoftext|>\n") in out


def test_what_is_not_predicted_is_dim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.commands.batch import UNSCORED_STYLE, as_text

    monkeypatch.chdir(tmp_path)
    _, data = begin(Path("runs"), "one", corpus="induction", context_length=48, batch_size=1)
    tokens, targets = (part[0, 0].tolist() for part in data.step_batch(0))
    text = as_text(data, tokens, targets)
    dim = {i for span in text.spans if span.style == UNSCORED_STYLE for i in range(span.start, span.end)}
    assert dim == {j + 1 for j, target in enumerate(targets) if target < 0 and j + 1 < len(text.plain)}
    assert dim


def test_a_corpus_that_changed_is_not_shown_as_if_it_had_not(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin(Path("runs"), "one", corpus="text", path=str(text), tokenizer="bytes", context_length=16, batch_size=2)
    text.write_text(text.read_text().replace("Document 3:", "Document x:"))
    capsys.readouterr()
    assert main(["one", "0"]) == 2
    assert "no longer the one that 'one' learned from" in capsys.readouterr().err


def test_beyond_the_end_of_the_run_is_said(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = begin(
        Path("runs"), "one", corpus="text", path=str(text), tokenizer="bytes", context_length=16, batch_size=2
    )
    run.status_path.write_text(json.dumps({"format": 1, "state": "completed", "step": 5, "total_steps": 5}))
    capsys.readouterr()
    assert main(["one", "5", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "never learns from batch 5" in err
    assert len(json.loads(out)["sequences"]) == 2


def test_mistakes_are_one_line(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = begin(
        Path("runs"), "one", corpus="text", path=str(text), tokenizer="bytes", context_length=16, batch_size=2
    )
    capsys.readouterr()

    def mistake(*args: str) -> str:
        assert main(list(args)) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err

    assert "the first batch is 0" in mistake("one", "-1")
    assert "invalid int value: 'first'" in mistake("one", "first")
    assert "N" in mistake("one")
    assert "did you mean --json?" in mistake("one", "0", "--jsn")
    text.rename(text.with_suffix(".gone"))
    assert "text.jsonl" in mistake("one", "0")
    run.config_path.write_text("data: {corpus: text, colour: blue}")
    assert "colour" in mistake("one", "0")
    run.config_path.write_text("model: {}")
    assert "'data'" in mistake("one", "0")
    run.data_path.unlink()
    assert "has no data.json" in mistake("one", "0")


def test_lightning_is_not_imported() -> None:
    code = "import lab.commands.batch, lab.commands.generate, lab.data.dataset, lab.loading, sys\n"
    code += "sys.exit('lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], timeout=PATIENCE).returncode == 0
