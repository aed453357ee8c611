"""What was computed once and need not be again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

MOST_RESULTS = 128
MOST_BYTES = 256 * 2**20  # of arrays


class Results:
    """The results of the last long analyses, under the weights and what was asked of them; safe for threads."""

    def __init__(self, most: int = MOST_RESULTS, most_bytes: int = MOST_BYTES) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What is kept under `key`, else what `make` gives. Who asks while it is being made waits for it, and makes
        it if the first has failed or given up.
        """
        with self._lock:
            mine = self._making.setdefault(key, threading.Lock())
        with mine:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            found = make()
            with self._lock:
                self._kept[key] = found
                while len(self._kept) > 1 and self._too_many():
                    self._making.pop(self._kept.popitem(last=False)[0], None)
        return found

    def _too_many(self) -> bool:
        return len(self._kept) > self.most or sum(map(_size, self._kept.values())) > self.most_bytes


def _size(result: Any) -> int:
    """Bytes of the arrays in a result (a dataclass of them)."""
    return sum(getattr(value, "nbytes", 0) for value in getattr(result, "__dict__", {}).values())
