"""Arrow files as `datasets` saves them, and as others do. Parquet: test_text_files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.data.text_files import read_pieces

pyarrow = pytest.importorskip("pyarrow")
ipc = pytest.importorskip("pyarrow.ipc")

TEXTS = [f"Geschichte {i} 🦄, longer than a view holds inline" for i in range(2500)]


def save(path: Path, column: Any, *, stream: bool = True) -> Path:
    """`column` as the text of an Arrow file, in record batches of 1000 as `datasets` writes them."""
    table = pyarrow.table({"id": pyarrow.array(range(len(column))), "text": column})
    with pyarrow.OSFile(str(path), "wb") as out, (ipc.new_stream if stream else ipc.new_file)(out, table.schema) as to:
        to.write_table(table, max_chunksize=1000)
    return path


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "dictionary"])
def test_every_kind_of_text_column(tmp_path: Path, kind: str, stream: bool) -> None:
    plain = pyarrow.array([*TEXTS, None, " "])
    column = plain.dictionary_encode() if kind == "dictionary" else plain.cast(getattr(pyarrow, kind)())
    file = save(tmp_path / "data-00000-of-00001.arrow", column, stream=stream)
    assert [piece.text for piece in read_pieces(file)] == TEXTS


def test_wrong_column_and_wrong_type(tmp_path: Path) -> None:
    file = save(tmp_path / "a.arrow", pyarrow.array(["x"]))
    with pytest.raises(ValueError, match=r"a\.arrow has no column 'body'; .*one of: id, text"):
        list(read_pieces(file, "body"))
    with pytest.raises(ValueError, match="row 0: the field 'id' is int, not text"):
        list(read_pieces(file, "id"))


@pytest.mark.parametrize("stream", [True, False])
def test_torn_files(tmp_path: Path, stream: bool) -> None:
    whole = save(tmp_path / "a.arrow", pyarrow.array(TEXTS), stream=stream).read_bytes()
    for n in (0, 4, 100, len(whole) // 2, len(whole) - 200):
        (tmp_path / "b.arrow").write_bytes(whole[:n])
        with pytest.raises(ValueError, match=r"b\.arrow is (no whole Arrow file|damaged after row)"):
            list(read_pieces(tmp_path / "b.arrow"))
    with pytest.raises(ValueError, match=r"cannot read .*No such file"):
        list(read_pieces(tmp_path / "missing.arrow"))
