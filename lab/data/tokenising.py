"""A stream of texts into a stream of ids, in the same order, on every core this process may use.

Threads, not processes: tiktoken and NumPy let go of the interpreter's lock while they work, and a thread needs no copy
of text or ids, starts at once from a script or a notebook alike, and ends with its process. The caller's thread reads
and writes, the others encode. What each gets does not depend on their number, so neither do the ids.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from lab.data.corpus import Piece, utf8_bytes
from lab.data.tokenizers import Tokenizer
from lab.data.vocabulary import Encode, valid_unicode
from lab.limits import usable_threads

# About 20 ms of work: enough that handing it over costs nothing, and several such are held for each thread.
BATCH_CHARACTERS = 1 << 19
_MOST_THREADS = 8  # reading takes a sixth of the time of encoding: more would wait for it, each with a vocabulary
_HELD_PER_THREAD = 3  # one at work, one waiting, one done: so that reading and encoding never wait for each other long


class Encoded(NamedTuple):
    """The ids of some text, as narrow as they are stored; the documents that end in it; its bytes."""

    ids: np.ndarray
    documents: int
    bytes: int


def tokenised(
    pieces: Iterable[Piece], tokenizer: Tokenizer, end_of_text: int | None, threads: int | None = None
) -> Iterator[Encoded]:
    """The ids of `pieces`, in their order, about `BATCH_CHARACTERS` of text at a time.

    `end_of_text`, where it is given, follows the last piece of each document. `threads` encode; None: as many as the
    process may use, at most 8. Memory is bounded by a few batches a thread and the longest piece. Raises the
    `ValueError` of a piece that cannot be read or encoded.
    """
    encoder = _Encoder(tokenizer, end_of_text)
    threads = threads or min(_MOST_THREADS, usable_threads()[0])
    if threads == 1:
        yield from map(encoder, _batches(pieces))
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tokenising")
    held: deque[Future[Encoded]] = deque()
    try:
        for batch in _batches(pieces):
            held.append(pool.submit(encoder, batch))
            if len(held) >= _HELD_PER_THREAD * threads:
                yield held.popleft().result()
        while held:
            yield held.popleft().result()
    finally:  # an error, Ctrl-C, or nobody reads on: what has not begun is dropped
        pool.shutdown(cancel_futures=True)


class _Encoder(threading.local):
    """Texts → ids; each thread that calls it works with a `Tokenizer.encoder` of its own."""

    def __init__(self, tokenizer: Tokenizer, end_of_text: int | None) -> None:
        self._tokenizer = tokenizer
        self._end = [] if end_of_text is None else [np.array([end_of_text])]

    @cached_property
    def _encode(self) -> Encode:
        return self._tokenizer.encoder()

    def __call__(self, texts: list[tuple[str, bool]]) -> Encoded:
        parts, documents, n_bytes = [], 0, 0
        for text, ends in texts:
            text = valid_unicode(text)
            parts.append(self._encode(text))
            if ends:
                parts += self._end
            documents += ends
            n_bytes += utf8_bytes(text)
        return Encoded(np.concatenate(parts, dtype=self._tokenizer.dtype, casting="unsafe"), documents, n_bytes)


def _batches(pieces: Iterable[Piece]) -> Iterator[list[tuple[str, bool]]]:
    """Texts, about `BATCH_CHARACTERS` together, each with whether a document ends with it: the next piece tells."""
    batch: list[tuple[str, bool]] = []
    held = 0
    for (text, _), (_, ends) in pairwise(chain(pieces, [Piece("", True)])):
        batch.append((text, ends))
        held += len(text)
        if held >= BATCH_CHARACTERS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
