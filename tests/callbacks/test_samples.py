"""Texts that a run writes: the same prompts at each look, and what of them was copied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.callbacks.samples import Samples
from lab.runs import open_run
from tests.callbacks.fits import LOOKS


def test_samples_are_repeatable_and_say_what_was_copied(watched: Path) -> None:
    samples = open_run(watched).samples()
    assert sorted({s["step"] for s in samples}) == LOOKS
    by_step = {step: [s for s in samples if s["step"] == step] for step in (0, 12)}
    assert [s["prompt"] for s in by_step[0]] == [s["prompt"] for s in by_step[12]]
    assert by_step[0][0]["prompt"] == ""
    text = (watched.parent.parent / "corpus.txt").read_text()
    for sample in samples:
        copied = sample["longest_copy"]
        assert copied["text"] in sample["text"]
        assert copied["text"] in text
        assert copied["tokens"] == len(copied["text"])  # characters here


def test_samples_reach_tensorboard_as_text(watched: Path, tensorboard: Any) -> None:
    tensors = tensorboard.Tensors("samples/text_summary")
    assert [tensor.step for tensor in tensors] == LOOKS
    text = tensors[-1].tensor_proto.string_val[0].decode()
    assert text.startswith("| prompt | text | longest copy |")
    assert len(text.splitlines()) == 2 + 2


def test_a_w_and_b_table_holds_the_samples(watched: Path, wandb_rows: list[dict[str, Any]]) -> None:
    last = next(row for row in reversed(wandb_rows) if "samples" in row)
    (folder,) = watched.glob("wandb/offline-run-*/files")
    table = json.loads((folder / last["samples"]["path"]).read_text())
    assert table["columns"] == ["step", "prompt", "text", "longest copy"]
    written = [s for s in open_run(watched).samples() if s["step"] == 12]
    assert [row[2] for row in table["data"]] == [sample["text"] for sample in written]


def test_settings_that_cannot_be_are_refused_all_at_once() -> None:
    with pytest.raises(ValueError, match=r"samples\.every is -1") as caught:
        Samples(every=-1, temperature=-2.0, tokens=0, prompts=[])
    assert [line.split(".")[1].split("=")[0].split(" ")[0] for line in str(caught.value).splitlines()] == [
        "every", "tokens", "temperature", "prompts",
    ]  # fmt: skip
