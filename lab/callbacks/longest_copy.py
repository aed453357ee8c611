"""How much of a text was copied: the longest run of tokens that also stands in the training text, verbatim.

The samples are tiny and the training text is long, so the samples are indexed and the text is scanned once:
each stretch of 8 tokens gets a rolling hash, a table of a million bits says whether a sample has one of that
hash, and the few places that are left are compared token by token as far as they agree. Exact, since every
copy of 8 tokens or more begins with such a stretch; samples without one are scanned for again with stretches of 2
and of 1. About 10 ns a training token, no index on disk or in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEARCHED_TOKENS = 10_000_000  # of a longer training text only its first ones are searched: 0.1 s
STRETCHES = (8, 2, 1)  # tokens of a stretch; the shorter ones for samples without a longer one
_CHUNK = 1 << 20  # tokens hashed at a time
_TABLE_BITS = 20
_FACTOR = np.uint32(0x9E3779B1)  # 2^32 over the golden ratio, odd: spreads neighbouring ids over all bits

Ids = NDArray[Any]


@dataclass(frozen=True)
class Copy:
    """The longest copied run of a sample: `length` tokens from `start` on, at `place` in the training text.

    `searched` tokens of that were looked through. No run at all: length 0.
    """

    length: int
    start: int
    place: int
    searched: int


def longest_copies(samples: Sequence[Sequence[int]], text: Ids) -> list[Copy]:
    """For each sample (token ids) its longest run that occurs in `text` `[tokens]`."""
    searched = min(len(text), SEARCHED_TOKENS)
    found = [Copy(0, 0, 0, searched) for _ in samples]
    for n in STRETCHES:
        open_ = [i for i, copy in enumerate(found) if copy.length == 0 and len(samples[i]) >= n]
        if not open_:
            continue
        stretches = _Stretches([np.asarray(samples[i], dtype=np.uint32) for i in open_], n)
        for begin in range(0, max(1, searched - n + 1), _CHUNK):
            for which, length, start, place in stretches.best_in(text, begin, searched):
                if length > found[open_[which]].length:
                    found[open_[which]] = Copy(length, start, place, searched)
    return found


class _Stretches:
    """All stretches of n tokens of some samples, ready to be looked for."""

    def __init__(self, samples: Sequence[NDArray[np.uint32]], n: int) -> None:
        self.n = n
        # The samples in a row, each ended by an id that no text has.
        self.row = np.concatenate([np.append(s, np.uint32(0xFFFFFFFF)) for s in samples])
        ends = np.cumsum([len(s) + 1 for s in samples])
        self.begins = np.concatenate([[0], ends[:-1]])
        self.at = np.concatenate([np.arange(b, e - n) for b, e in zip(self.begins, ends, strict=True)])
        keys = _hash(self.row, n)[self.at]
        order = np.argsort(keys, kind="stable")
        self.at, self.keys = self.at[order], keys[order]
        self.table = np.zeros(1 << _TABLE_BITS, dtype=bool)
        self.table[self.keys >> np.uint32(32 - _TABLE_BITS)] = True

    def best_in(self, text: Ids, begin: int, stop: int) -> list[tuple[int, int, int, int]]:
        """For each sample met in the chunk from `begin`: (sample, length, start in it, place in the text)."""
        chunk = np.asarray(text[begin : min(begin + _CHUNK + self.n - 1, stop)]).astype(np.uint32)
        if len(chunk) < self.n:
            return []
        keys = _hash(chunk, self.n)
        places = np.flatnonzero(self.table[keys >> np.uint32(32 - _TABLE_BITS)])
        low = np.searchsorted(self.keys, keys[places], "left")
        count = np.searchsorted(self.keys, keys[places], "right") - low
        place = np.repeat(places, count) + begin
        at = self.at[np.repeat(low, count) + _ramps(count)]
        # Where the tokens before agree as well, the run began earlier and is met there. Of a text with much
        # indentation that leaves thousands of pairs, else millions: every blank with every blank.
        before = np.asarray(text[np.maximum(place - 1, 0)]).astype(np.uint32)
        starts = (before != self.row[at - 1]) | (place == 0)
        place, at = place[starts], at[starts]
        length = self._agree(text, place, at, stop)
        real = length >= self.n  # equal hashes are no proof
        place, at, length = place[real], at[real], length[real]
        which = np.searchsorted(self.begins, at, "right") - 1
        best = []
        for sample in np.unique(which):
            mine = np.flatnonzero(which == sample)
            i = mine[np.argmax(length[mine])]
            best.append((int(sample), int(length[i]), int(at[i] - self.begins[sample]), int(place[i])))
        return best

    def _agree(self, text: Ids, place: NDArray[np.int64], at: NDArray[np.int64], stop: int) -> NDArray[np.int64]:
        """How many tokens agree from each pair of places on."""
        length = np.zeros(len(place), dtype=np.int64)
        alive = np.arange(len(place))
        while len(alive):
            where = place[alive] + length[alive]
            inside = where < stop
            alive, where = alive[inside], where[inside]
            same = np.asarray(text[where]).astype(np.uint32) == self.row[at[alive] + length[alive]]
            alive = alive[same]
            length[alive] += 1
        return length


def _hash(ids: NDArray[np.uint32], n: int) -> NDArray[np.uint32]:
    """A hash of each n neighbours (n a power of two), put together from those of their halves."""
    keys, width, factor = ids * _FACTOR, 1, _FACTOR
    while width < n:
        factor = np.uint32(int(factor) ** 2 & 0xFFFFFFFF | 1)
        keys = keys[:-width] * factor + keys[width:]
        width *= 2
    return keys


def _ramps(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 … counts[0]-1, 0 … counts[1]-1, …"""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
