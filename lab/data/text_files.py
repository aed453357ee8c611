"""Text files of every common kind, read as a stream of pieces.

`find_files` turns paths (a file, a folder, a glob, a list of them) into files in one fixed order; `read_pieces` gives
their text, document by document, holding a few MB at a time however large the file is.

| file                  | a document is                                                                    |
|-----------------------|----------------------------------------------------------------------------------|
| `.jsonl`, `.jsonl.gz` | the field `text_key` of one line                                                 |
| `.parquet`            | one row of the column `text_key`                                                 |
| `.txt`                | what lies between two lines that hold `<|endoftext|>` and nothing else, else all |
| any other             | the file; what stands in it is its text                                          |

Plain text is UTF-8, or what its byte order mark says; the mark is dropped and `\\r\\n` becomes `\\n`. What cannot be
read is a `ValueError` that names the file, the byte and the remedy: encodings are not guessed, and no text is dropped
in silence.
"""

from __future__ import annotations

import codecs
import glob
import gzip
import io
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

import orjson

from lab.checks import did_you_mean
from lab.data.corpus import Piece

SUFFIXES = (".txt", ".md", ".py", ".jsonl", ".jsonl.gz", ".parquet")
DOCUMENT_SEPARATOR = "<|endoftext|>"
_SEPARATOR_LINE = re.compile(rf"^[ \t]*{re.escape(DOCUMENT_SEPARATOR)}[ \t]*(?:\n|\Z)", re.MULTILINE)
_LONGEST_SEPARATOR = 1 << 12  # characters; a longer line is text
PIECE_CHARACTERS = 1 << 21  # a document of web text or a small corpus is one piece, and some of them fit in memory
LINE_BYTES = 64 << 20  # of .jsonl, whose lines are held whole; a longer one means that the file is one JSON value
_CHUNK_BYTES = 1 << 20
_PARQUET_ROWS = 256

# The 32-bit marks begin with the 16-bit ones: longest first.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SURROGATES = re.compile("[\ud800-\udfff]")

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


# ---------------------------------------------------------------- which files


def as_list(paths: Paths) -> list[str | os.PathLike[str]]:
    """One path or several, as a list."""
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def find_files(paths: Paths) -> list[Path]:
    """The files that `paths` (a file, a folder, a glob, or a list of them) stand for, each once.

    A folder stands for the files in it, at any depth, that end in one of `SUFFIXES`; hidden ones stay out. A file named
    outright, or matched by a glob, is taken whatever its ending. The order is that of the list, and inside a folder or
    glob that of the names: the same on every machine. Raises one `ValueError` with all problems.
    """
    asked = as_list(paths)
    problems: list[str] = []
    found: dict[Path, Path] = {}
    for one in asked:
        if not str(one).strip():
            problems.append("data.path is blank: name a file, a folder, or a glob such as 'texts/**/*.txt'")
            continue
        path = Path(one).expanduser()
        try:
            files = _expand(path)
            if not files:
                problems.append(_why_none(path))
        except OSError as error:
            problems.append(f"data.path: cannot look into {path}: {error.strerror or error}")
            continue
        found.update((file.resolve(), file) for file in files if file.resolve() not in found)
    if not asked:
        problems.append("data.path is empty: name a file, a folder, or a glob such as 'texts/**/*.txt'")
    if problems:
        raise ValueError("\n".join(problems))
    return list(found.values())


def _expand(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.name.lower().endswith(SUFFIXES) and file.is_file())
        shown = (file for file in inside if not any(p.startswith(".") for p in file.relative_to(path).parts))
        return sorted(shown, key=lambda file: file.relative_to(path).parts)
    if glob.has_magic(str(path)):
        return sorted(
            (p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file()), key=lambda p: p.parts
        )
    return []


def _why_none(path: Path) -> str:
    """Why a path stands for no file."""
    if path.is_dir():
        held = Counter(file.suffix.lower() or "no ending" for file in path.rglob("*") if file.is_file())
        holds = ", ".join(f"{ending} ({n})" for ending, n in held.most_common(5)) or "nothing"
        return f"data.path: no text in the folder {path}: looked for {', '.join(SUFFIXES)}, and it holds {holds}"
    if path.exists():
        return f"data.path: {path} is no regular file: text is read more than once, so store it in one first"
    if glob.has_magic(str(path)):
        return f"data.path: no file matches {path} (a glob; ** stands for folders at any depth)"
    if path.is_symlink():
        return f"data.path: {path} is a link to {os.readlink(path)}, which does not exist"
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = did_you_mean(
        path.name, beside, "check the spelling, or give an absolute path", show=lambda name: str(path.parent / name)
    )
    return f"data.path: {path} does not exist; {hint}"


# ---------------------------------------------------------------- what they hold


def read_pieces(file: Path, text_key: str = "text", found: Counter[str] | None = None) -> Iterator[Piece]:
    """The text of `file`, piece by piece; documents of nothing but white space are passed over.

    `found` counts what was read as no text: `DOCUMENT_SEPARATOR`.

    Memory stays at a few pieces; a row group for parquet, a line for JSON. Raises `ValueError` for what cannot be read:
    another encoding, a binary or torn file, a line that is no JSON, a missing `text_key`.
    """
    kind = kind_of(file)
    try:
        if kind == "jsonl":
            yield from _read_jsonl(file, text_key)
        elif kind == "parquet":
            yield from _read_parquet(file, text_key)
        else:
            yield from _read_plain(file, Counter() if found is None else found)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{file} is no whole gzip file ({error}): fetch or compress it again") from error
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}") from error


def kind_of(file: Path) -> str:
    """How a file is read: `jsonl`, `parquet` or `plain`, by its ending."""
    name = file.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        return "jsonl"
    return "parquet" if name.endswith(".parquet") else "plain"


def text_bytes(file: Path, text_key: str = "text") -> int | None:
    """About how many bytes of text `file` holds, without reading it; `None` where its size does not tell."""
    if file.name.lower().endswith(".gz"):
        return None
    if kind_of(file) != "parquet":
        return file.stat().st_size
    try:
        groups = _parquet(file).metadata
        columns = (
            groups.row_group(g).column(c) for g in range(groups.num_row_groups) for c in range(groups.num_columns)
        )
        return sum(column.total_uncompressed_size for column in columns if column.path_in_schema == text_key)
    except (ValueError, OSError):
        return None  # reading it will say what is wrong


def _read_plain(file: Path, found: Counter[str]) -> Iterator[Piece]:
    held, starts, separated = "", True, False

    def piece(text: str, ends: bool) -> Iterator[Piece]:
        # The line breaks around a separator are its own.
        text = text.lstrip("\n") if starts and separated else text
        if text and not (starts and ends and not text.strip()):
            yield Piece(text, starts)

    has_separators = re.search(r"\.txt(\.(gz|zst|bz2|xz))?$", file.name.lower()) is not None
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
    with _open(file) as raw:
        chunk = raw.read(_CHUNK_BYTES)
        marks = ((mark, encoding) for mark, encoding in _BYTE_ORDER_MARKS if chunk.startswith(mark))
        mark, encoding = next(marks, (b"", "utf-8"))
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
        chunk, done, more = chunk[len(mark) :], len(mark), True
        while more:
            if encoding == "utf-8" and (zero := chunk.find(b"\0")) >= 0:
                raise ValueError(
                    f"{file} is binary: byte {done + zero} is zero, as in no text; leave it out of data.path"
                )
            try:
                text = decoder.decode(cast(str, chunk), final=not chunk)  # typeshed has it take text only
            except UnicodeDecodeError as error:
                _not_text(file, encoding, done + len(chunk) - len(error.object) + error.start, error)
            yield text
            more = bool(chunk)
            done += len(chunk)
            chunk = raw.read(_CHUNK_BYTES)


def _read_jsonl(file: Path, text_key: str) -> Iterator[Piece]:
    with _open(file) as raw:
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
                yield from _document(_field(_parse(file, place, content, offset + skipped), text_key, place))
            offset += len(line)


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
    named = ", ".join(list(keys)[:12]) or "there is none"
    return f"{did_you_mean(text_key, keys, end=' ')}set data.corpus_options.text_key to one of: {named}"


def _read_parquet(file: Path, text_key: str) -> Iterator[Piece]:
    table = _parquet(file)
    names = table.schema_arrow.names
    if text_key not in names:
        raise ValueError(f"{file} has no column '{text_key}'; {_choose_key(text_key, names)}")
    import pyarrow

    row = 0
    try:
        for batch in table.iter_batches(batch_size=_PARQUET_ROWS, columns=[text_key], use_threads=False):
            for text in batch.column(0).to_pylist():
                yield from _document(_field({text_key: text}, text_key, f"{file}, row {row}"))
                row += 1
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is damaged after row {row} ({error}): fetch it again") from error


def _parquet(file: Path) -> Any:
    """An open `pyarrow.parquet.ParquetFile`. Raises `ValueError` without pyarrow, or for a torn file."""
    require_parquet(file)
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(file, pre_buffer=False)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{file} is no whole parquet file ({error}): fetch it again") from error


def require_parquet(what: object) -> None:
    """Raise `ValueError`, naming the extra to install, where parquet cannot be read."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ValueError(f"reading {what} needs pyarrow: pip install 'pretraining-lab[parquet]'") from error


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


def _open(file: Path) -> io.BufferedIOBase:
    return gzip.open(file, "rb") if file.name.lower().endswith(".gz") else open(file, "rb")


def _not_text(file: Path, encoding: str, byte: int, error: UnicodeDecodeError) -> NoReturn:
    wrong = error.object[error.start : error.start + 1].hex()
    remedy = f"iconv -f WINDOWS-1252 -t UTF-8 '{file}' > new.txt" if encoding == "utf-8" else "save it again as UTF-8"
    raise ValueError(
        f"{file} is not {encoding.upper()}: byte {byte} (0x{wrong}) {error.reason}; convert it ({remedy}, or"
        f" whatever encoding it is in), or leave it out of data.path if it is binary"
    ) from error
