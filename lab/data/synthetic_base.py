"""What synthetic corpora share: the interface, randomness without state, and the checking of their settings."""

from __future__ import annotations

import hashlib
import json
import string
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import numpy as np

from lab.checks import is_integer
from lab.data.corpus import Split
from lab.hashing import GOLDEN, mix64

Count = Literal["predictable", "all"]
Sequences = tuple[np.ndarray, np.ndarray]

# Printable characters that stand for symbols: letters first, so that few symbols read well.
POOL = string.ascii_lowercase + string.ascii_uppercase + string.digits + "!#$%&()*+,-./:;<=>?@[]^_{|}~"


@dataclass(frozen=True)
class SyntheticCorpus(ABC):
    """A rule that makes sequences of symbols; a symbol's id is its place in `alphabet`."""

    name: ClassVar[str]
    seed: int = 1337

    @property
    @abstractmethod
    def alphabet(self) -> list[str]:
        """One printable character for each symbol, in code point order: what a `char` tokenizer shows for an id."""

    @property
    @abstractmethod
    def entropy(self) -> float | None:
        """The least loss possible, nats per counted target; `None` where it depends on the length."""

    @abstractmethod
    def sequences(self, split: Split, indices: Sequence[int] | np.ndarray, length: int) -> Sequences:
        """Sequences number `indices` of `split`: (ids int64 `[n, length + 1]`, counts bool `[n, length]`).

        `ids[:, :-1]` is what a model reads and `ids[:, 1:]` what it is to predict; `counts` says which of those targets
        belong in the loss. Raises `ValueError` where `length` is too short for any to count.
        """

    def sequence(self, split: Split, i: int, length: int) -> Sequences:
        """Sequence number `i` of `split`: (ids int64 `[length + 1]`, counts bool `[length]`)."""
        ids, counts = self.sequences(split, [i], length)
        return ids[0], counts[0]

    def settings(self) -> dict[str, Any]:
        """What the corpus was made with."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def fingerprint(self) -> str:
        """sha256 of the rule: its settings, and a few of the sequences it gives."""
        sample = [self.sequences(split, range(4), 256)[0].tolist() for split in ("train", "val")]
        return hashlib.sha256(json.dumps([self.name, self.settings(), sample]).encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """What is known of the corpus: plain JSON values."""
        return {
            "name": self.name,
            "source": "made by rule",
            **self.settings(),
            "alphabet": "".join(self.alphabet),
            "entropy_nats_per_token": self.entropy,
            "fingerprint": self.fingerprint(),
        }


class SyntheticTask(SyntheticCorpus):
    """A corpus in which some targets follow from what precedes them: with `count: predictable` these alone count, and
    the floor is 0 nats; with `count: all` every target does."""

    count: Count

    @property
    def entropy(self) -> float | None:
        """0 where only predictable targets count."""
        return 0.0 if self.count == "predictable" else None

    def counted(self, predictable: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Which targets count, bool of that shape, given which are predictable."""
        return np.broadcast_to(predictable if self.count == "predictable" else True, shape)

    def count_problem(self) -> list[str]:
        """What is wrong with `count`."""
        known = self.count in ("predictable", "all")
        return [] if known else [f"count is {self.count!r}: it must be 'predictable' or 'all'"]

    def check_length(self, length: int, whole_task: int) -> None:
        """Raise `ValueError` for a context too short for any target to count; a whole task has `whole_task` symbols."""
        check_length(self.name, length, whole_task if self.count == "predictable" else 1)


# ---------------------------------------------------------------- randomness without state


def key_of(*words: object) -> int:
    """A 64-bit number that depends on `words` alone, the same in every process."""
    return int.from_bytes(hashlib.blake2b(repr(words).encode(), digest_size=8).digest(), "little")


def random_bits(name: str, seed: int, split: Split, indices: Sequence[int] | np.ndarray, n: int) -> np.ndarray:
    """`n` random 64-bit numbers for each of `indices`, uint64 `[len(indices), n]`."""
    golden = np.uint64(GOLDEN)
    rows = mix64((np.asarray(indices, dtype=np.uint64) + np.uint64(1)) * golden ^ np.uint64(key_of(name, seed, split)))
    columns = mix64(np.arange(1, n + 1, dtype=np.uint64) * golden)
    # Joined by xor and hashed again: two rows may share a number by chance, never a run of them.
    return mix64(rows[:, None] ^ columns[None, :])


def uniform(name: str, seed: int, split: Split, indices: Sequence[int] | np.ndarray, n: int) -> np.ndarray:
    """`n` random numbers in [0, 1) for each of `indices`, float64 `[len(indices), n]`."""
    return (random_bits(name, seed, split, indices, n) >> np.uint64(11)) * 2.0**-53


def below(bits: np.ndarray, n: int) -> np.ndarray:
    """Whole numbers from 0 to n - 1, int64, each as likely (to n / 2^64)."""
    return (bits % np.uint64(n)).astype(np.int64)


def pack(tokens: np.ndarray, shown: np.ndarray, counted: np.ndarray, length: int) -> Sequences:
    """Lines `[n, lines, columns]` joined without gaps and cut to `[n, length + 1]`: only what is `shown` stays."""
    n = len(tokens)
    shown = shown.reshape(n, -1)
    ends = shown.sum(axis=1).cumsum()
    take = np.concatenate([[0], ends[:-1]])[:, None] + np.arange(length + 1)
    ids = tokens.reshape(n, -1)[shown][take]
    return ids.astype(np.int64), counted.reshape(n, -1)[shown][take][:, 1:]


# ---------------------------------------------------------------- settings


def letters(n: int) -> list[str]:
    """The first `n` symbols of the pool, sorted: an alphabet."""
    return sorted(POOL[:n])


def whole_numbers(settings: SyntheticCorpus, **ranges: tuple[int, int | None]) -> list[str]:
    """What is wrong with the settings that are to be whole numbers in a range."""
    problems = []
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        if not is_integer(value) or value < low or (high is not None and value > high):
            wanted = f"from {low} to {high}" if high is not None else f"of at least {low}"
            problems.append(f"{name} is {value!r}: it must be a whole number {wanted}")
    return problems


def refuse(name: str, problems: list[str]) -> None:
    """Raise one `ValueError` with all problems of the options of corpus `name`, if there are any."""
    if problems:
        raise ValueError("\n".join(f"data.corpus_options of '{name}': {problem}" for problem in problems))


def check_length(name: str, length: int, shortest: int) -> None:
    """Raise `ValueError` for a context too short to hold a whole task of corpus `name`."""
    if length < shortest:
        raise ValueError(
            f"data.context_length is {length}: the corpus '{name}' needs {shortest}, else some"
            " sequences have no target that counts"
        )
