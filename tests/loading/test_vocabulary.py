"""The vocabulary of a folder: its own in either form, GPT-2's where it has none, and what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.data.vocabulary import ByteTokenizer
from lab.loading.vocabulary import read_vocabulary


def test_a_vocabulary_of_this_lab_s_form(tmp_path: Path) -> None:
    mine = ByteTokenizer()
    (tmp_path / "tokenizer.json").write_text(mine.to_json())
    assert read_vocabulary(tmp_path, 1000).encode("né").tolist() == mine.encode("né").tolist()
    with pytest.raises(ValueError, match=f"{mine.vocab_size} tokens, the model knows 10 ids"):
        read_vocabulary(tmp_path, 10)


def test_the_older_form_needs_both_its_files(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "ab": 2}))
    with pytest.raises(ValueError, match=r"no readable merges\.txt"):
        read_vocabulary(tmp_path, 3)
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    assert read_vocabulary(tmp_path, 3).encode("abab").tolist() == [2, 2]


def test_without_a_vocabulary_only_gpt2_s_number_of_ids_tells_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no vocabulary, and with 300 token ids it is not GPT-2's"):
        read_vocabulary(tmp_path, 300)
