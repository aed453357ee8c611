"""A model in memory, shared by all requests."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import torch

from analysis_app.library.result_cache import ResultCache
from lab.data.tokenizers import Tokenizer
from lab.interp.ablation import Progress
from lab.limits import usable_threads
from lab.loading import Loaded
from lab.model import GPT
from lab.waiting import pressure

Result = TypeVar("Result")


def no_progress(done: int, of: int) -> None:
    """Progress that is not reported."""


LOW_PRIORITY = 10  # nice: beside a busy trainer a tenth of a processor, on an idle machine all of it


class Turn:
    """Whose turn it is to compute with a model. The thread that has it computes at low priority, and while other
    programs (a trainer of this machine first of all) want the processors with as many threads as there is room for.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def acquire(self) -> None:
        """Wait for the turn."""
        self._lock.acquire()
        lower_priority(threading.get_native_id())
        torch.set_num_threads(pressure.room_for(usable_threads()[0]))

    def release(self) -> None:
        """Let others have it."""
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def lower_priority(thread: int) -> None:
    """Put a thread of this process, and those it starts, behind other programs; only Linux knows that of a thread."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, max(LOW_PRIORITY, os.getpriority(os.PRIO_PROCESS, thread)))


@dataclass(frozen=True)
class Opened:
    """A model in memory. Hold `lock` while it computes: threads that share two cores only slow each other."""

    loaded: Loaded
    key: tuple[str, ...]  # which weights: the path, and for a run step and sha256
    size: int  # bytes of its weights
    lock: Turn
    results: ResultCache

    @property
    def model(self) -> GPT:
        """The network, in evaluation mode."""
        return self.loaded.model

    @property
    def tokenizer(self) -> Tokenizer:
        """Its vocabulary."""
        return self.loaded.tokenizer

    def cached(self, question: Hashable, make: Callable[[], Result]) -> Result:
        """What `make` computes for these weights and this `question`, once; do not hold the lock here."""
        return self.results.get((self.key, question), make)

    def taking_turns(self, progress: Progress) -> Progress:
        """`progress` for work that holds the lock: at each report other threads get the model for a moment."""

        def report(done: int, of: int) -> None:
            progress(done, of)
            self.lock.release()
            try:
                time.sleep(0.001)  # a released lock goes to a waiting thread only if this one is slower
            finally:
                self.lock.acquire()

        return report
