"""A corpus of token ids: split, checked against its vocabulary, never copied."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.data.corpora import open_corpus
from lab.data.dataset import LabData
from lab.data.tokencorpus import JoinedIds, TokenCorpus
from lab.data.vocabulary import ByteTokenizer
from tests.data.test_idformats import llmc, megatron, raw

END = 256
TEXTS = [f"This is document {i}, and it says {'so ' * (i % 17)}.".encode() for i in range(300)]


def stream(texts: list[bytes], *, before: bool = False) -> list[int]:
    """Ids of the tokenizer `bytes`, one end-of-text id a document."""
    return [i for text in texts for i in ([END, *text] if before else [*text, END])]


def data(path: Path | str, cache: Path, **settings: object) -> LabData:
    return LabData(
        **{"corpus": "tokens", "path": str(path), "tokenizer": "bytes", "context_length": 16, "batch_size": 4}
        | {"cache_dir": str(cache)} | settings
    )  # fmt: skip


@given(st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=9), min_size=1, max_size=5), st.data())
def test_joined_ids_are_read_as_one_array(parts: list[list[int]], draw: st.DataObject) -> None:
    joined, whole = JoinedIds([np.array(p, dtype=np.uint16) for p in parts]), np.concatenate(parts)
    at = draw.draw(st.lists(st.integers(0, len(whole) - 1), max_size=9))
    cut = slice(draw.draw(st.integers(0, 20)), draw.draw(st.none() | st.integers(0, 40)))
    assert len(joined) == len(whole)
    assert joined[np.array(at, dtype=np.int64)].tolist() == [whole[i] for i in at]
    assert joined[cut].tolist() == whole[cut].tolist()


@pytest.mark.parametrize("layout", ["nanogpt", "llm.c", "modded", "olmo", "saved", "megatron"])
def test_every_layout_gives_its_text_in_two_splits(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "ids"
    folder.mkdir()
    train, val = TEXTS[:270], TEXTS[270:]
    if layout == "nanogpt":
        raw(folder / "train.bin", stream(train))
        raw(folder / "val.bin", stream(val))
    elif layout in ("llm.c", "modded"):
        llmc(folder / "fineweb_val_000000.bin", stream(val, before=True))
        shards = [train] if layout == "llm.c" else [train[:100], train[100:]]
        for i, texts in enumerate(shards):
            llmc(folder / f"fineweb_train_{i + 1:06}.bin", stream(texts, before=True))
    elif layout == "olmo":
        raw(folder / "part-0-00000.npy", stream(TEXTS[:99]))
        raw(folder / "part-1-00000.npy", stream(TEXTS[99:]), np.uint32)
    elif layout == "saved":
        np.save(folder / "ids.npy", np.array(stream(TEXTS)))
    else:
        megatron(folder / "c_text_document", [[*text, END] for text in TEXTS])
    found = data(folder, tmp_path / "cache")
    spans = found.token_files
    texts = {split: bytes(i for i in span.array()[:].tolist() if i != END) for split, span in spans.items()}
    assert texts["train"] + texts["val"] == b"".join(TEXTS)
    assert spans["train"].bytes + spans["val"].bytes == len(b"".join(TEXTS))
    assert spans["train"].documents + spans["val"].documents == len(TEXTS)
    assert 0.08 < spans["val"].tokens / (spans["train"].tokens + spans["val"].tokens) < 0.12
    assert texts["val"].startswith(b"This is document ")
    if layout in ("nanogpt", "llm.c", "modded"):
        assert texts["val"] == b"".join(val)
        assert found.corpus.describe()["published_split"] == "validation"
    assert json.loads(json.dumps(found.facts()))["splits"]["train"]["tokens"] == spans["train"].tokens
    assert found.batch_text(3) == data(folder, tmp_path / "cache").batch_text(3)


def test_an_id_outside_the_vocabulary_is_named(tmp_path: Path) -> None:
    ids = stream(TEXTS)
    ids[5000] = 300
    np.save(tmp_path / "a.npy", np.array(ids))
    with pytest.raises(ValueError, match=r"a\.npy holds the id 300, which is not in the vocabulary 'bytes' of 257 ids"):
        _ = data(tmp_path / "a.npy", tmp_path / "cache").token_files
    np.save(tmp_path / "a.npy", -np.array(stream(TEXTS)))
    with pytest.raises(ValueError, match="holds the id -84, which is not in the vocabulary"):
        _ = data(tmp_path / "a.npy", tmp_path / "cache").token_files


def test_the_vocabulary_is_named_or_implied(tmp_path: Path) -> None:
    corpus = open_corpus("tokens", str(raw(tmp_path / "train.bin", stream(TEXTS))))
    assert isinstance(corpus, TokenCorpus)
    with pytest.raises(ValueError, match=r"data\.tokenizer is 'bpe', which is learned from text: name the vocabulary"):
        corpus.vocabulary("bpe")
    assert corpus.vocabulary("gpt2") == "gpt2"
    headed = open_corpus("tokens", str(llmc(tmp_path / "a.bin", stream(TEXTS))))
    assert isinstance(headed, TokenCorpus)
    assert headed.vocabulary("bpe") == "gpt2"
    assert headed.vocabulary("bytes") == "bytes"


def test_nothing_is_copied_and_ids_are_looked_at_once(tmp_path: Path) -> None:
    raw(tmp_path / "train.bin", stream(TEXTS))
    corpus = TokenCorpus("tokens", [tmp_path / "train.bin"])
    first = corpus.spans(ByteTokenizer(), tmp_path / "cache")
    assert isinstance(first["train"].array(), np.memmap)
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert [path.name for path in kept] == ["spans.json"]
    again = corpus.spans(ByteTokenizer(), tmp_path / "cache")
    assert {s: again[s].checksum for s in again} == {s: first[s].checksum for s in first}


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.corpus is 'tokens', and data\.path is not set"):
        open_corpus("tokens")
    with pytest.raises(ValueError, match=r"corpus_options\.dtype is 'float'"):
        open_corpus("tokens", str(tmp_path), dtype="float")
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(
        ValueError, match=r"no token file in .*: looked for \.bin, \.npy, and it holds 1 with the ending \.txt"
    ):
        open_corpus("tokens", str(tmp_path))


def test_packed_token_files_and_an_index_alone_are_told(tmp_path: Path) -> None:
    raw(tmp_path / "a.bin", stream(TEXTS))
    (tmp_path / "b.bin.gz").write_bytes(b"x")
    (tmp_path / "c.idx").write_bytes(b"MMIDIDX\0\0")
    left_out = {one["reason"]: one["names"] for one in open_corpus("tokens", str(tmp_path)).describe()["left_out"]}
    assert left_out == {"with the ending .bin.gz": ["b.bin.gz"], "with the ending .idx": ["c.idx"]}
    with pytest.raises(ValueError, match=r"c\.idx is an index, and the ids are in c\.bin, which is not there"):
        open_corpus("tokens", str(tmp_path / "c.idx"))


def test_text_asked_of_token_files_is_refused_with_the_way(tmp_path: Path) -> None:
    file = llmc(tmp_path / "a.bin", stream(TEXTS))
    with pytest.raises(ValueError, match=r"a\.bin holds token ids, no text: set data\.corpus to tokens"):
        open_corpus("text", str(file))
    plain = open_corpus("text", str(raw(tmp_path / "r.bin", stream(TEXTS))))
    with pytest.raises(ValueError, match=r"r\.bin is binary: .*if it holds token ids, set data\.corpus to tokens"):
        plain.describe()


def test_a_pickled_table_is_never_opened_and_its_remedy_makes_a_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "to be or not to be, that is the question\n" * 50
    table = {c: i for i, c in enumerate(sorted(set(text)))}  # as nanoGPT's data/shakespeare_char/prepare.py does
    np.array([table[c] for c in text], dtype=np.uint16).tofile(tmp_path / "train.bin")
    (tmp_path / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": len(table), "stoi": table}))
    monkeypatch.setattr(pickle, "load", None)
    with pytest.raises(ValueError, match="is a pickle") as refused:
        LabData(corpus="tokens", path=str(tmp_path), context_length=8).prepare()
    remedy = str(refused.value).partition('python -c "')[2].partition('"')[0]
    subprocess.run([sys.executable, "-c", remedy], check=True)
    data = LabData(
        corpus="tokens", path=str(tmp_path / "train.bin"), tokenizer=str(tmp_path / "tokenizer.json"), context_length=8
    )
    assert text.startswith(data.tokenizer.decode(data.token_files["train"].array()[:40].tolist()))
    with pytest.raises(ValueError, match="is a pickle"):
        LabData(corpus="tokens", path=str(tmp_path), tokenizer=str(tmp_path / "meta.pkl"))
