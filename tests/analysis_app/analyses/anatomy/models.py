"""A model that no run holds, opened as the page opens one."""

from __future__ import annotations

import threading

from analysis_app.library import Opened
from analysis_app.library.result_cache import ResultCache
from lab.data.vocabulary import ByteTokenizer
from lab.loading import Loaded
from lab.model import GPT


def open_model(model: GPT) -> Opened:
    """That model, over bytes."""
    loaded = Loaded(model, ByteTokenizer(), "made")
    return Opened(loaded, key=("made",), size=0, lock=threading.RLock(), results=ResultCache())
