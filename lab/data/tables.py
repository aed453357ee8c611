"""Rows of columnar files, by pyarrow: parquet, and Arrow as `datasets` saves it.

`Dataset.save_to_disk` writes the *stream* format of Arrow IPC under the ending `.arrow`; other programs write the file
format (Feather 2) under the same. A text column may be string, large_string, string_view or dictionary-encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.data.opening import kind_of, require_pyarrow

_ROWS = 256  # of parquet, read at a time
_FILE_FORMAT = b"ARROW1"


def read_rows(file: Path, column: str, choose: Callable[[str, Sequence[str]], str]) -> Iterator[Any]:
    """What `column` holds, row by row. `choose` says which columns there are instead of one that is not there.

    Raises `ValueError` for a column that is not there, a damaged file, and without pyarrow.
    """
    row = 0
    with _opened(file, column, choose) as batches:
        import pyarrow

        try:
            for values in batches:
                for value in values.to_pylist():
                    yield value
                    row += 1
        except (pyarrow.ArrowException, UnicodeDecodeError, OSError) as error:
            raise ValueError(f"{file} is damaged after row {row} ({error}): fetch it again") from error


def column_bytes(file: Path, column: str) -> int | None:
    """Bytes that `column` of a parquet file takes, unpacked; `None` where the file does not tell."""
    try:
        groups = _parquet(file).metadata
    except (ValueError, OSError):
        return None  # reading it will say what is wrong
    columns = (groups.row_group(g).column(c) for g in range(groups.num_row_groups) for c in range(groups.num_columns))
    return sum(one.total_uncompressed_size for one in columns if one.path_in_schema == column)


@contextmanager
def _opened(file: Path, column: str, choose: Callable[[str, Sequence[str]], str]) -> Iterator[Iterator[Any]]:
    """The column's arrays, one after the other."""

    def check(names: Sequence[str]) -> None:
        if column not in names:
            raise ValueError(f"{file} has no column '{column}'; {choose(column, names)}")

    if kind_of(file) == "parquet":
        table = _parquet(file)
        check(table.schema_arrow.names)
        batches = table.iter_batches(batch_size=_ROWS, columns=[column], use_threads=False)
        yield (batch.column(0) for batch in batches)
        return
    require_pyarrow(file)
    import pyarrow
    from pyarrow import ipc

    file.open("rb").close()  # a missing file is OSError here, as it is for the other kinds
    with pyarrow.memory_map(str(file)) as source:
        whole = source.read(len(_FILE_FORMAT)) == _FILE_FORMAT
        source.seek(0)
        try:
            reader = ipc.open_file(source) if whole else ipc.open_stream(source)
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(f"{file} is no whole Arrow file ({error}): save or fetch it again") from error
        check(reader.schema.names)
        read = (reader.get_batch(i) for i in range(reader.num_record_batches)) if whole else iter(reader)
        yield (batch.column(column) for batch in read)


def _parquet(file: Path) -> Any:
    """An open `pyarrow.parquet.ParquetFile`. Raises `ValueError` without pyarrow, or for a torn file."""
    require_pyarrow(file)
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(file, pre_buffer=False)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{file} is no whole parquet file ({error}): fetch it again") from error
