"""A corpus in files: a real held-out split, streamed, the same in every process, known by its content."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.data import text_files
from lab.data.corpus import SPLITS
from lab.data.filecorpus import FileCorpus
from lab.data.tokenfile import open_token_files
from lab.data.vocabulary import ByteTokenizer

WILD = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def corpus(*files: Path, **options: object) -> FileCorpus:
    return FileCorpus("text", files, **options)  # type: ignore[arg-type]


def both(made: FileCorpus) -> tuple[list[str], list[str]]:
    return list(made.documents("train")), list(made.documents("val"))


def rejoined(train: list[str], val: list[str], whole: list[str]) -> list[str]:
    """The documents of both sides, the one that was cut inside put together again."""
    parts = [text for text in train + val if text not in whole]
    assert len(parts) in (0, 2)
    return [text for text in train + val if text in whole] + (["".join(parts)] if parts else [])


def stories(path: Path, n: int, start: int = 0) -> Path:
    path.write_text("".join(json.dumps({"text": f"Story {i}.\nIt ends."}) + "\n" for i in range(start, start + n)))
    return path


class TestDocuments:
    def test_each_is_on_one_side_in_the_order_of_the_files(self, tmp_path: Path) -> None:
        files = stories(tmp_path / "a.jsonl", 500), stories(tmp_path / "b.jsonl", 500, start=500)
        made = corpus(*files)
        train, val = both(made)
        assert made.has_documents
        assert sorted(train + val) == sorted(f"Story {i}.\nIt ends." for i in range(1000))
        numbers = [int(text.split()[1][:-1]) for text in train]
        assert numbers == sorted(numbers)
        assert 70 < len(val) < 130

    def test_the_seed_chooses_and_the_fraction_holds(self, tmp_path: Path) -> None:
        file = stories(tmp_path / "a.jsonl", 2000)
        chosen = [set(corpus(file, seed=seed).documents("val")) for seed in (1, 2, -1, 2**64)]
        assert len({frozenset(c) for c in chosen}) == 4
        overlap = len(chosen[0] & chosen[1])
        assert overlap < 60  # a tenth of a tenth of 2000 is 20
        for fraction in (0.01, 0.3, 0.9):
            n = len(list(corpus(file, val_fraction=fraction).documents("val")))
            assert abs(n - 2000 * fraction) < 0.1 * 2000 * min(fraction, 1 - fraction)

    def test_the_same_document_is_never_on_both_sides(self, tmp_path: Path) -> None:
        files = stories(tmp_path / "a.jsonl", 300), stories(tmp_path / "b.jsonl", 300)
        train, val = both(corpus(*files))
        assert not set(train) & set(val)
        assert len(train) + len(val) == 600

    def test_other_documents_move_few(self, tmp_path: Path) -> None:
        few = set(corpus(stories(tmp_path / "a.jsonl", 3000)).documents("val"))
        more = set(corpus(stories(tmp_path / "a.jsonl", 4000)).documents("val"))
        assert len(few - more) < 40

    @pytest.mark.parametrize("seed", range(6))
    @pytest.mark.parametrize("sizes", [(98_000, 2_000), (10_000, 100_000), (40_000,) * 3, (900, 30_000, 70, 8_000)])
    def test_the_held_out_share_of_the_text_is_what_was_asked_for(
        self, tmp_path: Path, sizes: tuple[int, ...], seed: int
    ) -> None:
        whole = []
        for i, size in enumerate(sizes):
            words = random.Random(i)
            whole.append("".join(f"{words.randrange(10**9)} été\n" for _ in range(size // 15)))
            (tmp_path / f"{i}.txt").write_text(whole[-1])
        made = corpus(*sorted(tmp_path.glob("*.txt")), seed=seed)
        train, val = both(made)
        held_out, total = (sum(len(text.encode()) for text in side) for side in (val, train + val))
        assert abs(held_out / total - 0.1) < 0.011
        assert (made.size_bytes("train"), made.size_bytes("val")) == (total - held_out, held_out)
        assert sorted(whole) == sorted(rejoined(train, val, whole))
        lines = [{line for text in side for line in text.splitlines()[1:-1]} for side in (train, val)]
        assert not lines[0] & lines[1]
        assert f"{held_out / total:.1%} of the text held out" in made.describe()["split"]

    def test_copies_of_a_text_are_cut_at_one_place(self, tmp_path: Path) -> None:
        words = random.Random(0)
        text = "".join(f"{words.randrange(10**9)}\n" for _ in range(1000))
        for name in "ab":
            (tmp_path / f"{name}.txt").write_text(text)
        train, val = both(corpus(tmp_path / "a.txt", tmp_path / "b.txt"))
        assert train[0] == train[1]
        assert [a + b for a, b in zip(train, val, strict=True)] == [text, text]
        assert len(val[0]) == pytest.approx(0.1 * len(text), abs=1)

    @WILD
    @given(
        texts=st.lists(st.text("abc \n", min_size=1, max_size=5), min_size=2, max_size=5),
        fraction=st.floats(0.001, 0.999),
        seed=st.integers(0, 50),
    )
    def test_few_documents_still_give_both_sides(
        self, tmp_path: Path, texts: list[str], fraction: float, seed: int
    ) -> None:
        file = tmp_path / "a.jsonl"
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        kept = [text for text in texts if text.strip()]
        made = corpus(file, val_fraction=fraction, seed=seed)
        if len(set(kept)) >= 2:
            train, val = both(made)
            assert train
            assert val
            assert sorted("".join(train + val)) == sorted("".join(kept))
            assert len(train) + len(val) >= len(kept)
        elif not kept or len(kept[0]) < 2:
            with pytest.raises(ValueError, match=r"a\.jsonl"):
                both(made)

    def test_nothing_to_hold_out(self, tmp_path: Path) -> None:
        for content, message in (
            ("", "no text in"),
            ("x", "single character"),
            ("x\n<|endoftext|>\nx", "the same character"),
        ):
            (tmp_path / "a.txt").write_text(content)
            made = corpus(tmp_path / "a.txt")
            with pytest.raises(ValueError, match=f"{message}.*"):
                both(made)
            with pytest.raises(ValueError, match=r"a\.txt"):
                _ = made.has_documents

    def test_a_long_document_is_on_one_side_as_a_whole(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(text_files, "PIECE_CHARACTERS", 100)
        files = []
        for i in range(30):
            files.append(tmp_path / f"{i:02}.txt")
            files[-1].write_text(f"number {i} " * 40 + "\n")
        train, val = both(corpus(*files, val_fraction=0.3))
        assert len(train) + len(val) > 60
        numbers = [{text.split()[1] for text in side if text.startswith("number")} for side in (train, val)]
        assert not numbers[0] & numbers[1]

    def test_published_splits_are_kept(self, tmp_path: Path) -> None:
        train, val = stories(tmp_path / "a.jsonl", 20), stories(tmp_path / "b.jsonl", 5, start=50)
        made = corpus(train, val_files=[val])
        assert [len(side) for side in both(made)] == [20, 5]
        assert made.has_documents
        assert made.describe()["split"] == "as published"
        assert made.size_bytes("val") == sum(len(text) for text in both(made)[1])


def test_separators_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n<|endoftext|>\ntwo <|endoftext|>\n<|endoftext|>\n")
    made = corpus(tmp_path / "a.txt")
    assert made.describe()["separators"] == 2
    assert len([*made.documents("train"), *made.documents("val")]) == 3  # one of the two is cut inside
    (tmp_path / "b.py").write_text("<|endoftext|>\nprint()")
    assert "separators" not in corpus(tmp_path / "b.py").describe()


def test_a_long_document_has_one_end(tmp_path: Path) -> None:
    texts = [f"line {i} of a long text\n" * n for i, n in enumerate((200_000, 3, 5))]
    for i, text in enumerate(texts):
        (tmp_path / f"{i}.txt").write_text(text)
    made = corpus(*sorted(tmp_path.glob("*.txt")), val_fraction=0.5)
    files = open_token_files(made, ByteTokenizer(), tmp_path)
    pieces = [piece for split in SPLITS for piece in made.pieces(split)]
    assert len(pieces) > 4
    ends = sum(int((file.array() == 256).sum()) for file in files.values())
    assert ends == sum(file.documents for file in files.values()) == 4  # the long one is cut once
    assert sum(file.bytes for file in files.values()) == sum(map(len, texts))


class TestOneStream:
    @pytest.mark.parametrize("name", ["a.txt", "a.md", "a.jsonl"])
    def test_a_single_document_is_cut_inside(self, tmp_path: Path, name: str) -> None:
        text = "".join(f"line {i} é\n" for i in range(500))
        (tmp_path / name).write_text(json.dumps({"text": text}) if name == "a.jsonl" else text)
        made = corpus(tmp_path / name)
        assert not made.has_documents
        n_bytes = int(len(text.encode()) * 0.9)
        train = text.encode()[:n_bytes].decode(errors="ignore")
        assert both(made) == ([train], [text[len(train) :]])

    @WILD
    @given(
        text=st.text("ab\né", min_size=2, max_size=60),
        fraction=st.floats(0.001, 0.999),
        piece=st.integers(1, 9),
    )
    def test_the_parts_make_the_whole(self, tmp_path: Path, text: str, fraction: float, piece: int) -> None:
        (tmp_path / "a.txt").write_text(text)
        if not text.strip():
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text_files, "PIECE_CHARACTERS", piece)
            train, val = ("".join(side) for side in both(corpus(tmp_path / "a.txt", val_fraction=fraction)))
        assert train + val == text
        assert train
        assert val
        assert abs(len(val.encode()) - fraction * len(text.encode())) <= 3  # a character has at most two bytes here


class TestLimits:
    def test_max_documents(self, tmp_path: Path) -> None:
        made = corpus(stories(tmp_path / "a.jsonl", 100), max_documents=30)
        train, val = both(made)
        assert sorted(train + val) == sorted(f"Story {i}.\nIt ends." for i in range(30))

    def test_max_bytes_cuts_to_the_character(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("é" * 1000)
        train, val = both(corpus(tmp_path / "a.txt", max_bytes=101))
        assert "".join(train + val) == "é" * 50

    def test_max_bytes_over_documents(self, tmp_path: Path) -> None:
        train, val = both(corpus(stories(tmp_path / "a.jsonl", 1000), max_bytes=5000))
        assert sum(len(text.encode()) for text in train + val) == 5000

    def test_they_are_part_of_the_fingerprint(self, tmp_path: Path) -> None:
        file = stories(tmp_path / "a.jsonl", 10)
        made = [corpus(file), corpus(file, max_bytes=50), corpus(file, max_documents=5)]
        assert len({m.fingerprint() for m in made}) == 3


class TestFingerprint:
    @pytest.fixture
    def files(self, tmp_path: Path) -> list[Path]:
        return [stories(tmp_path / "a.jsonl", 20), stories(tmp_path / "b.jsonl", 20, start=20)]

    def test_times_names_and_places_do_not_count(self, files: list[Path], tmp_path: Path) -> None:
        first = corpus(*files).fingerprint()
        os.utime(files[0], (1, 1))
        assert corpus(*files).fingerprint() == first
        copy = shutil.copy(files[0], tmp_path / "elsewhere.jsonl")
        assert corpus(Path(copy), files[1]).fingerprint() == first

    def test_content_order_and_split_do(self, files: list[Path], tmp_path: Path) -> None:
        first = corpus(*files).fingerprint()
        others = [
            corpus(*files[::-1]),
            corpus(files[0]),
            corpus(*files, seed=2),
            corpus(*files, val_fraction=0.2),
            corpus(*files, text_key="body"),
            corpus(files[0], val_files=[files[1]]),
            corpus(Path(shutil.copy(files[0], tmp_path / "as_text.txt")), files[1]),
        ]
        files[1].write_text(files[1].read_text() + '{"text": "one more"}\n')
        others.append(corpus(*files))
        assert len({first, *(other.fingerprint() for other in others)}) == 9

    def test_one_byte(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("some text")
        first = corpus(tmp_path / "a.txt").fingerprint()
        (tmp_path / "a.txt").write_text("some tent")
        assert corpus(tmp_path / "a.txt").fingerprint() != first

    def test_every_process_finds_the_same(self, files: list[Path]) -> None:
        script = f"""
from pathlib import Path
from lab.data.filecorpus import FileCorpus
made = FileCorpus("text", [Path({str(files[0])!r}), Path({str(files[1])!r})])
print(made.fingerprint(), list(made.documents("val")))
"""
        printed = {
            subprocess.run(
                [sys.executable, "-c", script],
                env={"PYTHONHASHSEED": s},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for s in ("1", "2")
        }
        made = corpus(*files)
        assert printed == {f"{made.fingerprint()} {list(made.documents('val'))}\n"}


def test_sizes_are_about_right(tmp_path: Path) -> None:
    text = "".join(f"line {i}\n" for i in range(5000))
    (tmp_path / "a.txt").write_text(text)
    made = corpus(tmp_path / "a.txt")
    for split, share in (("train", 0.9), ("val", 0.1)):
        assert made.size_bytes(split) == pytest.approx(len(text) * share, abs=2)  # type: ignore[arg-type]
    assert corpus(tmp_path / "a.txt", max_bytes=1000).size_bytes("train") == 900
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps({"text": text}).encode()))
    assert corpus(tmp_path / "a.jsonl.gz").size_bytes("train") == int(len(text) * 0.9)


@pytest.mark.parametrize("kind", ["stream", "documents"])
def test_memory_stays_bounded(tmp_path: Path, kind: str) -> None:
    line = "It was the best of times, it was the worst of times. " * 40 + "\n"
    with open(tmp_path / "a.txt", "w") as out:
        for i in range(50_000_000 // len(line)):
            out.write(line)
            if kind == "documents" and i % 10 == 0:
                out.write(f"{i}\n<|endoftext|>\n")
    tracemalloc.start()
    try:
        made = corpus(tmp_path / "a.txt")
        made.fingerprint()
        total = sum(len(text) for split in ("train", "val") for text in made.documents(split))  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert made.has_documents == (kind == "documents")
    assert total > 49_000_000
    assert peak < 30_000_000


def test_facts_are_json(tmp_path: Path) -> None:
    made = corpus(stories(tmp_path / "a.jsonl", 10), facts={"source": "a test"}, max_bytes=100)
    facts = json.loads(json.dumps(made.describe()))
    assert facts["source"] == "a test"
    assert facts["files"] == 1
    assert facts["max_bytes"] == 100
    assert facts["fingerprint"] == made.fingerprint()
    assert "held out, by document" in facts["split"]
