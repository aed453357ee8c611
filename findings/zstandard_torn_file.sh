#!/usr/bin/env bash
# zstandard 0.25.0, pyarrow 26.0.1; CPython 3.11; seen 2026-11-28.
#
# A .zst file whose end is missing (a download that broke off) is read by zstandard's streaming reader as a shorter
# whole: no exception, no warning, `read()` ends as at the end of a file. gzip and lzma of the standard library raise
# EOFError for the same, and pyarrow's CompressedInputStream raises OSError. A reader of .jsonl.zst that checks nothing
# trains on a part of the text; where the cut falls into the second of two frames, the first is returned whole and the
# fragment is dropped.
#
# Output seen:
#   whole: zstandard 3200000, pyarrow 3200000 of 3200000 bytes
#   torn in its last frame: zstandard returned less, without an error; pyarrow: Truncated compressed stream
#   torn 3 bytes into its second frame: zstandard returned 1600000, without an error; pyarrow: Truncated compressed stream
#   the same of gzip: EOFError
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet zstandard==0.25.0 pyarrow==26.0.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import gzip
import io
import os

import pyarrow
import zstandard

half = os.urandom(800_000).hex().encode()
frame = zstandard.ZstdCompressor().compress(half)


def by_zstandard(data: bytes) -> int:
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    return len(io.BufferedReader(reader).read())


def by_pyarrow(data: bytes) -> int:
    return len(pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "zstd").read())


whole = frame * 2
print(f"whole: zstandard {by_zstandard(whole)}, pyarrow {by_pyarrow(whole)} of {2 * len(half)} bytes")
assert by_zstandard(whole) == by_pyarrow(whole) == 2 * len(half)

for where, torn in (("in its last frame", whole[:-1000]), ("3 bytes into its second frame", whole[: len(frame) + 3])):
    returned = by_zstandard(torn)
    assert returned < 2 * len(half)
    try:
        by_pyarrow(torn)
        raise SystemExit("pyarrow no longer raises")
    except OSError as error:
        said = "less" if where.startswith("in") else returned
        print(f"torn {where}: zstandard returned {said}, without an error; pyarrow: {error}")

try:
    gzip.decompress(gzip.compress(half)[:-1000])
    raise SystemExit("gzip no longer raises")
except EOFError:
    print("the same of gzip: EOFError")
PY
