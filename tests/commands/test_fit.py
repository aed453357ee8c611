"""`fit` in a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lab.commands.batch import main as batch
from lab.commands.validate import main as validate
from lab.runs import open_run
from tests.fitting.test_lifecycle import finished, fit  # noqa: F401
from tests.patience import PATIENCE
from tests.tiny import tiny_args


def test_the_last_words_tell_what_it_is_worth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(*tiny_args(tmp_path)) == 0
    out = capsys.readouterr().out
    for word in (
        "this model",
        "uniform",
        "unigram",
        "bigram",
        "xz alone",
        "xz trained",
        "bits/byte",
        "perplexity",
        "a sample",
        "lab generate",
        "lab runs show",
        "tensorboard",
    ):
        assert word in out, word


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_run_outlives_whoever_reads_its_lines(tmp_path: Path, unbuffered: str) -> None:
    command = [sys.executable, "-m", "lab", "fit", *tiny_args(tmp_path), "--run.name", "read"]
    reader, writer = os.pipe()
    process = subprocess.Popen(
        command, stdout=writer, stderr=writer, env=os.environ | {"PYTHONUNBUFFERED": unbuffered}, cwd=tmp_path
    )
    os.close(writer)
    assert os.read(reader, 1)
    os.close(reader)  # as `| head -1` does: whatever is printed now raises EPIPE
    assert process.wait(PATIENCE) == 0
    assert open_run("read", tmp_path / "runs").status().state == "completed"


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


def test_token_files_are_trained_on_validated_forked_and_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [i for n in range(400) for i in (256, *f"document {n} of a few words".encode())]
    for name, part in (("x_val_000000.bin", ids[:3000]), ("x_train_000001.bin", ids[3000:])):
        header = np.zeros(256, dtype=np.int32)
        header[:3] = 20240520, 1, len(part)
        (tmp_path / name).write_bytes(header.tobytes() + np.array(part, dtype=np.uint16).tobytes())
    tokens = ("--data.corpus=tokens", f"--data.path={tmp_path}/x_*.bin", "--data.tokenizer=bytes")
    assert fit(*tiny_args(tmp_path), *tokens) == 0
    assert "the published validation split" in " ".join(capsys.readouterr().out.split())
    run = tmp_path / "runs" / "tiny"
    assert validate([str(run)]) == 0
    assert batch([str(run), "3"]) == 0
    assert "document" in capsys.readouterr().out
    assert fit("--resume", str(run), "--horizon.steps=14") == 0
    assert fit("--fork", f"{run}@14", "--run.name=forked", f"--run.root={tmp_path}/runs", "--horizon.steps=18") == 0
    (tmp_path / "x_val_000000.bin").unlink()
    capsys.readouterr()
    assert fit("--resume", str(run), "--horizon.steps=16") == 2
    assert "its fingerprint differs" in capsys.readouterr().err
