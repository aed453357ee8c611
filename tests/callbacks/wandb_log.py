"""What an offline W&B file holds: a LevelDB log of protobuf records, decoded without W&B's own (private) reader."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 32 * 1024
FILE_HEADER = 7


def records(path: Path) -> Iterator[bytes]:
    """The payloads: blocks of 32 KiB hold chunks of (crc32, length, type); types 1 whole, 2 first, 3 middle, 4 last."""
    data, at, parts = path.read_bytes(), FILE_HEADER, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        chunk = data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind == 0 or len(chunk) < length:
            return
        parts = chunk if kind in (1, 2) else parts + chunk
        if kind in (1, 4):
            yield parts


def history(run: Path, patience: float = 120.0) -> list[dict[str, Any]]:
    """The logged rows of the newest offline run in a run directory, once its last record is on the disk."""
    from wandb.proto.wandb_internal_pb2 import Record

    path = max(run.glob("wandb/offline-run-*/run-*.wandb"), key=lambda p: p.stat().st_mtime)
    deadline = time.monotonic() + patience
    while True:
        decoded = [Record.FromString(payload) for payload in records(path)]
        if any(record.HasField("exit") for record in decoded) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return [_row(record.history) for record in decoded if record.HasField("history")]


def _row(logged: Any) -> dict[str, Any]:
    """One row; what was a dictionary is stored by its parts."""
    row: dict[str, Any] = {}
    for item in logged.item:
        place = row
        *folders, name = item.nested_key or [item.key]
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = json.loads(item.value_json)
    return row
