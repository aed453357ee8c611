"""Hashes: the sha256 of a file, and 64-bit numbers that look random."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np

GOLDEN = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: multiples of it spread over all 64-bit numbers
MASK = 2**64 - 1

N = TypeVar("N", int, "np.ndarray")


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hex; about 1 GB/s. Raises `OSError` for a file that cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def mix64(x: N) -> N:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): one to one on 64-bit numbers, so neighbours that go in
    come out unlike each other. For an int in 0..2^64-1 or an array of uint64.
    """
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)
