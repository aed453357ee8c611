from __future__ import annotations

import gzip
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lab.data import tokenizers
from lab.data.filecorpus import FileCorpus
from lab.data.tokenizers import from_json, load_tokenizer, make_tokenizer, sample


def test_char_has_the_characters_of_the_training_text(make_corpus: Callable[..., Any], tmp_path: Path) -> None:
    one_stream = make_corpus(["hello", "world"], ["low"], has_documents=False)
    tokenizer = make_tokenizer("char", one_stream, cache_dir=tmp_path)
    assert tokenizer.vocab_size == len(set("helloworld"))
    assert tokenizer.eot_id is None
    assert make_tokenizer("char", make_corpus(["hello"], ["low"]), cache_dir=tmp_path).eot_id is not None


def test_char_reads_what_only_validation_has_as_unknown(make_corpus: Callable[..., Any], tmp_path: Path) -> None:
    tokenizer = make_tokenizer("char", make_corpus(["abc"], ["abcz!"], has_documents=False), cache_dir=tmp_path)
    assert tokenizer.vocab_size == 4
    assert tokenizer.decode(tokenizer.encode("abz!")) == "ab\ufffd\ufffd"


def test_a_learned_tokenizer_is_learned_once(make_corpus: Callable[..., Any], corpus: Any, tmp_path: Path) -> None:
    first = make_tokenizer("bpe", corpus, 300, cache_dir=tmp_path)

    class Unreadable(type(corpus)):  # type: ignore[misc]
        def documents(self, split: str) -> Any:
            raise AssertionError("read again")

    again = make_tokenizer("bpe", Unreadable(corpus.train, corpus.val), 300, cache_dir=tmp_path)
    assert again.fingerprint == first.fingerprint
    other = make_corpus(["other text, other text, other pairs"] * 20, ["text"])
    assert make_tokenizer("bpe", other, cache_dir=tmp_path).fingerprint != first.fingerprint


def test_a_torn_cache_is_made_again(corpus: Any, tmp_path: Path) -> None:
    first = make_tokenizer("bpe", corpus, 300, cache_dir=tmp_path)
    (kept,) = (tmp_path / "tokenizers").glob("*.json")
    kept.write_bytes(kept.read_bytes()[:1000])
    assert make_tokenizer("bpe", corpus, 300, cache_dir=tmp_path).fingerprint == first.fingerprint
    assert load_tokenizer(kept).fingerprint == first.fingerprint


@pytest.mark.parametrize(
    ("kind", "vocab_size", "said"),
    [
        ("bpe", 100, "too small for 'bpe'"),
        ("bpe", 100_000, "too large for the corpus: only"),
        ("char", 3, "too small for the corpus: its characters make"),
        ("char", 3000, "too large for the corpus: its characters make"),
        ("bytes", 300, "does not fit 'bytes', which has 257"),
        ("wordpiece", None, "choose one of char, bpe, bytes, gpt2"),
        ("missing.json", None, "no tokenizer at missing.json"),
    ],
)
def test_what_cannot_be_is_said(corpus: Any, tmp_path: Path, kind: str, vocab_size: int | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make_tokenizer(kind, corpus, vocab_size, cache_dir=tmp_path)


def test_a_size_that_only_repeats_is_no_mistake(corpus: Any, tmp_path: Path) -> None:
    assert make_tokenizer("bytes", corpus, 257, cache_dir=tmp_path).vocab_size == 257
    size = make_tokenizer("char", corpus, cache_dir=tmp_path).vocab_size
    assert make_tokenizer("char", corpus, size, cache_dir=tmp_path).vocab_size == size


def test_a_file_serves_as_kind(corpus: Any, tmp_path: Path) -> None:
    made = make_tokenizer("bpe", corpus, 300, cache_dir=tmp_path)
    (tmp_path / "tokenizer.json").write_text(made.to_json())
    assert make_tokenizer(str(tmp_path / "tokenizer.json")).fingerprint == made.fingerprint
    assert load_tokenizer(tmp_path).fingerprint == made.fingerprint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not JSON"),
        ("[1]", "no table of tokens"),
        ('{"model": {"vocab": {}}, "version": "1.0"}', "`tokenizers` cannot read it"),
        ('{"format": 99, "tokens": []}', "format is 99"),
        ('{"format": 1, "kind": "bpe", "tokens": ["YQ=="]}', "do not fit together"),
        ('{"format": 1, "kind": "x", "tokens": ["?"]}', "do not fit together"),
        ('{"format": 1, "kind": "bpe", "tokens": [7], "name": "", "eot_id": 0}', "do not fit together"),
    ],
)
def test_foreign_files_are_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match=said):
        load_tokenizer(tmp_path)


def test_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="no tokenizer that opens here"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_json_of_hugging_face(tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Library
    from tokenizers import models, pre_tokenizers, trainers

    theirs = Library(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<pad>", "</s>"], initial_alphabet=alphabet)
    theirs.train_from_iterator(["the first of the first " * 9], trainer)
    theirs.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    ours = make_tokenizer(str(tmp_path / "tokenizer.json"))
    assert ours.encode("the first, né").tolist() == theirs.encode("the first, né").ids
    assert (ours.name, ours.eot_id, ours.vocab_size) == (tmp_path.name, 1, theirs.get_vocab_size())
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}}')
    with pytest.raises(ValueError, match="its model is 'WordPiece': only byte-level BPE is read"):
        load_tokenizer(tmp_path)


def test_stored_form_is_plain_json(corpus: Any, tmp_path: Path) -> None:
    stored = json.loads(make_tokenizer("char", corpus, cache_dir=tmp_path).to_json())
    assert stored["vocab_size"] == len(stored["tokens"])
    assert from_json(json.dumps(stored)).vocab_size == stored["vocab_size"]


def test_the_sample_is_spread_over_the_text_and_bounded(make_corpus: Callable[..., Any]) -> None:
    texts = [f"{i:04d} " * 20 for i in range(1000)]
    taken = list(sample(make_corpus(texts, ["x"]), 10_000))
    assert 8_000 < sum(map(len, taken)) <= 10_000
    numbers = [int(text[:4]) for text in taken]
    assert max(numbers) > 900
    assert max(b - a for a, b in pairwise(numbers)) < 30
    assert "".join(sample(make_corpus(["a" * 50, "b" * 50], ["x"]), 10**9)) == "a" * 50 + "b" * 50


def test_a_sample_of_a_text_that_alternates_has_both_kinds(make_corpus: Callable[..., Any]) -> None:
    for kinds in (2, 3, 10):
        texts = [chr(97 + i % kinds) * 100 for i in range(6000)]
        taken = "".join(sample(make_corpus(texts, ["x"]), 600_000 // kinds))
        for letter in map(chr, range(97, 97 + kinds)):
            assert taken.count(letter) == pytest.approx(len(taken) / kinds, rel=0.35)
        assert taken == "".join(sample(make_corpus(texts, ["x"]), 600_000 // kinds))


def packed(name: str, texts: list[str], folder: Path) -> Path:
    """A file of its ending with these texts."""
    raw = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    if ".txt" in name:
        raw = "\n<|endoftext|>\n".join(texts).encode()
    if name.endswith(".parquet"):
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table({"text": texts}), folder / name)
    else:
        (folder / name).write_bytes(gzip.compress(raw, 1) if name.endswith(".gz") else raw)
    return folder / name


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.jsonl", "a.jsonl.gz", "a.parquet"])
@pytest.mark.parametrize("one", [False, True], ids=["documents", "one document"])
def test_a_vocabulary_is_learned_from_all_of_a_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, one: bool
) -> None:
    """Latin first, Cyrillic after: half of the sample is of either, whatever the kind of file."""
    monkeypatch.setattr("lab.data.tokenizers.TRAINING_BYTES", 200_000)
    monkeypatch.setattr("lab.data.tokenizers.SAMPLED_CHARACTERS", 2_000)
    draw = random.Random(0)
    latin = ["the", "cat", "sat", "on", "a", "mat", "and", "ran"]
    cyrillic = ["кот", "сидел", "на", "ковре", "и", "бежал"]
    texts = [" ".join(draw.choice(w) for _ in range(200)) + "\n" for w in [latin] * 1000 + [cyrillic] * 500]
    made = FileCorpus("text", [packed(name, ["".join(texts)] if one else texts, tmp_path)])
    tokenizer = make_tokenizer("bpe", made, 300, tmp_path)
    learned = "".join((token or b"").decode(errors="ignore") for token in tokenizer.tokens[256:-1])
    assert sum("а" <= c <= "я" for c in learned) > 8
    assert sum("a" <= c <= "z" for c in learned) > 8
    said = capsys.readouterr().err
    assert re.search(r"learned from \d+ kB drawn from all over it, \d+% of the training text; letters: ", said)
    shares = {script: int(share) for share, script in re.findall(r"(\d+)% (Latin|Cyrillic)", said)}
    assert shares["Latin"] + shares["Cyrillic"] in (99, 100)
    assert 50 < shares["Latin"] < 75


def test_a_vocabulary_is_read_without_torch_or_lightning() -> None:
    code = (
        "import sys; from lab.data.tokenizers import load_tokenizer; from lab.data import make_tokenizer;"
        " make_tokenizer('bytes').decode([104]);"
        " print([m for m in ('torch', 'lightning', 'tokenizers', 'tiktoken') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_kinds_are_complete() -> None:
    expected = {"char", "bytes", "bpe", "gpt2", "r50k_base", "p50k_base", "cl100k_base", "o200k_base"}
    assert set(tokenizers.KINDS) == expected
