"""`fit` in a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fitting.test_lifecycle import finished, fit  # noqa: F401
from tests.tiny import tiny_args


def test_the_last_words_tell_what_it_is_worth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(*tiny_args(tmp_path)) == 0
    out = capsys.readouterr().out
    for word in (
        "this model",
        "uniform",
        "unigram",
        "bigram",
        "xz",
        "bits/byte",
        "perplexity",
        "a sample",
        "lab generate",
        "lab runs show",
        "tensorboard",
    ):
        assert word in out, word


def test_check_trains_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(*tiny_args(tmp_path), "--check") == 0
    assert not (tmp_path / "runs").exists()


def test_a_folder_s_published_split_and_what_is_left_out_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "hub"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("the card of the dataset\n" * 50)
    (folder / "picture.png").write_bytes(b"\x89PNG")
    for split in ("train", "validation", "test"):
        lines = [json.dumps({"text": f"{split} of train validation test {i} " * 20}) for i in range(40)]
        (folder / "data" / f"{split}-00000-of-00001.jsonl").write_text("\n".join(lines))
    assert fit(*tiny_args(tmp_path), f"--data.path={folder}") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "the published validation split" in out
    assert "1 with the ending .png (picture.png); 1 the dataset card (README.md); 1 of the test split" in out
    data = json.loads((tmp_path / "runs" / "tiny" / "data.json").read_text())
    assert data["val_slice"]["text"].startswith("validation of train validation test 0 ")
    assert [fact["count"] for fact in data["corpus"]["left_out"]] == [1, 1, 1]
