"""What a file's name says, and every packing of every kind unpacked to its end."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from pathlib import Path

import pytest

from lab.data.opening import is_text, kind_of, split_name
from lab.data.text_files import text_bytes
from tests.data.test_text_files import documents, write

pyarrow = pytest.importorskip("pyarrow")


def pack(content: bytes, packing: str) -> bytes:
    """`content` as one member, stream or frame."""
    if packing == ".zst":
        return pyarrow.compress(content, "zstd", asbytes=True)
    return {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[packing](content)


@pytest.mark.parametrize(
    ("name", "parts", "kind", "text"),
    [
        ("a.txt", ("a", ".txt", ""), "plain", True),
        ("wiki.train.TXT.GZ", ("wiki.train", ".txt", ".gz"), "plain", True),
        ("c4-train.00000-of-01024.json.gz", ("c4-train.00000-of-01024", ".json", ".gz"), "json", True),
        ("b.ndjson.zst", ("b", ".ndjson", ".zst"), "jsonl", True),
        ("data-00000-of-00001.arrow", ("data-00000-of-00001", ".arrow", ""), "arrow", True),
        ("a.parquet.gz", ("a", ".parquet", ".gz"), "plain", False),
        ("Makefile", ("Makefile", "", ""), "plain", False),
        (".txt", (".txt", "", ""), "plain", False),
        ("c.c", ("c", ".c", ""), "plain", False),
    ],
)
def test_names(name: str, parts: tuple[str, str, str], kind: str, text: bool) -> None:
    assert (split_name(name), kind_of(Path(name)), is_text(name)) == (parts, kind, text)


class TestPacked:
    """Every kind in every packing, several members or frames one after the other."""

    ROWS = (["one\nline", "zwei: ü"], ["drei", "four 🦄"])

    def parts(self, kind: str) -> list[str]:
        """Two halves of one file of that kind, each to be a member of its own."""
        lines = ["".join(json.dumps({"text": text}) + "\n" for text in texts) for texts in self.ROWS]
        return {
            ".txt": ["first\n", "second\n"],
            ".jsonl": lines,
            ".ndjson": lines,
            ".json": ["[" + ",".join(lines[0].splitlines()), ", " + ",".join(lines[1].splitlines()) + "]\n"],
            ".csv": ['id,text\n1,"one\nline"\n2,zwei: ü\n', "3,drei\n4,four 🦄\n"],
        }[kind]

    @pytest.mark.parametrize("kind", [".txt", ".jsonl", ".ndjson", ".json", ".csv"])
    @pytest.mark.parametrize("packing", ["", ".gz", ".zst", ".bz2", ".xz"])
    def test_what_follows_the_first_frame_is_read(self, tmp_path: Path, kind: str, packing: str) -> None:
        parts = [pack(part.encode(), packing) for part in self.parts(kind)]
        file = write(tmp_path / f"a{kind}{packing}", b"".join(parts))
        assert documents(file) == (["first\nsecond\n"] if kind == ".txt" else [*self.ROWS[0], *self.ROWS[1]])
        assert (text_bytes(file) is None) == bool(packing)

    @pytest.mark.parametrize("packing", [".gz", ".zst", ".bz2", ".xz"])
    @pytest.mark.parametrize("frames", [1, 2])
    def test_a_torn_file(self, tmp_path: Path, packing: str, frames: int) -> None:
        whole = pack(os.urandom(5000).hex().encode(), packing) * frames
        for cut in (9, len(whole) // 4):
            with pytest.raises(
                ValueError, match=rf"a\.txt\{packing} is no whole \w+ file \(.*fetch or compress it again"
            ):
                documents(write(tmp_path / f"a.txt{packing}", whole[:-cut]))
        with pytest.raises(ValueError, match=rf"b\.txt\{packing} is no whole"):
            documents(write(tmp_path / f"b.txt{packing}", b"this was never packed"))

    def test_a_missing_file_is_called_so(self, tmp_path: Path) -> None:
        for packing in ("", ".gz", ".zst", ".bz2", ".xz"):
            with pytest.raises(ValueError, match=r"cannot read .*No such file"):
                documents(tmp_path / f"a.jsonl{packing}")

    def test_zstd_without_pyarrow(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        file = write(tmp_path / "a.txt.zst", pack(b"x", ".zst"))
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(ValueError, match=r"a\.txt\.zst needs pyarrow: pip install"):
            documents(file)
