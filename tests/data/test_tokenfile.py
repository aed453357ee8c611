from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab import files
from lab.data import cache
from lab.data.bpe import PUBLISHED, tiktoken_holds
from lab.data.corpus import Piece
from lab.data.filecorpus import FileCorpus
from lab.data.tokenfile import TokenFile, open_token_files, token_folder
from lab.data.tokenizers import Tokenizer, make_tokenizer
from lab.data.vocabulary import EOT, ByteTokenizer, CharTokenizer
from lab.files import TEMPORARY_PREFIX
from tests.patience import PATIENCE


def expected_ids(texts: list[str], tokenizer: Tokenizer, documents: bool) -> list[int]:
    """The plain way: one text after the other, an end-of-text id after each document."""
    ids: list[int] = []
    for text in texts:
        ids += tokenizer.encode(text).tolist()
        ids += [tokenizer.eot_id] if documents and tokenizer.eot_id is not None else []
    return ids


@pytest.mark.parametrize("kind", ["char", "bytes", "bpe"])
@pytest.mark.parametrize("documents", [True, False])
def test_files_hold_the_ids_of_every_text(corpus: Any, tmp_path: Path, kind: str, documents: bool) -> None:
    corpus.has_documents = documents
    tokenizer = make_tokenizer(kind, corpus, cache_dir=tmp_path)
    files = open_token_files(corpus, tokenizer, tmp_path)
    for split, texts in (("train", corpus.train), ("val", corpus.val)):
        file = files[split]
        assert file.array().tolist() == expected_ids(texts, tokenizer, documents)
        assert file.array().dtype == np.uint16
        assert file.bytes == sum(len(text.encode()) for text in texts)
        assert file.documents == len(texts)
        assert int(tokenizer.byte_lengths[file.array()].sum()) == file.bytes


@pytest.mark.parametrize("kind", ["char", "bytes", "bpe"])
def test_a_document_in_parts_has_one_end_and_counts_once(corpus: Any, tmp_path: Path, kind: str) -> None:
    tokenizer = make_tokenizer(kind, corpus, cache_dir=tmp_path)
    whole = open_token_files(corpus, tokenizer, tmp_path)["train"]

    class InParts(type(corpus)):  # type: ignore[misc]
        def pieces(self, split: str) -> Iterator[Piece]:
            for text, _ in super().pieces(split):
                lines = text.splitlines(keepends=True)
                yield from (Piece(line, i == 0) for i, line in enumerate(lines))

    parts = open_token_files(InParts(corpus.train, corpus.val), tokenizer, tmp_path / "parts")["train"]
    assert (parts.documents, parts.bytes) == (whole.documents, whole.bytes)
    assert int((parts.array() == tokenizer.eot_id).sum()) == len(corpus.train)
    assert parts.array()[-1] == tokenizer.eot_id
    assert tokenizer.decode(parts.array().tolist()) == tokenizer.decode(whole.array().tolist())


@pytest.mark.parametrize("kind", ["char", "bytes", "bpe", "gpt2", "cl100k_base", "tokenizer.json"])
@pytest.mark.parametrize("ending", ["py", "jsonl", "txt"])
def test_a_separator_in_a_text_is_never_the_id_that_ends_it(tmp_path: Path, kind: str, ending: str) -> None:
    if kind in PUBLISHED and not tiktoken_holds(kind):
        pytest.skip(f"{kind} is not on this machine")
    texts = [f'EOT = "{EOT}"\nif n == {i}:\n    print("{EOT}")\n' for i in range(40)]
    for i, text in enumerate(texts):
        (tmp_path / f"{i:02}.{ending}").write_text(json.dumps({"text": text}) if ending == "jsonl" else text)
    made = FileCorpus("text", sorted(tmp_path.glob(f"*.{ending}")))
    if kind == "tokenizer.json":
        kind = str(tmp_path / kind)
        (tmp_path / "tokenizer.json").write_text(make_tokenizer("bpe", made, 280, tmp_path).to_json())
    tokenizer = make_tokenizer(kind, made, cache_dir=tmp_path)
    files = open_token_files(made, tokenizer, tmp_path)
    assert {split: file.documents for split, file in files.items()} == {"train": 36, "val": 4}
    for split, file in files.items():
        ids = file.array()
        assert int((ids == tokenizer.eot_id).sum()) == file.documents
        parts = np.split(ids, np.flatnonzero(ids == tokenizer.eot_id) + 1)
        assert [tokenizer.decode(part[:-1].tolist()) for part in parts[:-1]] == list(made.documents(split))


def test_large_vocabularies_take_four_bytes(make_corpus: Callable[..., Any], tmp_path: Path) -> None:
    wide = CharTokenizer(map(chr, range(0x10000, 0x20001)))
    text = chr(0x10000) + chr(0x20000)
    file = open_token_files(make_corpus([text], [text]), wide, tmp_path)["train"]
    assert (file.dtype, file.array().tolist()) == ("uint32", [0, 0x10000])


def test_many_batches_give_the_same_file(corpus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = make_tokenizer("bpe", corpus, cache_dir=tmp_path)
    whole = open_token_files(corpus, tokenizer, tmp_path / "whole")["train"].array()
    monkeypatch.setattr("lab.data.tokenising.BATCH_CHARACTERS", 100)
    pieces = open_token_files(corpus, tokenizer, tmp_path / "pieces")["train"].array()
    assert np.array_equal(whole, pieces)


def test_made_once_and_keyed_by_text_and_vocabulary(corpus: Any, make_corpus: Any, tmp_path: Path) -> None:
    tokenizer = ByteTokenizer()
    made = open_token_files(corpus, tokenizer, tmp_path)["train"].path.stat().st_mtime_ns
    assert open_token_files(corpus, tokenizer, tmp_path)["train"].path.stat().st_mtime_ns == made
    changed = make_corpus([*corpus.train, "more"], corpus.val)
    other = CharTokenizer("abc")
    folders = {token_folder(c, t, tmp_path) for c in (corpus, changed) for t in (tokenizer, other)}
    assert len(folders) == 4


def damage_truncate(file: TokenFile) -> None:
    with open(file.path, "r+b") as raw:
        raw.truncate(file.tokens)


def damage_overwrite(file: TokenFile) -> None:
    with open(file.path, "r+b") as raw:
        raw.write(b"\xff\xff\xff\xff")


def damage_zero_tail(file: TokenFile) -> None:
    with open(file.path, "r+b") as raw:
        raw.seek(-64, os.SEEK_END)
        raw.write(bytes(64))


def damage_facts(file: TokenFile) -> None:
    file.path.with_suffix(".json").write_text('{"format": 1, "tokens": 3')


def foreign_facts(file: TokenFile) -> None:
    file.path.with_suffix(".json").write_text('{"format": 7, "hello": "world"}')


def no_facts(file: TokenFile) -> None:
    file.path.with_suffix(".json").unlink()


def no_ids(file: TokenFile) -> None:
    file.path.unlink()


@pytest.mark.parametrize(
    "damage",
    [damage_truncate, damage_overwrite, damage_zero_tail, damage_facts, foreign_facts, no_facts, no_ids],
)
def test_what_is_torn_or_foreign_is_made_again(corpus: Any, tmp_path: Path, damage: Any) -> None:
    before = open_token_files(corpus, ByteTokenizer(), tmp_path)["train"]
    ids = before.array().tolist()
    damage(before)
    assert open_token_files(corpus, ByteTokenizer(), tmp_path)["train"].array().tolist() == ids


SLOW_BUILD = """
import sys, time
sys.path.insert(0, {here!r})
from conftest import ListCorpus, sentence
from lab.data.tokenfile import open_token_files
from lab.data.vocabulary import ByteTokenizer
import lab.data.tokenising
lab.data.tokenising.BATCH_CHARACTERS = 1000

class Slow(ListCorpus):
    reads = 0

    def documents(self, split):
        Slow.reads += 1
        for n, text in enumerate(super().documents(split)):
            if n == 20 and {stops}:
                print("ready", flush=True)
                time.sleep(1e9)
            time.sleep({pause})
            yield text

texts = [sentence(60, i) for i in range(40)]
files = open_token_files(Slow(texts, texts[:5]), ByteTokenizer(), {cache!r})
print(files["train"].tokens, Slow.reads)
"""


def slow_build(folder: Path, pause: float = 0.0, *, stops: bool = False) -> subprocess.Popen[str]:
    """A build of token files in a process of its own; one that stops says so half-way, and waits there."""
    code = SLOW_BUILD.format(here=str(Path(__file__).parent), cache=str(folder), pause=pause, stops=stops)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_killed_in_the_middle_the_next_starts_over(tmp_path: Path) -> None:
    process = slow_build(tmp_path, stops=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(tmp_path.rglob(f"{TEMPORARY_PREFIX}*"))
    assert not list(tmp_path.rglob("*.bin"))
    finished = slow_build(tmp_path)
    out, _ = finished.communicate(timeout=PATIENCE)
    (train,) = tmp_path.rglob("train.bin")
    assert train.stat().st_size == 2 * int(out.split()[0])
    assert not list(tmp_path.rglob(f"{TEMPORARY_PREFIX}*"))


def test_builders_at_the_same_time_do_the_work_once(tmp_path: Path) -> None:
    builders = [slow_build(tmp_path, 0.01) for _ in range(3)]
    said = [builder.communicate(timeout=PATIENCE)[0].split() for builder in builders]
    assert all(builder.returncode == 0 for builder in builders)
    (tokens,) = {tokens for tokens, _ in said}
    assert sorted(reads == "0" for _, reads in said) == [False, True, True]
    (train,) = tmp_path.rglob("train.bin")
    assert train.stat().st_size == 2 * int(tokens)


def test_an_interrupt_leaves_nothing_under_the_final_name(corpus: Any, tmp_path: Path) -> None:
    class Interrupted(type(corpus)):  # type: ignore[misc]
        def documents(self, split: str) -> Iterator[str]:
            yield self.train[0]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_token_files(Interrupted(corpus.train, corpus.val), ByteTokenizer(), tmp_path)
    assert not [f for f in tmp_path.rglob("*") if f.is_file() and f.name != ".lock"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: Any) -> None:
    real_open = open
    monkeypatch.setattr(files, "open", lambda f, *a, **k: real_open("/dev/full", "wb"), raising=False)
    with (
        pytest.raises(ValueError, match=r"no room to write .*LAB_CACHE_DIR"),
        cache.writing(tmp_path / "x") as out,
    ):
        out.write(b"x" * (2 << 20))
    assert not list(tmp_path.iterdir())


def test_without_a_cache_the_ids_are_this_process_s_own(
    tmp_path: Path, corpus: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    for _ in range(2):
        made = open_token_files(corpus, ByteTokenizer(), tmp_path / "file")
    kept = open_token_files(corpus, ByteTokenizer(), tmp_path / "cache")
    for split, file in made.items():
        assert file.array().tolist() == kept[split].array().tolist()
        assert not file.path.is_relative_to(tmp_path)
    said = capsys.readouterr().err
    assert "cannot be written (Not a directory)" in said
    assert "LAB_CACHE_DIR" in said


def anonymous_megabytes(megabytes: int, folder: str) -> float:
    """Peak growth of anonymous memory while so much text is tokenised, read and thrown away again."""
    import threading

    def now() -> float:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

    class Endless:
        name, has_documents = "endless", True
        text = "".join(chr(97 + i % 26) for i in range(99_999)) + "\n"

        def pieces(self, split: str) -> Iterator[Piece]:
            for i in range(10 * megabytes if split == "train" else 2):
                yield Piece(self.text + str(i), True)

        def size_bytes(self, split: str) -> int:
            return sum(len(piece.text) for piece in self.pieces(split))

        def fingerprint(self) -> str:
            return str(megabytes)

    peak = before = now()
    stop = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.005):
            peak = max(peak, now())

    watcher = threading.Thread(target=watch)
    watcher.start()
    array = open_token_files(Endless(), ByteTokenizer(), folder)["train"].array()
    assert int(array[:: len(array) // 100].max()) < 257
    stop.set()
    watcher.join()
    return peak - before


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    """The short form of tokenising 1 GB: 100 MB need no more than 10 MB do, but for the allocator's mood."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        small, large = (pool.apply(anonymous_megabytes, (m, str(tmp_path / str(m)))) for m in (10, 100))
    assert large < small + 40
