"""A model in memory, shared by all requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

from analysis_app.library.result_cache import ResultCache
from lab.data.tokenizers import Tokenizer
from lab.interp.ablation import Progress
from lab.loading import Loaded
from lab.model import GPT

Result = TypeVar("Result")


def no_progress(done: int, of: int) -> None:
    """Progress that is not reported."""


@dataclass(frozen=True)
class Opened:
    """A model in memory. Hold `lock` while it computes: threads that share two cores only slow each other."""

    loaded: Loaded
    key: tuple[str, ...]  # which weights: the path, and for a run step and sha256
    size: int  # bytes of its weights
    lock: threading.RLock
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
