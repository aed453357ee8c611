"""Reading a person's files: every kind, wild content, bounded memory, errors that name byte and remedy."""

from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lab.data import text_files
from lab.data.text_files import DOCUMENT_SEPARATOR, PIECE_CHARACTERS, read_pieces, text_bytes

WILD = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def documents(file: Path, text_key: str = "text") -> list[str]:
    """The documents of a file, their pieces joined."""
    found: list[str] = []
    for text, starts in read_pieces(file, text_key):
        if starts:
            found.append(text)
        else:
            found[-1] += text
    return found


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class TestPlainText:
    def test_a_file_is_one_document_to_the_last_character(self, tmp_path: Path) -> None:
        text = "  First line.\n\nSecond: é, 日本, 🦄\n\n"
        assert documents(write(tmp_path / "a.txt", text)) == [text]

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
    def test_byte_order_marks_are_obeyed_and_dropped(self, tmp_path: Path, encoding: str) -> None:
        text = "Grüße, 日本\nzweite Zeile\n"
        assert documents(write(tmp_path / "a.txt", text.encode(encoding))) == [text]

    def test_big_endian_mark(self, tmp_path: Path) -> None:
        content = b"\xfe\xff" + "Grüße".encode("utf-16-be")
        assert documents(write(tmp_path / "a.txt", content)) == ["Grüße"]

    def test_a_mark_inside_the_text_stays(self, tmp_path: Path) -> None:
        assert documents(write(tmp_path / "a.txt", "a\ufeffb")) == ["a\ufeffb"]

    def test_line_ends_become_one_kind(self, tmp_path: Path) -> None:
        assert documents(write(tmp_path / "a.txt", b"one\r\ntwo\rthree\n\r\nfour")) == ["one\ntwo\nthree\n\nfour"]

    def test_line_end_across_two_chunks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(text_files, "_CHUNK_BYTES", 4)
        assert documents(write(tmp_path / "a.txt", b"one\r\ntwo\xc3\xa9\r")) == ["one\ntwoé\n"]

    def test_unicode_line_separators_are_characters_like_others(self, tmp_path: Path) -> None:
        text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
        assert documents(write(tmp_path / "a.txt", text)) == [text]

    def test_separators_part_documents(self, tmp_path: Path) -> None:
        content = "one\nstory\n|\ntwo\n|\n | \n \n|\n\n  three\n".replace("|", DOCUMENT_SEPARATOR)
        for name in ("a.txt", "b.txt.gz"):
            raw = gzip.compress(content.encode()) if name.endswith("gz") else content.encode()
            file, found = write(tmp_path / name, raw), Counter[str]()
            assert documents(file) == ["one\nstory", "two", "  three\n"]
            assert list(read_pieces(file, found=found))
            assert found == {DOCUMENT_SEPARATOR: 4}

    @pytest.mark.parametrize("name", ["a.py", "a.md", "a", "a.txt.py", "notxt", "a.jsonl"])
    def test_elsewhere_a_separator_is_text(self, tmp_path: Path, name: str) -> None:
        text = f"EOT = 1\n{DOCUMENT_SEPARATOR}\nprint(EOT)\n"
        file = write(tmp_path / name, json.dumps({"text": text}) if name == "a.jsonl" else text)
        assert documents(file) == [text]

    @pytest.mark.parametrize("line", ['EOT = "|"', "| is a token", "||", "a|", "\u00a0|"])
    def test_in_a_line_a_separator_is_text(self, tmp_path: Path, line: str) -> None:
        text = f"one\n{line}\ntwo".replace("|", DOCUMENT_SEPARATOR)
        assert documents(write(tmp_path / "a.txt", text)) == [text]

    def test_behind_a_long_line_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(text_files, "_CHUNK_BYTES", 1000)
        long = "word " * 3000 + DOCUMENT_SEPARATOR
        content = f"{long}\n{DOCUMENT_SEPARATOR}\n{long}"
        assert documents(write(tmp_path / "a.txt", content)) == [long, long]

    def test_gzipped_text(self, tmp_path: Path) -> None:
        assert documents(write(tmp_path / "a.txt.gz", gzip.compress("größer\n".encode()))) == ["größer\n"]

    @pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\t\n", b"\xef\xbb\xbf"])
    def test_blank_files_hold_no_document(self, tmp_path: Path, content: bytes) -> None:
        assert documents(write(tmp_path / "a.txt", content)) == []

    @WILD
    @given(
        text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=200),
        chunk=st.integers(1, 7),
        piece=st.integers(1, 40),
    )
    def test_any_text_comes_back_whole(self, tmp_path: Path, text: str, chunk: int, piece: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text_files, "_CHUNK_BYTES", max(chunk, 4))
            patch.setattr(text_files, "PIECE_CHARACTERS", piece)
            file = write(tmp_path / "a.txt", text)
            pieces = list(read_pieces(file))
        expected = text.removeprefix("\ufeff")
        assert all(len(p.text) <= piece for p in pieces)
        if DOCUMENT_SEPARATOR not in text and expected.strip():
            assert "".join(p.text for p in pieces) == expected
            assert [p.starts for p in pieces] == [True] + [False] * (len(pieces) - 1)

    @WILD
    @given(
        parts=st.lists(st.text("ab \n<|e", max_size=30), min_size=1, max_size=6),
        chunk=st.integers(4, 9),
        piece=st.integers(5, 40),
    )
    def test_separated_documents_come_back_whole(
        self, tmp_path: Path, parts: list[str], chunk: int, piece: int
    ) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text_files, "_CHUNK_BYTES", chunk)
            patch.setattr(text_files, "PIECE_CHARACTERS", piece)
            separator = f"\n{DOCUMENT_SEPARATOR}\n"
            found = documents(write(tmp_path / "a.txt", separator.join(parts)))
        # Line breaks at the end of a document longer than a piece may have left before its end was seen.
        expected = [part.strip("\n") for part in parts if part.strip()]
        assert [text.strip("\n") for text in found if text.strip()] == expected

    @WILD
    @given(content=st.one_of(st.binary(max_size=60), st.text("aé€🦄\r\n ", max_size=20).map(str.encode)))
    def test_any_bytes_are_read_as_python_reads_them_or_refused(self, tmp_path: Path, content: bytes) -> None:
        file = write(tmp_path / "a.txt", content)
        assume(not content.startswith((b"\xff\xfe", b"\xfe\xff")))
        try:
            expected = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig").read()
        except UnicodeDecodeError:
            expected = "\0"
        if "\0" in expected:
            with pytest.raises(ValueError, match=r"a\.txt"):
                documents(file)
        else:
            assert "".join(documents(file)) == (expected if expected.strip() else "")

    @pytest.mark.parametrize("offset", [0, 1, 4095, (1 << 20) - 1, 1 << 20, (1 << 20) + 5])
    def test_the_wrong_byte_is_named(self, tmp_path: Path, offset: int) -> None:
        file = write(tmp_path / "latin.txt", b"a" * offset + b"\xe9t\xe9")
        with pytest.raises(ValueError, match=rf"latin\.txt is not UTF-8: byte {offset} \(0xe9\).*iconv"):
            documents(file)

    def test_the_wrong_byte_is_named_after_a_mark_and_a_split_character(self, tmp_path: Path) -> None:
        content = b"\xef\xbb\xbf" + b"a" * ((1 << 20) - 5) + "é€".encode() + b"\xff"
        file = write(tmp_path / "a.txt", content)
        with pytest.raises(ValueError, match=f"byte {len(content) - 1} "):
            documents(file)

    def test_a_character_cut_off_at_the_end(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="byte 3 "):
            documents(write(tmp_path / "a.txt", b"abc\xe2\x82"))

    def test_binary_is_called_so(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.txt", b"abc\x00\xff\xfe")
        with pytest.raises(ValueError, match=r"a\.txt is binary: byte 3 "):
            documents(file)

    def test_packed_twice_or_packed_columns_are_named(self, tmp_path: Path) -> None:
        twice = gzip.compress(gzip.compress(os.urandom(500)))
        with pytest.raises(
            ValueError, match="is binary: unpacked, it is a gzip file; unpack or convert it, or leave it"
        ):
            documents(write(tmp_path / "a.txt.gz.gz", twice))
        with pytest.raises(ValueError, match="it is a parquet file; unpack or convert it"):
            documents(write(tmp_path / "a.txt", b"PAR1" + bytes(99)))
        assert documents(write(tmp_path / "b.txt", "PAR1 is how parquet begins")) == ["PAR1 is how parquet begins"]

    def test_a_torn_gzip_file(self, tmp_path: Path) -> None:
        whole = gzip.compress(os.urandom(5000).hex().encode())
        with pytest.raises(ValueError, match=r"a\.txt\.gz is no whole gzip file"):
            documents(write(tmp_path / "a.txt.gz", whole[: len(whole) // 2]))
        with pytest.raises(ValueError, match=r"b\.txt\.gz is no whole gzip file"):
            documents(write(tmp_path / "b.txt.gz", "plain"))

    def test_a_folder_or_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="cannot read"):
            documents(tmp_path / "missing.txt")
        with pytest.raises(ValueError, match="cannot read"):
            documents(tmp_path)


class TestJsonLines:
    def test_one_document_a_line(self, tmp_path: Path) -> None:
        lines = [
            '{"text": "one\\nline", "n": 1}',
            "",
            '{"n": 2, "text": "zwei: \\u00fc"}',
            '{"text": "drei"}',
        ]
        content = "\ufeff" + "\r\n".join(lines)
        for name, data in (("a.jsonl", content.encode()), ("b.jsonl.gz", gzip.compress(content.encode()))):
            assert documents(write(tmp_path / name, data)) == ["one\nline", "zwei: ü", "drei"]

    def test_line_separators_inside_a_document_part_no_lines(self, tmp_path: Path) -> None:
        text = "a\u2028b\u2029c\x85d\x0ce\r\nf"
        assert documents(write(tmp_path / "a.jsonl", json.dumps({"text": text}, ensure_ascii=False))) == [text]

    @WILD
    @given(texts=st.lists(st.text(st.characters(exclude_categories=[])), max_size=8), ascii_only=st.booleans())
    def test_any_documents_come_back(self, tmp_path: Path, texts: list[str], ascii_only: bool) -> None:
        lines = [json.dumps({"text": text}, ensure_ascii=ascii_only) for text in texts]
        content = "\n".join(lines).encode("utf-8", "surrogatepass")
        if not ascii_only and any(0xD800 <= ord(c) < 0xE000 for c in content.decode("utf-8", "surrogatepass")):
            return
        found = documents(write(tmp_path / "a.jsonl", content))
        # A surrogate pair in JSON is one character; half of one is none.
        expected = [json.loads(line)["text"].encode("utf-8", "replace") for line in lines]
        assert len(found) == sum(not text.isspace() and bool(text) for text in texts)
        kept = [e for e, text in zip(expected, texts, strict=True) if text and not text.isspace()]
        assert [text.replace("\ufffd", "?").encode() for text in found] == [
            e.decode().replace("\ufffd", "?").encode() for e in kept
        ]

    def test_half_a_surrogate_pair_becomes_the_replacement_character(self, tmp_path: Path) -> None:
        assert documents(write(tmp_path / "a.jsonl", r'{"text": "a\ud83dz \ud83e\udd84"}')) == ["a\ufffdz 🦄"]

    def test_null_and_blank_documents_are_passed_over(self, tmp_path: Path) -> None:
        content = '{"text": null}\n{"text": ""}\n{"text": " \\n"}\n{"text": "x"}\n'
        assert documents(write(tmp_path / "a.jsonl", content)) == ["x"]

    def test_another_field(self, tmp_path: Path) -> None:
        assert documents(write(tmp_path / "a.jsonl", '{"body": "x"}'), text_key="body") == ["x"]

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (b'{"body": "x", "id": 3}', r"line 2 \(byte 14\) has no field 'text'; .*one of: body, id"),
            (b'{"texts": "x"}', r"line 2 .* did you mean 'texts'\?"),
            (b'{"text": 3}', r"line 2 \(byte 14\): the field 'text' is int, not text"),
            (b'["x"]', r"line 2 \(byte 14\) is list, not an object"),
            (b'{"text": "x"', r"line 2 \(byte 14\) is no JSON"),
            (b'{"text": "\xe9"}', r"is not UTF-8: byte 24 \(0xe9\)"),
            (b"[" * 100_000, r"line 2 \(byte 14\) is no JSON"),
        ],
    )  # fmt: skip
    def test_a_bad_line_is_named(self, tmp_path: Path, bad: bytes, message: str) -> None:
        file = write(tmp_path / "a.jsonl", b'{"text":"ok"}\n' + bad + b"\n")
        with pytest.raises(ValueError, match=message):
            documents(file)

    def test_a_line_without_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(text_files, "LINE_BYTES", 1 << 20)
        file = write(tmp_path / "a.jsonl", b"[" + b'{"text": "x"},' * 100_000)
        with pytest.raises(ValueError, match=r"line 1 \(byte 0\) is longer than 1 MB"):
            documents(file)


class TestJson:
    @WILD
    @given(
        texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=6),
        indent=st.sampled_from([None, 0, 2]),
        chunk=st.integers(4, 40),
    )
    def test_a_list_of_objects(self, tmp_path: Path, texts: list[str], indent: int | None, chunk: int) -> None:
        content = json.dumps([{"id": i, "text": text} for i, text in enumerate(texts)], indent=indent)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text_files, "_CHUNK_BYTES", chunk)
            found = documents(write(tmp_path / "a.json", content))
        assert found == [text for text in texts if text and not text.isspace()]

    def test_one_object_a_line(self, tmp_path: Path) -> None:
        assert documents(write(tmp_path / "a.json", '{"text": "x"}\n{"text": "y"}\n')) == ["x", "y"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('[{"text": "x"}, {"body": "y"}]', "object 1 has no field 'text'"),
            ('[{"text": "x"}', "ends inside its list of objects, after 1"),
            ('[{"text": "x"},', "ends inside its list of objects, after 1"),
            ('[{"text": "x"} {"text": "y"}]', "no JSON list after object 1"),
            ('[{"text": "x"}, {"text": y}]', "object 1 of the list is no JSON"),
            ('["x", "y"]', "object 0 is str, not an object"),
            ('{"data": [{"text": "x"}]}', "line 1 .* has no field 'text'"),
            ('{\n "text": "x"\n}', "line 1 .* is no JSON"),
        ],
    )
    def test_what_is_no_list_of_documents(self, tmp_path: Path, content: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            documents(write(tmp_path / "a.json", content))


class TestCsv:
    def test_the_column_of_each_row(self, tmp_path: Path) -> None:
        rows = 'id,text,label\r\n1,"a ""quoted"" one,\r\nof two lines",x\r\n\r\n2,,y\r\n3,plain,z\r\n'
        assert documents(write(tmp_path / "a.csv", rows)) == ['a "quoted" one,\nof two lines', "plain"]
        assert documents(write(tmp_path / "a.csv", rows), "label") == ["x", "y", "z"]
        assert documents(write(tmp_path / "a.tsv", rows.replace(",", "\t")), "label") == ["x", "y", "z"]

    def test_a_long_document(self, tmp_path: Path) -> None:
        text = "word, and\nline " * 100_000
        assert documents(write(tmp_path / "a.csv", f'text,n\n"{text}",1\n')) == [text]

    def test_without_a_header_it_is_refused_in_a_line(self, tmp_path: Path) -> None:
        first = "It was the best\nof times, it was the worst of times, it was the age of wisdom"
        with pytest.raises(
            ValueError, match=r"has no column 'text' in its first line; .*one of: It was the best of"
        ) as e:
            documents(write(tmp_path / "a.csv", f'"{first}",1\n"other",2\n'))
        assert "\n" not in str(e.value)
        assert "wisdom" not in str(e.value)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("a,b\n1,2\n", "no column 'text' in its first line; .*one of: a, b"),
            ("", "no column 'text'"),
            ("id,text\n1\n", "line 2 has 1 of 2 columns"),
            ('id,text\n1,"open', "line 2 is no CSV"),
        ],
    )
    def test_what_is_no_table_of_documents(self, tmp_path: Path, content: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            documents(write(tmp_path / "a.csv", content))


class TestParquet:
    parquet = pytest.importorskip("pyarrow.parquet")

    def write(self, path: Path, columns: dict[str, list[object]], **options: object) -> Path:
        import pyarrow

        self.parquet.write_table(pyarrow.table(columns), path, **options)
        return path

    def test_one_document_a_row(self, tmp_path: Path) -> None:
        texts = [f"Geschichte {i} 🦄\r\n" for i in range(1000)]
        file = self.write(tmp_path / "a.parquet", {"id": list(range(1000)), "text": texts}, row_group_size=64)
        assert documents(file) == texts

    def test_dictionaries_nulls_and_blanks(self, tmp_path: Path) -> None:
        import pyarrow

        column = pyarrow.array(["x", None, " ", "y", "x"]).dictionary_encode()
        self.parquet.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet")
        assert documents(tmp_path / "a.parquet") == ["x", "y", "x"]

    def test_wrong_column(self, tmp_path: Path) -> None:
        file = self.write(tmp_path / "a.parquet", {"story": ["x"], "id": [1]})
        with pytest.raises(ValueError, match=r"a\.parquet has no column 'text'; .*one of: story, id"):
            documents(file)
        with pytest.raises(ValueError, match="row 0: the field 'id' is int, not text"):
            documents(file, text_key="id")

    def test_torn_and_foreign_files(self, tmp_path: Path) -> None:
        whole = self.write(tmp_path / "a.parquet", {"text": [os.urandom(50).hex() for _ in range(2000)]}).read_bytes()
        for content in (whole[: len(whole) // 2], b"PAR1 is no parquet", b""):
            with pytest.raises(ValueError, match=r"b\.parquet is no whole parquet file"):
                documents(write(tmp_path / "b.parquet", content))
        damaged = bytearray(whole)
        damaged[100 : len(damaged) // 2] = os.urandom(len(damaged) // 2 - 100)
        with pytest.raises(ValueError, match=r"c\.parquet"):
            documents(write(tmp_path / "c.parquet", bytes(damaged)))

    def test_size_of_the_text_column(self, tmp_path: Path) -> None:
        texts = [os.urandom(400).hex() for _ in range(500)]
        file = self.write(tmp_path / "a.parquet", {"text": texts, "other": texts[::-1]}, use_dictionary=False)
        assert text_bytes(file) == pytest.approx(sum(map(len, texts)), rel=0.02)

    def test_without_pyarrow(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        file = self.write(tmp_path / "a.parquet", {"text": ["x"]})
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(ValueError, match=r"a\.parquet needs pyarrow: pip install 'pretraining-lab\[parquet\]'"):
            documents(file)


class TestPieces:
    def test_long_text_is_cut_where_no_token_crosses(self, tmp_path: Path) -> None:
        tiktoken = pytest.importorskip("tiktoken")
        line = "    if x:  # don't stop\n\n\n  \tpass\nreturn 3.14 + y;\n"
        text = line * (3 * PIECE_CHARACTERS // len(line))
        pieces = list(read_pieces(write(tmp_path / "a.txt", text)))
        assert len(pieces) > 2
        assert "".join(p.text for p in pieces) == text
        # The pattern of GPT-2, tokens of one byte: what crosses a cut would show as another number of words.
        gpt2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
        words = {bytes([i]): i for i in range(256)} | {
            b"\n\n\n  \t": 256,
            b"    ": 257,
            b"return": 258,
            b"\n\n": 259,
        }
        encoding = tiktoken.Encoding("test", pat_str=gpt2, mergeable_ranks=words, special_tokens={})
        for first, second in pairwise(pieces):
            around = first.text[-200:], second.text[:200]
            joined = encoding.encode_ordinary("".join(around))
            assert encoding.encode_ordinary(around[0]) + encoding.encode_ordinary(around[1]) == joined

    def test_a_line_longer_than_a_piece(self, tmp_path: Path) -> None:
        text = "ü" * (PIECE_CHARACTERS * 2 + 7)
        pieces = list(read_pieces(write(tmp_path / "a.txt", text)))
        assert max(len(p.text) for p in pieces) <= PIECE_CHARACTERS
        assert "".join(p.text for p in pieces) == text

    def test_a_long_json_document(self, tmp_path: Path) -> None:
        text = "word and\nline " * (PIECE_CHARACTERS // 6)
        file = write(tmp_path / "a.jsonl", json.dumps({"text": text}) + "\n" + json.dumps({"text": "next"}))
        pieces = list(read_pieces(file))
        assert [p.starts for p in pieces] == [True, False, False, True]
        assert documents(file) == [text, "next"]


class TestMemory:
    """Peak of what Python allocates while 50 MB go by."""

    BOUND = 25_000_000

    def peak(self, file: Path) -> tuple[int, int]:
        tracemalloc.start()
        try:
            total = sum(len(piece.text) for piece in read_pieces(file))
            return total, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("line_end", ["\n", ""], ids=["lines", "one line"])
    def test_plain_text(self, tmp_path: Path, line_end: str) -> None:
        line = ("It was the best of times, it was the worst of times. " * 20 + line_end).encode()
        n = 50_000_000 // len(line)
        total, peak = self.peak(write(tmp_path / "a.txt", line * n))
        assert total == n * len(line)
        assert peak < self.BOUND

    def test_json_lines(self, tmp_path: Path) -> None:
        line = json.dumps({"text": "It was the best of times. " * 100}).encode() + b"\n"
        n = 50_000_000 // len(line)
        total, peak = self.peak(write(tmp_path / "a.jsonl", line * n))
        assert total == n * 2600
        assert peak < self.BOUND

    def test_gzip(self, tmp_path: Path) -> None:
        packed = io.BytesIO()
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as out:
            for _ in range(50):
                out.write(b"times, " * 142_857 + b"\n")
        total, peak = self.peak(write(tmp_path / "a.txt.gz", packed.getvalue()))
        assert total == 50_000_000
        assert peak < self.BOUND


def test_size_is_known_without_reading(tmp_path: Path) -> None:
    assert text_bytes(write(tmp_path / "a.txt", "x" * 1000)) == 1000
    assert text_bytes(write(tmp_path / "a.jsonl.gz", gzip.compress(b"x"))) is None
    assert text_bytes(write(tmp_path / "a.parquet", b"no parquet")) is None
