"""The WebSocket that follows a run while it trains: `WS /ws/runs/{name}?cursor=`.

The server sends JSON objects, and reads nothing:

    {"type": "hello", "run", "format": 1, "status": {…}, "facts": {…}, "reset": true|false, "cursor"}
    {"type": "metrics", "columns": {"step": […], "tokens": […], "time": […], "train/loss": […|null], …}, "cursor"}
    {"type": "rewind", "step": s, "cursor"}      training went back: forget every row of a step > s
    {"type": "events", "events": [{"kind", "step", "wall", …}], "cursor"}
    {"type": "samples", "samples": [{"step", "wall", "prompt", "text", …}], "cursor"}
    {"type": "status", "status": {…}}            whenever something of it has changed, and at most four times a second
    {"type": "heartbeat", "wall", "heartbeat_age"}     every 3 seconds
    {"type": "error", "reason"}                  then the connection is closed (code 1008)

`status` is `analysis_app.steering.status.run_status` (state, reason, step, total_steps, tokens, tokens_per_second,
eta_seconds, elapsed_seconds, losses, heartbeat_age, since, lr_scale, control, checkpoint, resume, …), `facts` is
`run_facts` of the same module. `reset` in a hello: forget all rows, events and samples, they come again from the first.
It is true when no cursor was given. A hello comes once more on an open connection: with `reset` when a file turns out
to be another one than was read (truncated, replaced), without it when the facts are new (the run has begun, or goes on
in another process).

Rows are merged by step: the validation of a step comes in a line of its own, perhaps in a later message, so a value
that is null here adds nothing and takes nothing away. A long history comes in messages of some 20,000 rows.

The cursor is opaque. A client that reconnects with its last one gets what came after it, nothing lost and nothing
doubled; a cursor of a file that was replaced leads to a reset. `GET /api/runs/{name}/metrics` answers the same as
{"columns", "events", "samples", "rewind", "cursor", "reset", "more"}; with `more`, ask again at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from analysis_app.library import Library
from analysis_app.steering.control import find_run
from analysis_app.steering.cursor import Place
from analysis_app.steering.follow import Feed, Feeds
from analysis_app.steering.launch import Launcher
from analysis_app.steering.status import run_facts, run_status
from lab.runs import Run

CLIENT_HEARTBEAT_SECONDS = 3.0
SEND_SECONDS = 60.0  # a client that takes longer for one message is dropped
REFUSED = 1008


def routes(library: Library, launcher: Launcher) -> APIRouter:
    """The WebSocket over the runs of `library`, and of those that `launcher` has started."""
    router = APIRouter()
    feeds = Feeds(lambda run: run_status(run, launcher.last(run.name)))
    find = partial(find_run, library, launcher)

    @router.websocket("/ws/runs/{name}")
    async def follow(socket: WebSocket, name: str, cursor: str = "") -> None:
        await socket.accept()
        listening = asyncio.create_task(_listen(socket))
        sending = asyncio.create_task(_send_changes(socket, feeds, find, name, cursor))
        done, _ = await asyncio.wait((listening, sending), return_when=asyncio.FIRST_COMPLETED)
        for task in (listening, sending):
            task.cancel()
        results = await asyncio.gather(listening, sending, return_exceptions=True)
        problem = next((r for r in results if isinstance(r, ValueError | OSError)), None)
        if sending in done:  # else the client has disconnected
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                if problem is not None:
                    await _send(socket, {"type": "error", "reason": str(problem)})
                await socket.close(REFUSED)

    return router


async def _listen(socket: WebSocket) -> None:
    """Wait until the client disconnects; its messages are ignored."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _send_changes(socket: WebSocket, feeds: Feeds, find: Callable[[str], Run], name: str, cursor: str) -> None:
    place = Place.read(cursor)
    run = await asyncio.to_thread(find, name)
    async with feeds.follow(run) as feed:
        await _hello(socket, feed, place, reset=place == Place())
        sent, beat, process = feed.status_version, time.monotonic(), _process(feed)
        while True:
            seen = feed.version
            if feed.status_version != sent:
                sent = feed.status_version
                await _send(socket, {"type": "status", "status": feed.status})
            if _process(feed) != process:
                process = _process(feed)
                await _hello(socket, feed, place, reset=False)
            part = await feed.next(place)
            for message in part.messages:
                await _send_text(socket, message)
            place = part.place
            if part.reset:
                await _hello(socket, feed, place, reset=True)
            if time.monotonic() - beat >= CLIENT_HEARTBEAT_SECONDS:
                beat = time.monotonic()
                await _send(socket, _heartbeat(feed))
            if not (part.behind or part.reset):
                await feed.changed(seen, sent, beat + CLIENT_HEARTBEAT_SECONDS - time.monotonic())


def _process(feed: Feed) -> tuple[Any, bool]:
    """Changes when the facts may have: a run continues in another process, or has begun."""
    return feed.status.get("started"), feed.status.get("state") == "starting"


async def _hello(socket: WebSocket, feed: Feed, place: Place, *, reset: bool) -> None:
    message = {"type": "hello", "run": feed.run.name, "format": 1, "status": feed.status}
    known = await asyncio.to_thread(run_facts, feed.run)
    await _send(socket, message | {"facts": known, "reset": reset, "cursor": str(place)})


def _heartbeat(feed: Feed) -> dict[str, Any]:
    now, heard = time.time(), feed.status.get("heartbeat")
    age = None if heard is None else max(0.0, round(now - heard, 1))
    return {"type": "heartbeat", "wall": round(now, 3), "heartbeat_age": age}


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    await _send_text(socket, orjson.dumps(message).decode())


async def _send_text(socket: WebSocket, text: str) -> None:
    # Waits while the client's buffers are full: no queue here holds what it has not read.
    await asyncio.wait_for(socket.send_text(text), SEND_SECONDS)
