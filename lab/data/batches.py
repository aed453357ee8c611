"""Which text step n sees: a pure function of (seed, n).

The training tokens are cut into sequences of `context_length`; an epoch is one pass over all of them in a shuffled
order, each exactly once. Sequence i of a run is sequence `i mod per_epoch` of epoch `i div per_epoch`, and step n takes
sequences `[n·S, (n+1)·S)`; where S changes in the middle of a run, the next step takes those that come next. There is
no state: resume is exact, "show me batch 731" is a look-up, two runs that differ in one setting see the same data, and
a machine of many takes its slice of the same S sequences.

The shuffle is a Feistel network (Luby and Rackoff 1988): a few rounds of hashing that map 0..N-1 onto itself, one to
one, so the k-th sequence is computed and no list of N indices is kept. Each epoch also shifts its cuts by a few tokens,
so that what was split at a border last time is seen whole the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from lab.hashing import GOLDEN, MASK, mix64

IGNORED = -1  # a target that does not count
MOST_SEQUENCES = 1 << 62
_ROUNDS = 6  # of the Feistel network
_BLOCK = 4096  # starts computed at a time: 12 cost almost as much as 4096 (numpy's overhead per call)
_KEPT = 8  # blocks


def mix(x: np.ndarray) -> np.ndarray:
    """The next number of SplitMix64 (`lab.hashing`) after the state `x`, uint64."""
    return mix64(x + np.uint64(GOLDEN))


def permute(indices: np.ndarray, n: int, keys: np.ndarray) -> np.ndarray:
    """Where each of `indices` (in 0..n-1) lands in the shuffle its key names; int64, same shape.

    The network shuffles 0..4^h-1, the smallest such range that holds n (at most 4n). An index that lands at n or beyond
    is sent through again until it lands inside: cycle walking (Black and Rogaway 2002), 4 passes at most on average.
    `keys` are uint64, of the same shape or one for all.
    """
    half = np.uint64(max(1, (max(n - 1, 1).bit_length() + 1) // 2))
    low = (np.uint64(1) << half) - np.uint64(1)
    x, keys = indices.astype(np.uint64), np.broadcast_to(keys, indices.shape)
    walking = np.ones(x.shape, dtype=bool)
    while walking.any():
        left, right, key = x[walking] >> half, x[walking] & low, keys[walking]
        for _ in range(_ROUNDS):
            key = mix(key)
            left, right = right, left ^ (mix(right ^ key) & low)
        x[walking] = (left << half) | right
        walking = x >= n
    return x.astype(np.int64)


def sequences_per_epoch(n_tokens: int, context_length: int) -> int:
    """Sequences one pass over `n_tokens` has; 0 where not even one and its last target fit.

    One fewer than would fit, which makes room to shift the cuts by any offset below a context length; where only one
    fits, what is over is the room.
    """
    fits = max(0, n_tokens - 1) // context_length
    return max(1, fits - 1) if fits else 0


class SequenceOrder:
    """Where in the token stream sequence i of a run starts, for every i from 0 to infinity.

    Raises `ValueError` when the stream is shorter than one sequence and its last target.
    """

    def __init__(self, n_tokens: int, context_length: int, seed: int) -> None:
        self.per_epoch = sequences_per_epoch(n_tokens, context_length)
        if not self.per_epoch:
            raise ValueError(f"{n_tokens} tokens make no sequence of {context_length} and its last target")
        self.context_length = context_length
        self.seed = seed
        self._offsets = min(context_length, n_tokens - self.per_epoch * context_length)
        self._blocks: dict[int, np.ndarray] = {}

    def starts(self, indices: np.ndarray) -> np.ndarray:
        """First token of each sequence; int64, same shape as `indices`."""
        blocks = indices // _BLOCK
        first, last = int(blocks.min()), int(blocks.max())
        if first == last:
            return self._block(first)[indices - first * _BLOCK]
        starts = np.empty(indices.shape, dtype=np.int64)
        for block in range(first, last + 1):
            inside = blocks == block
            starts[inside] = self._block(block)[indices[inside] - block * _BLOCK]
        return starts

    def _block(self, block: int) -> np.ndarray:
        """The starts of one block of sequences; the last few blocks are kept."""
        if block not in self._blocks:
            if len(self._blocks) >= _KEPT:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[block] = self._compute_block(block)
        return self._blocks[block]

    def _compute_block(self, block: int) -> np.ndarray:
        indices = np.arange(block * _BLOCK, (block + 1) * _BLOCK, dtype=np.int64)
        epochs, positions = np.divmod(indices, self.per_epoch)
        keys = mix(mix(np.array([self.seed & MASK], dtype=np.uint64)) ^ epochs.astype(np.uint64))
        places = permute(positions, self.per_epoch, keys)
        shifts = keys % np.uint64(self._offsets)
        return places * self.context_length + shifts.astype(np.int64)


def random_windows(n_tokens: int, context_length: int, val_tokens: int | None, key: int) -> np.ndarray | None:
    """Which of a held-out text's sequences, cut without overlap, make about `val_tokens`; int64, in the order of `key`.

    None where all of them are needed. Single blocks of 200,000 tokens of a text of many documents differ by ± 4 % in
    unigram loss, as many tokens in random windows of 128 by 0.1 %; any first few of these windows are a sample, too.
    """
    whole = max(0, n_tokens - 1) // context_length
    wanted = whole + 1 if val_tokens is None else -(-val_tokens // context_length)
    if wanted > whole:
        return None
    return permute(np.arange(wanted), whole, mix(np.array([key & MASK], dtype=np.uint64)))


class Sequences(Protocol):
    """A source of sequences, training ones without end and validation ones in a fixed order."""

    n_val: int
    """Validation sequences."""
    per_epoch: int | None
    """Training sequences in one pass over the text; none where they are made and never repeat."""

    def train(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(tokens, targets), int64 `[n, context]`, of the training sequences with these indices."""
        ...

    def val(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """(tokens, targets), int64 `[stop - start, context]`, of validation sequences start..stop-1."""
        ...

    def val_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(tokens, targets), int64 `[n, context]`, of the validation sequences with these numbers."""
        ...

    def val_subset(self, n: int) -> np.ndarray | None:
        """The numbers of `n` validation sequences drawn at random, the same in all runs on the same held-out text;
        None where there are no more than that."""
        ...

    def val_stream(self, n: int) -> np.ndarray:
        """The first `n` ids of the validation split in a row (fewer where it has fewer), int64."""
        ...


class TextSequences:
    """Sequences cut from two token streams.

    Validation windows follow each other without overlap over the whole stream; the last one is filled up with targets
    of -1. So every validation token but the very first is predicted exactly once. Where only `val_tokens` of them are
    asked for they are `random_windows`, the same for all whose `val_key` is the same.
    """

    def __init__(
        self,
        train: np.ndarray,
        val: np.ndarray,
        context_length: int,
        seed: int,
        *,
        val_tokens: int | None = None,
        val_key: int = 0,
    ) -> None:
        self.order = SequenceOrder(len(train), context_length, seed)
        self.per_epoch: int | None = self.order.per_epoch
        self.windows = random_windows(len(val), context_length, val_tokens, val_key)
        self._val_targets = len(val) - 1 if val_tokens is None else min(val_tokens, len(val) - 1)
        self.n_val = -(-self._val_targets // context_length)
        self._train, self._val, self._val_key = train, val, val_key
        self._window = np.arange(context_length + 1)

    def train(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # One gather out of the memory map: about 10 µs for 12 sequences of 64.
        ids = self._train[self.order.starts(indices)[:, None] + self._window].astype(np.int64)
        return ids[:, :-1], ids[:, 1:]

    def val(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return self.val_rows(np.arange(start, stop))

    def val_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        context = len(self._window) - 1
        at = (rows if self.windows is None else self.windows[rows])[:, None] * context + self._window
        ids = self._val[np.minimum(at, len(self._val) - 1)].astype(np.int64)
        counted = rows[:, None] * context + self._window[1:] <= self._val_targets
        return ids[:, :-1], np.where(counted, ids[:, 1:], IGNORED)

    def val_subset(self, n: int) -> np.ndarray | None:
        if n >= self.n_val:
            return None
        if self.windows is not None:  # in the order of the key already: the first of them are the same windows
            return np.arange(n)
        context = len(self._window) - 1
        return random_windows(len(self._val), context, n * context, self._val_key)

    def val_stream(self, n: int) -> np.ndarray:
        return self._val[:n].astype(np.int64)


class SyntheticSequences:
    """Sequences of a made corpus: training sequence i is made from (seed, i), so no epoch ever ends.

    `make(split, indices, length)` returns ids `[n, length + 1]` and which targets count `[n, length]`.
    """

    def __init__(
        self, make: Callable[[str, np.ndarray, int], tuple[np.ndarray, np.ndarray]], context_length: int, n_val: int
    ) -> None:
        self._make, self._context, self.n_val = make, context_length, n_val
        self.per_epoch: int | None = None

    def train(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._sequences("train", indices)

    def val(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return self.val_rows(np.arange(start, stop))

    def val_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._sequences("val", rows)

    def val_subset(self, n: int) -> np.ndarray | None:
        return None if n >= self.n_val else np.arange(n)  # each is made from its number: the first are as random as any

    def val_stream(self, n: int) -> np.ndarray:
        tokens, _ = self.val(0, min(self.n_val, -(-n // self._context)))
        return tokens.reshape(-1)[:n]

    def _sequences(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ids, counts = self._make(split, indices, self._context)
        ids = ids.astype(np.int64)
        return ids[:, :-1], np.where(counts, ids[:, 1:], IGNORED)


def step_batch(
    source: Sequences,
    step: int,
    sequences_per_step: int,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    *,
    start: int = 0,
) -> tuple[Tensor, Tensor]:
    """What `rank` of `world_size` trains on in step `step`: (tokens, targets), int64 `[micro-batch, batch, position]`.

    Step 0 reads from sequence `start` on. The S sequences of a step are the same whatever the micro-batch and however
    many share them; rank r takes the r-th part of them, in order.
    """
    if step < 0:
        raise ValueError(f"step {step} does not exist: the first is 0")
    if start + (step + 1) * sequences_per_step > MOST_SEQUENCES:
        raise ValueError(f"step {step} does not exist: sequences are counted up to 2^62")
    share = sequences_per_step // world_size
    first = start + step * sequences_per_step + rank * share
    tokens, targets = source.train(np.arange(first, first + share, dtype=np.int64))
    shape = (share // batch_size, batch_size, tokens.shape[-1])
    return as_tensor(tokens).reshape(shape), as_tensor(targets).reshape(shape)


def as_tensor(ids: np.ndarray) -> Tensor:
    """An int64 tensor laid out in a row: a loss may flatten it."""
    return torch.from_numpy(np.ascontiguousarray(ids))
