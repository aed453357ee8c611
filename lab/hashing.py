"""Hashes: the sha256 of a file, and 64-bit numbers that look random."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np

GOLDEN = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: multiples of it spread over all 64-bit numbers
MASK = 2**64 - 1

N = TypeVar("N", int, "np.ndarray")


def file_sha256(path: Path, read: Callable[[int], object] = int) -> str:
    """sha256 of a file's bytes, in hex; about 1 GB/s. Raises `OSError` for a file that cannot be read.

    `read` is told of every part, how many bytes it has.
    """
    digest, part = hashlib.sha256(), bytearray(1 << 20)
    with open(path, "rb", buffering=0) as file:
        while n := file.readinto(part):
            digest.update(memoryview(part)[:n])
            read(n)
    return digest.hexdigest()


def mix64(x: N) -> N:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): one to one on 64-bit numbers, so neighbours that go in
    come out unlike each other. For an int in 0..2^64-1 or an array of uint64.
    """
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)
