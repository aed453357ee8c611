"""Which part of a text is held out: whole documents, as many as make the share, and the end of one where they do not.

Documents are taken in the order of a hash of their content, so copies go together and another document moves few
others. The one that crosses the asked share is taken whole, or left whole, where that misses the share by less than a
tenth; else it is cut, and its end is held out. A text of one document is the same case: it is cut once.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import numpy as np

NEAR = 0.1  # of the smaller side
_WHOLE = 1 << 62  # a cut behind every end


class HoldOut(NamedTuple):
    """Documents whose hash lies under `below` are held out; of those whose hash it is, what follows on byte `cut`."""

    below: int
    cut: int

    def cut_of(self, hash_: int) -> int:
        """The byte of a document with this hash from which on it is held out: 0 for all of it."""
        return self.cut if hash_ == self.below else 0 if hash_ < self.below else _WHOLE

    def trains(self, hashes: np.ndarray, sizes: np.ndarray) -> int:
        """Bytes that are not held out of documents with these hashes and sizes."""
        cut_one = np.minimum(sizes[hashes == np.uint64(self.below)], self.cut)
        return int(sizes[hashes > np.uint64(self.below)].sum() + cut_one.sum())


def hold_out(hashes: np.ndarray, sizes: np.ndarray, fraction: float) -> HoldOut | None:
    """What to hold out of documents with these `hashes`, uint64, and `sizes` in bytes, so that it is about `fraction`.

    Some text is on either side; none where all documents are the same one of a single byte.
    """
    known, group = np.unique(hashes, return_inverse=True)
    held = np.cumsum(np.bincount(group, weights=sizes)).astype(np.int64)
    total = int(held[-1])
    # The first int(0.9·n) bytes of a single document train: nanoGPT's split of TinyShakespeare.
    target = total - int(total * (1 - fraction))
    i = min(int(np.searchsorted(held, target)), len(known) - 1)
    with_it, without = int(held[i]), int(held[i - 1]) if i else 0
    below, copies = int(known[i]), sizes[group == i]
    choices = [(with_it, 0)] * (with_it < total) + [(without, _WHOLE)] * (without > 0)
    nearest = min(choices, key=lambda choice: abs(choice[0] - target), default=None)
    if nearest is not None and abs(nearest[0] - target) <= NEAR * min(target, total - target):
        return HoldOut(below, nearest[1])
    inside = range(1, int(copies.max()))
    if inside:
        fits = bisect_right(inside, without - target, key=lambda cut: -int(np.maximum(copies - cut, 0).sum()))
        return HoldOut(below, max(1, fits))
    return None if nearest is None else HoldOut(below, nearest[1])
