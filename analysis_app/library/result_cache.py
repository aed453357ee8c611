"""A cache of results, so that no analysis is computed twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import is_dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")


class ResultCache:
    """The results used last, each under a key that names the weights and the question: `most` of them, with
    `most_bytes` of arrays. Safe for threads.
    """

    def __init__(self, most: int = 4096, most_bytes: int = 512 * 2**20) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def peek(self, key: Hashable) -> Any:
        """The result under `key`, None where there is none."""
        found = self._find(key)
        return found and found[0]

    def get(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """The result under `key`; `make` computes it where there is none. Threads that ask for it meanwhile wait, and
        compute it themselves if the first has failed or given up.

        Do not hold a model's lock here if `make` takes it: a thread that is computing would wait for that lock.
        """
        with self._lock:
            mine = self._making.setdefault(key, threading.Lock())
        with mine:
            if kept := self._find(key):
                return kept[0]  # type: ignore[no-any-return]
            found = make()
            with self._lock:
                self._kept[key] = found, _size(found)
                while len(self._kept) > 1 and self._too_many():
                    self._making.pop(self._kept.popitem(last=False)[0], None)
        return found

    def _find(self, key: Hashable) -> tuple[Any, int] | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _too_many(self) -> bool:
        return len(self._kept) > self.most or sum(size for _, size in self._kept.values()) > self.most_bytes


def _size(result: Any) -> int:
    """Bytes of the arrays in a result: an array, or a list, mapping or dataclass of them."""
    if isinstance(result, dict) or is_dataclass(result):
        result = list((result if isinstance(result, dict) else vars(result)).values())
    return sum(map(_size, result)) if isinstance(result, list) else getattr(result, "nbytes", 0)
