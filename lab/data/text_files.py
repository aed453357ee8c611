"""Text of every common kind, read as a stream of pieces.

`read_pieces` gives the text of a file, document by document, holding a few MB at a time however large the file is.

| file                 | a document is                                                                    |
|----------------------|----------------------------------------------------------------------------------|
| `.jsonl`, `.ndjson`  | the field `text_key` of one line                                                 |
| `.json`              | the field `text_key` of each object in the list, or of each line                 |
| `.csv`, `.tsv`       | the column `text_key` of one row                                                 |
| `.parquet`, `.arrow` | one row of the column `text_key`                                                 |
| `.txt`               | what lies between two lines that hold `<|endoftext|>` and nothing else, else all |
| any other            | the file; what stands in it is its text                                          |

Each may be packed (`.gz`, `.zst`, `.bz2`, `.xz`; `lab.data.opening`). Plain text is UTF-8, or what its byte order mark
says; the mark is dropped and `\\r\\n` becomes `\\n`. What cannot be read is a `ValueError` that names the file, the
byte and the remedy: encodings are not guessed, and no text is dropped in silence.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

import orjson

from lab.checks import did_you_mean
from lab.data.corpus import Piece
from lab.data.opening import content_of, is_ids, is_packed, kind_of, split_name, unpacked
from lab.data.tables import column_bytes, read_rows

DOCUMENT_SEPARATOR = "<|endoftext|>"
_SEPARATOR_LINE = re.compile(rf"^[ \t]*{re.escape(DOCUMENT_SEPARATOR)}[ \t]*(?:\n|\Z)", re.MULTILINE)
_LONGEST_SEPARATOR = 1 << 12  # characters; a longer line is text
PIECE_CHARACTERS = 1 << 21  # a document of web text or a small corpus is one piece, and some of them fit in memory
LINE_BYTES = 64 << 20  # of .jsonl, whose lines are held whole; a longer one means that the file is one JSON value
_CHUNK_BYTES = 1 << 20
_NAME_LENGTH = 60  # of a column, in a message

# The 32-bit marks begin with the 16-bit ones: longest first.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_SPACE = re.compile(r"[ \t\n\r]*")


# ---------------------------------------------------------------- what they hold


def read_pieces(file: Path, text_key: str = "text", found: Counter[str] | None = None) -> Iterator[Piece]:
    """The text of `file`, piece by piece; documents of nothing but white space are passed over.

    Memory stays at a few pieces; a row group for parquet, a record batch for Arrow, an object for JSON. `found` counts
    what was read as no text: `DOCUMENT_SEPARATOR`. Raises `ValueError` for what cannot be read: another encoding, a
    binary or torn file, a line that is no JSON, a missing `text_key`.
    """
    kind = kind_of(file)
    try:
        if kind == "plain":
            yield from _read_plain(file, Counter() if found is None else found)
        else:
            for text in read_values(file, text_key):
                yield from _document(text)
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}") from error


def read_values(file: Path, text_key: str) -> Iterator[str | None]:
    """What stands under `text_key` in each record of a file that has records. Raises `ValueError` as `read_pieces`."""
    kind = kind_of(file)
    if kind == "csv":
        yield from _read_csv(file, text_key)
    elif kind in ("jsonl", "json"):
        objects = _json_list if kind == "json" and _first_character(file) == "[" else _json_lines
        for place, row in objects(file):
            yield _field(row, text_key, place)
    else:
        for n, row in enumerate(read_rows(file, text_key, _choose_key)):
            yield _field({text_key: row}, text_key, f"{file}, row {n}")


def text_bytes(file: Path, text_key: str = "text") -> int | None:
    """About how many bytes of text `file` holds, without reading it; `None` where its size does not tell."""
    if is_packed(file):
        return None
    return column_bytes(file, text_key) if kind_of(file) == "parquet" else file.stat().st_size


def _read_plain(file: Path, found: Counter[str]) -> Iterator[Piece]:
    held, starts, separated = "", True, False

    def piece(text: str, ends: bool) -> Iterator[Piece]:
        # The line breaks around a separator are its own.
        text = text.lstrip("\n") if starts and separated else text
        if text and not (starts and ends and not text.strip()):
            yield Piece(text, starts)

    has_separators = split_name(file.name)[1] == ".txt"
    stretches = _stretches(_characters(file), found) if has_separators else ((t, False) for t in _characters(file))
    for text, ends in stretches:
        held += text
        if ends:
            for part, last in _parts(held.rstrip("\n")):
                yield from piece(part, last)
                starts = False
            held, starts, separated = "", True, True
        while len(held) > PIECE_CHARACTERS:
            cut = _cut(held)
            yield from piece(held[:cut], False)
            held, starts = held[cut:], False
    yield from piece(held, True)


def _stretches(texts: Iterable[str], found: Counter[str]) -> Iterator[tuple[str, bool]]:
    """A text in stretches, each with whether a separator ends it: one that stands alone on its line."""

    def divided(text: str, first: int) -> Iterator[tuple[str, bool]]:
        start = 0
        for line in _SEPARATOR_LINE.finditer(text, first) if DOCUMENT_SEPARATOR in text else ():
            found[DOCUMENT_SEPARATOR] += 1
            yield text[start : line.start()], True
            start = line.end()
        yield text[start:], False

    held, inside = "", False  # a line without its end; whether it began earlier than that
    for text in texts:
        lines, end, held = (held + text).rpartition("\n")
        if end:
            yield from divided(lines + end, lines.find("\n") + 1 or len(lines) + 1 if inside else 0)
            inside = False
        if len(held) > _LONGEST_SEPARATOR:
            yield held, False
            held, inside = "", True
    yield from divided(held, len(held) if inside else 0)


def _characters(file: Path) -> Iterator[str]:
    """The file's text as it is decoded, chunk by chunk."""
    with unpacked(file) as raw:
        chunk = raw.read(_CHUNK_BYTES)
        marks = ((mark, encoding) for mark, encoding in _BYTE_ORDER_MARKS if chunk.startswith(mark))
        mark, encoding = next(marks, (b"", "utf-8"))
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
        chunk, done, more = chunk[len(mark) :], len(mark), True
        while more:
            if encoding == "utf-8" and (zero := chunk.find(b"\0")) >= 0:
                _binary(file, f"byte {done + zero} is zero, as in no text")
            try:
                text = decoder.decode(cast(str, chunk), final=not chunk)  # typeshed has it take text only
            except UnicodeDecodeError as error:
                _not_text(file, encoding, done + len(chunk) - len(error.object) + error.start, error)
            yield text
            more = bool(chunk)
            done += len(chunk)
            chunk = raw.read(_CHUNK_BYTES)


def _json_lines(file: Path) -> Iterator[tuple[str, Any]]:
    """Each line's object, with where it stands."""
    with unpacked(file) as raw:
        number = offset = 0
        while line := raw.readline(LINE_BYTES + 1):
            number += 1
            place = f"{file}, line {number} (byte {offset})"
            if len(line) > LINE_BYTES:
                raise ValueError(
                    f"{place} is longer than {LINE_BYTES >> 20} MB: .jsonl has one JSON object on each line"
                )
            content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if content.strip():
                skipped = len(line) - len(content)
                yield place, _parse(file, place, content, offset + skipped)
            offset += len(line)


def _json_list(file: Path) -> Iterator[tuple[str, Any]]:
    """Each object of a JSON list, with where it stands; the list is never held whole."""
    decoder, held, at, number = json.JSONDecoder(), "", 0, 0
    characters = _characters(file)

    def more() -> bool:
        nonlocal held, at
        text = next(characters, None)
        held, at = held[at:] + (text or ""), 0
        if len(held) > LINE_BYTES:
            raise ValueError(f"{file}, object {number} of the list is longer than {LINE_BYTES >> 20} MB, or torn")
        return text is not None

    wanted = "["
    while True:
        while not (space := _SPACE.match(held, at)) or space.end() == len(held):
            if not more():
                raise ValueError(f"{file} ends inside its list of objects, after {number}: fetch it again")
        at = space.end()
        if held[at] == "]" and (wanted == "," or not number):
            return
        if wanted:
            if held[at] != wanted:
                raise ValueError(
                    f"{file} is no JSON list after object {number}: {held[at : at + 20]!r} where {wanted} is due"
                )
            at, wanted = at + 1, ""
            continue
        while True:
            try:
                row, at = decoder.raw_decode(held, at)
                break
            except (ValueError, RecursionError) as error:
                if not more():
                    raise ValueError(f"{file}, object {number} of the list is no JSON: {error}") from error
        yield f"{file}, object {number}", row
        number, wanted = number + 1, ","


def _first_character(file: Path) -> str:
    """The first that is no white space."""
    return next((start[:1] for text in _characters(file) if (start := text.lstrip())), "")


def _read_csv(file: Path, text_key: str) -> Iterator[str]:
    csv.field_size_limit(LINE_BYTES)
    rows = csv.reader(_lines(file), delimiter="\t" if split_name(file.name)[1] == ".tsv" else ",", strict=True)
    names = next(rows, [])
    if text_key not in names:
        raise ValueError(f"{file} has no column '{text_key}' in its first line; {_choose_key(text_key, names)}")
    column = names.index(text_key)
    try:
        for row in rows:
            if row and len(row) <= column:
                raise ValueError(f"{file}, line {rows.line_num} has {len(row)} of {len(names)} columns")
            if row:
                yield row[column]
    except csv.Error as error:
        raise ValueError(f"{file}, line {rows.line_num} is no CSV: {error}") from error


def _lines(file: Path) -> Iterator[str]:
    """The file's text line by line, ends kept."""
    held = ""
    for text in _characters(file):
        *whole, held = (held + text).split("\n")
        yield from (line + "\n" for line in whole)
    if held:
        yield held


def _parse(file: Path, place: str, line: bytes, offset: int) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    # The standard parser takes what orjson does not: lone surrogates, NaN. It also says where the trouble is.
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        _not_text(file, "utf-8", offset + error.start, error)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place} is no JSON: {error}; .jsonl has one JSON object on each line") from error


def _field(row: Any, text_key: str, place: str) -> str | None:
    if not isinstance(row, dict):
        raise ValueError(f'{place} is {type(row).__name__}, not an object such as {{"{text_key}": "…"}}')
    if text_key not in row:
        raise ValueError(f"{place} has no field '{text_key}'; {_choose_key(text_key, row)}")
    if row[text_key] is not None and not isinstance(row[text_key], str):
        raise ValueError(f"{place}: the field '{text_key}' is {type(row[text_key]).__name__}, not text")
    return cast("str | None", row[text_key])


def _choose_key(text_key: str, keys: Sequence[str] | dict[str, Any]) -> str:
    keys = [" ".join(str(key).split())[:_NAME_LENGTH] for key in keys]  # without a header these are texts
    named = ", ".join(keys[:12]) or "there is none"
    return f"{did_you_mean(text_key, keys, end=' ')}set data.corpus_options.text_key to one of: {named}"


# ---------------------------------------------------------------- pieces


def _document(text: str | None) -> Iterator[Piece]:
    """A whole document as pieces; none for one of nothing but white space."""
    if not text or text.isspace():
        return
    if not text.isascii():
        # JSON may escape half a surrogate pair; UTF-8, and so every tokenizer, has no such character.
        text = _SURROGATES.sub("\ufffd", text)
    starts = True
    for part, _ in _parts(text):
        yield Piece(part, starts)
        starts = False


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """A text in parts of at most `PIECE_CHARACTERS`, each with whether it is the last."""
    while len(text) > PIECE_CHARACTERS:
        cut = _cut(text)
        yield text[:cut], False
        text = text[cut:]
    yield text, True


def _cut(text: str) -> int:
    """Where to cut the first piece off a long text: at the last line end that no token crosses.

    Every published pattern ends a token after a line break that has no white space on either side. Without one in the
    second half of the piece the cut is made anyway, at the cost of one odd token.
    """
    at = PIECE_CHARACTERS
    while (at := text.rfind("\n", PIECE_CHARACTERS // 2, at)) > 0:
        if not text[at - 1].isspace() and not text[at + 1].isspace():
            return at + 1
    return PIECE_CHARACTERS


# ---------------------------------------------------------------- bytes


def _not_text(file: Path, encoding: str, byte: int, error: UnicodeDecodeError) -> NoReturn:
    wrong = error.object[error.start : error.start + 1].hex()
    if encoding == "utf-8" and _CONTROL.search(error.object):
        _binary(file, f"byte {byte} (0x{wrong}) is no UTF-8, and control characters are beside it, as in no text")
    remedy = f"iconv -f WINDOWS-1252 -t UTF-8 '{file}' > new.txt" if encoding == "utf-8" else "save it again as UTF-8"
    raise ValueError(
        f"{file} is not {encoding.upper()}: byte {byte} (0x{wrong}) {error.reason}; convert it ({remedy}, or"
        f" whatever encoding it is in), or leave it out of data.path"
    ) from error


def _binary(file: Path, why: str) -> NoReturn:
    with unpacked(file) as raw:
        what = content_of(raw.read(8))
    if what is not None:
        why = f"{'unpacked, it is' if is_packed(file) else 'it is'} {what}; unpack or convert it"
    ids = " (if it holds token ids, set data.corpus to tokens)" if is_ids(file.name) else ""
    raise ValueError(f"{file} is binary: {why}{', or' if what else ';'} leave it out of data.path{ids}")
