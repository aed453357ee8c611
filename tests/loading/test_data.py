from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lab.data.dataset import LabData
from lab.files import write_json
from lab.loading import load_data
from lab.runs import Run, create_run


def begun(root: Path, **settings: Any) -> tuple[Run, LabData]:
    """A run directory as it is before the first step, and the data that its training reads."""
    data = LabData(**settings | {"context_length": 16})
    run = create_run(root, "one")
    run.config_path.write_text(yaml.safe_dump({"data": settings}))
    write_json(run.data_path, data.facts())
    run.tokenizer_path.write_text(data.tokenizer.to_json())
    return run, data


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text("".join(f"line {i} of a book about {i * i} foxes\n" for i in range(600)))
    return path


@pytest.mark.parametrize("corpus", ["text", "copy"])
def test_batches_come_back_whatever_decided_the_context_length(tmp_path: Path, text: Path, corpus: str) -> None:
    path = {"path": str(text), "tokenizer": "char"} if corpus == "text" else {}
    run, data = begun(tmp_path / "runs", corpus=corpus, batch_size=2, **path)
    again = load_data(run)
    for step in (0, 7):
        assert torch.equal(again.step_batch(step)[0], data.step_batch(step)[0])


def test_a_corpus_that_changed_is_refused(tmp_path: Path, text: Path) -> None:
    run, _ = begun(tmp_path / "runs", corpus="text", path=str(text), tokenizer="char", batch_size=2)
    text.write_text(text.read_text().replace("line 3 ", "line x "))
    with pytest.raises(ValueError, match="is no longer the one that 'one' learned from"):
        load_data(run)


def test_a_corpus_is_only_downloaded_where_that_is_allowed(tmp_path: Path, text: Path) -> None:
    run, _ = begun(tmp_path / "runs", corpus="text", path=str(text), tokenizer="char", batch_size=2)
    settings = {"corpus": "shakespeare", "tokenizer": "char", "batch_size": 2, "data_dir": str(tmp_path / "none")}
    run.config_path.write_text(yaml.safe_dump({"data": settings}))
    with pytest.raises(ValueError, match="'shakespeare' of 'one' is not on this machine any more"):
        load_data(run, download=False)


def test_a_run_without_records_of_its_data_is_refused(tmp_path: Path, text: Path) -> None:
    run, _ = begun(tmp_path / "runs", corpus="text", path=str(text), tokenizer="char", batch_size=2)
    run.config_path.write_text("data: {corpus: text, colour: blue}")
    with pytest.raises(ValueError, match="colour"):
        load_data(run)
    run.data_path.unlink()
    with pytest.raises(ValueError, match=r"has no data\.json"):
        load_data(run)
