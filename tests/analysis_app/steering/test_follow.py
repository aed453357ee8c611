"""One reading for all who follow a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from analysis_app.library.cursor import Place
from analysis_app.steering import follow
from analysis_app.steering.follow import Feeds
from lab.runs import MetricsWriter, Run, create_run
from tests.patience import PATIENCE


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = create_run(tmp_path, "fox")
    MetricsWriter(made).write(0, 0, 0.0, {"train/loss": 4.0})
    return made


def run_apart(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a thread of its own: the browser's tests keep an event loop in this one."""
    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, work).result()


def test_all_clients_share_a_feed_that_ends_with_the_last(run: Run) -> None:
    async def two() -> None:
        feeds = Feeds(lambda run: {"state": "running"}, lambda run: None)
        async with feeds.follow(run) as one:
            async with feeds.follow(run) as other:
                assert one is other
                first, second = await asyncio.gather(one.next(Place()), other.next(Place()))
                assert first is second, "read once"
                assert json.loads(first.messages[0])["type"] == "metrics"
                assert one.status == {"state": "running"}
            assert feeds._feeds
        assert not feeds._feeds

    run_apart(two())


def test_a_change_of_the_files_wakes_who_waits(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "LOOK_SECONDS", 0.01)

    async def waits() -> None:
        async with Feeds(lambda run: {"state": "running"}, lambda run: None).follow(run) as feed:
            place = (await feed.next(Place())).place
            seen = feed.version
            MetricsWriter(run).write(1, 10, 1.0, {"train/loss": 3.0})
            while feed.version == seen:
                await feed.changed(seen, feed.status_version, timeout=PATIENCE)
            assert '"train/loss"' in (await feed.next(place)).messages[0]

    run_apart(waits())


def test_a_status_that_cannot_be_read_leaves_the_last_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([{"state": "running", "heartbeat_age": 1.0}])

    def describe(run: Run) -> dict[str, object]:
        try:
            return next(found)
        except StopIteration:
            raise OSError("unreadable") from None

    async def looks() -> None:
        async with Feeds(describe, lambda run: None).follow(run) as feed:
            await feed._look_at_status()
            assert feed.status["state"] == "running"
            assert feed.status_version == 1

    run_apart(looks())
