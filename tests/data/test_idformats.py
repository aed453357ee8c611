"""Files of token ids as other programs write them, recognised by their content."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lab.data.idformats import holds_ids, implied_vocabulary, is_readable, open_ids

IDS = [50256, 15496, 995, 0, 13, 50256, 7, 8, 9] * 50
VOCAB = 50257


def llmc(
    path: Path,
    ids: Sequence[int],
    magic: int = 20240520,
    version: int = 1,
    dtype: type = np.uint16,
    n: int | None = None,
) -> Path:
    """A file as llm.c's `write_datafile` writes it."""
    header = np.zeros(256, dtype=np.int32)
    header[:3] = magic, version, len(ids) if n is None else n
    path.write_bytes(header.tobytes() + np.array(ids, dtype=dtype).tobytes())
    return path


def megatron(path: Path, documents: Sequence[Sequence[int]], code: int = 8, dtype: type = np.uint16) -> Path:
    """`path`.bin and .idx as Megatron's `IndexedDatasetBuilder` writes them, a sequence each document."""
    lengths = np.array([len(one) for one in documents], dtype=np.int32)
    ids = np.concatenate([np.array(one, dtype=dtype) for one in documents])
    path.with_suffix(".bin").write_bytes(ids.tobytes())
    pointers = (np.cumsum(lengths) - lengths).astype(np.int64) * ids.itemsize
    index = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, code, len(lengths), len(lengths) + 1)
    index += lengths.tobytes() + pointers.tobytes() + np.arange(len(lengths) + 1, dtype=np.int64).tobytes()
    path.with_suffix(".idx").write_bytes(index)
    return path.with_suffix(".bin")


def raw(path: Path, ids: Sequence[int], dtype: type = np.uint16) -> Path:
    np.array(ids, dtype=dtype).tofile(path)
    return path


def test_headers_of_llm_c(tmp_path: Path) -> None:
    found = open_ids(llmc(tmp_path / "a.bin", IDS), VOCAB)
    assert (found.ids.tolist(), found.before, found.vocabulary) == (IDS, True, "gpt2")
    assert isinstance(found.ids, np.memmap)
    wide = open_ids(llmc(tmp_path / "b.bin", [128000, *IDS], 20240801, 7, np.uint32), 128256)
    assert (wide.ids.tolist(), wide.before, wide.vocabulary) == ([128000, *IDS], True, None)
    assert implied_vocabulary(tmp_path / "a.bin") == "gpt2"
    assert implied_vocabulary(tmp_path / "b.bin") is None


@pytest.mark.parametrize("name", ["train.bin", "part-0-00000.npy"])
@pytest.mark.parametrize(("dtype", "vocab_size"), [(np.uint16, VOCAB), (np.uint32, VOCAB), (np.uint32, 128256)])
def test_ids_and_nothing_else(tmp_path: Path, name: str, dtype: type, vocab_size: int) -> None:
    found = open_ids(raw(tmp_path / name, IDS, dtype), vocab_size)
    assert (found.ids.dtype, found.ids.tolist(), found.before) == (dtype, IDS, False)


def test_one_byte_an_id_where_the_vocabulary_is_small(tmp_path: Path) -> None:
    ids = [i % 200 for i in range(1001)]
    assert open_ids(raw(tmp_path / "a.npy", ids, np.uint8), 200).ids.tolist() == ids


def test_a_file_of_np_save_is_told_from_raw_ids(tmp_path: Path) -> None:
    for dtype in (np.uint16, np.int32, np.int64):
        np.save(tmp_path / "a.npy", np.array(IDS, dtype=dtype).reshape(-1, 9))
        assert open_ids(tmp_path / "a.npy", VOCAB).ids.tolist() == IDS
    np.save(tmp_path / "f.npy", np.zeros(9))
    with pytest.raises(ValueError, match=r"an array of float64 \[9\]: token ids are integers"):
        open_ids(tmp_path / "f.npy", VOCAB)


@pytest.mark.parametrize(("code", "dtype"), [(8, np.uint16), (4, np.int32)])
def test_an_index_of_megatron(tmp_path: Path, code: int, dtype: type) -> None:
    documents = [[1, 2, 3], [4], [5, 6, 7, 50256]]
    found = open_ids(megatron(tmp_path / "c_text_document", documents, code, dtype), VOCAB)
    assert found.ids.tolist() == [1, 2, 3, 4, 5, 6, 7, 50256]
    assert found.starts is not None
    assert found.starts.tolist() == [0, 3, 4]


def test_torn_and_foreign_files(tmp_path: Path) -> None:
    def refused(file: Path, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            open_ids(file, VOCAB)

    refused(llmc(tmp_path / "a.bin", IDS, n=len(IDS) + 5), r"a\.bin is torn: its header says 455 ids and it holds 450")
    refused(llmc(tmp_path / "a.bin", IDS, version=2), "format 20240520 in version 2: version 1 is read")
    refused(llmc(tmp_path / "a.bin", IDS, magic=20240522), r"multiple-choice questions of llm\.c")
    cut = megatron(tmp_path / "m", [[1, 2], [3]])
    cut.write_bytes(cut.read_bytes()[:-2])
    refused(cut, r"m\.bin is torn: its index tells of 3 ids and it holds 2")
    cut.with_suffix(".idx").write_bytes(cut.with_suffix(".idx").read_bytes()[:-9])
    refused(cut, r"m\.idx is torn")
    cut.with_suffix(".idx").write_bytes(b"TNTIDX\0\0" * 9)
    refused(cut, r"m\.idx is no index of Megatron's")
    (tmp_path / "t.bin").write_text("It was the best of times. " * 9000)
    refused(tmp_path / "t.bin", r"t\.bin is text: set data\.corpus to text")
    (tmp_path / "z.npy").write_bytes(b"PK\3\4" + bytes(99))
    refused(tmp_path / "z.npy", r"z\.npy is a zip archive")
    refused(raw(tmp_path / "w.bin", [60000, 3] * 99), r"w\.bin is no file of token ids under this vocabulary of 50,257")
    refused(tmp_path / "w.bin", "read as uint16 it holds 60,000; name another data.tokenizer")
    (tmp_path / "o.bin").write_bytes(bytes([0, 200, 9]) * 33)
    refused(tmp_path / "o.bin", "no whole number of uint32 and its 99 bytes are no whole number of uint16")
    (tmp_path / "e.bin").touch()
    refused(tmp_path / "e.bin", r"e\.bin is empty")
    refused(tmp_path / "missing.bin", "cannot read .*No such file")


def test_what_content_alone_marks(tmp_path: Path) -> None:
    assert holds_ids(llmc(tmp_path / "a.bin", IDS))
    assert holds_ids(megatron(tmp_path / "m", [[1, 2]]))
    assert not holds_ids(raw(tmp_path / "r.bin", IDS))
    assert is_readable("größer ".encode()[:4])
    assert not is_readable(b"abc\0")
    assert not is_readable(b"caf\xe9 and more")
