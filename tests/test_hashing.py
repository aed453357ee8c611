"""Hashes: the published numbers of SplitMix64, the same for ints and arrays; a file's sha256."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from lab.hashing import GOLDEN, MASK, file_sha256, mix64

# The first outputs from the state 1234567, of the reference implementation in C (Vigna 2015).
PUBLISHED = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]


def test_the_published_sequence() -> None:
    states = [(1234567 + n * GOLDEN) & MASK for n in range(1, 6)]
    assert [mix64(state) for state in states] == PUBLISHED
    found = mix64(np.array(states, dtype=np.uint64))
    assert found.dtype == np.uint64
    assert found.tolist() == PUBLISHED


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content" * 1000)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"content" * 1000).hexdigest()
