"""Results are computed once, and dropped for newer ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from analysis_app.library.result_cache import ResultCache
from analysis_app.server.jobs import GivenUpError


def test_a_result_is_made_once_whoever_asks() -> None:
    results, made = ResultCache(), []

    def make() -> int:
        made.append(1)
        return 42

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: results.get("key", make), range(24))) == [42] * 24
    assert len(made) == 1


def test_what_failed_is_made_by_the_next_and_old_ones_are_given_up() -> None:
    results = ResultCache(most=2)

    def fail() -> int:
        raise GivenUpError

    with pytest.raises(GivenUpError):
        results.get("a", fail)
    assert results.get("a", lambda: 1) == 1
    assert results.get("b", lambda: 2) == 2
    assert results.get("a", lambda: 9) == 1
    assert results.get("c", lambda: 3) == 3
    assert results.get("b", lambda: 8) == 8  # the one asked for longest ago
    assert results.get("c", lambda: 9) == 3


def test_large_results_are_given_up_for_memory() -> None:
    import numpy as np

    results = ResultCache(most_bytes=1000)
    for name in ("a", "b"):
        results.get(name, lambda: [np.zeros(100)])
    assert results.get("b", lambda: None) is not None
    assert results.get("a", lambda: "anew") == "anew"
