"""What happens in the runs folder, pushed: `WS /ws` for a page, `WS /ws/runs/{name}?cursor=` for one run alone.

Of a run the server sends JSON objects, each with its name as `run`:

    {"type": "hello", "run", "format": 1, "status": {…}, "facts": {…}, "reset": true|false, "anew": …, "cursor"}
    {"type": "weights", "weights": […], "steps": […]}    after the hello, and whenever a file of them has changed
    {"type": "metrics", "columns": {"step": […], "tokens": […], "time": […], "train/loss": […|null], …}, "cursor"}
    {"type": "rewind", "step": s, "cursor"}      training went back: forget every row of a step > s
    {"type": "events", "events": [{"kind", "step", "wall", …}], "cursor"}
    {"type": "samples", "samples": [{"step", "wall", "prompt", "text", …}], "cursor"}
    {"type": "status", "status": {…}}            whenever something of it has changed, and at most four times a second
    {"type": "heartbeat", "wall", "heartbeat_age"}     every 3 seconds
    {"type": "error", "reason"}                  then the connection is closed (code 1008)

`status` is `analysis_app.steering.status.run_status` (state, reason, step, total_steps, tokens, tokens_per_second,
eta_seconds, elapsed_seconds, losses, heartbeat_age, since, lr_scale, control, checkpoint, resume, …), `facts` is
`run_facts` of the same module, `weights` the rows of `GET /api/runs/{name}/checkpoints`, `steps` those that can be
opened. `reset` in a hello: forget all rows, events and samples, they come again from the first. It is true when no
cursor was given. A hello comes once more on an open connection: with `reset` and `anew` when a file turns out to be
another one than was read (truncated, replaced), without them when the facts are new (the run has begun, or goes on in
another process).

Rows are merged by step: the validation of a step comes in a line of its own, perhaps in a later message, so a value
that is null here adds nothing and takes nothing away. A long history comes in messages of some 20,000 rows.

The cursor is opaque. A client that reconnects with its last one gets what came after it, nothing lost and nothing
doubled; a cursor of a file that was replaced leads to a reset. `GET /api/runs/{name}/metrics` answers the same as
{"columns", "events", "samples", "rewind", "cursor", "reset", "more"}; with `more`, ask again at once.

On `/ws` comes first, and again whenever something of it has changed,

    {"type": "runs", "runs": [those that have changed, as `GET /api/runs` has them], "order": [all names],
     "failed_starts": [{"run", "wall", "reason", "log"}]}

and it is told which runs to follow: `{"follow": {name: cursor}, "leave": [name]}`; an empty cursor is the start, and
with null neither rows nor events nor samples are sent. A run that is followed already starts anew from that cursor. A
run that cannot be followed leaves the connection open, and is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import Field

from analysis_app.analyses.declaration import Request
from analysis_app.library import Library
from analysis_app.library.cursor import Place
from analysis_app.steering.control import find_run
from analysis_app.steering.folder import Folder
from analysis_app.steering.follow import Feed, Feeds
from analysis_app.steering.launch import Launcher
from analysis_app.steering.status import run_facts, run_status
from lab.runs import Run

CLIENT_HEARTBEAT_SECONDS = 3.0
SEND_SECONDS = 60.0  # a client that takes longer for one message is dropped
AGAIN_SECONDS = 3.0  # before a run that could not be followed is looked for again
MOST_RUNS = 20
REFUSED = 1008


def routes(library: Library, launcher: Launcher) -> APIRouter:
    """The WebSockets over the runs of `library`, and of those that `launcher` has started."""
    router = APIRouter()
    feeds = Feeds(lambda run: run_status(run, launcher.last(run.name)), library.weighed)
    folder = Folder(library, launcher)
    find = partial(find_run, library, launcher)

    @router.websocket("/ws")
    async def page(socket: WebSocket) -> None:
        await socket.accept()
        client = _Client(socket, feeds, find)
        await _first_of(socket, client.listen(), client.tell(folder), client.failed())
        await client.leave([*client.followed])

    @router.websocket("/ws/runs/{name}")
    async def follow(socket: WebSocket, name: str, cursor: str = "") -> None:
        await socket.accept()
        client = _Client(socket, feeds, find)
        await _first_of(socket, _listen(socket), client.send_changes(name, cursor))

    return router


async def _first_of(socket: WebSocket, listening: Awaitable[None], *sending: Awaitable[None]) -> None:
    """Until the client disconnects, or one of `sending` fails, which closes the connection with the reason."""
    tasks = [asyncio.ensure_future(work) for work in (listening, *sending)]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    problem = next((r for r in results if isinstance(r, ValueError | OSError)), None)
    if not done <= {tasks[0]} or problem is not None:  # else the client has disconnected
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            if problem is not None:
                await socket.send_text(_text({"type": "error", "reason": str(problem)}))
            await socket.close(REFUSED)


async def _listen(socket: WebSocket) -> None:
    """Wait until the client disconnects; its messages are ignored."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


class _Client:
    """One connection: the runs that it follows, each by a task of its own."""

    def __init__(self, socket: WebSocket, feeds: Feeds, find: Callable[[str], Run]) -> None:
        self.followed: dict[str, asyncio.Task[None]] = {}
        self._socket, self._feeds, self._find = socket, feeds, find
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sending = asyncio.Lock()

    async def listen(self) -> None:
        """Do what the client asks, until it disconnects."""
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            asked = _Asked.model_validate_json(message.get("text") or "{}")
            await self.leave([*asked.leave, *asked.follow])
            for name, cursor in asked.follow.items():
                if len(self.followed) >= MOST_RUNS:
                    raise ValueError(f"a connection follows at most {MOST_RUNS} runs")
                self.followed[name] = asyncio.create_task(self._follow(name, cursor))

    async def leave(self, names: Iterable[str]) -> None:
        """Follow these no longer."""
        tasks = [task for name in names if (task := self.followed.pop(name, None))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def failed(self) -> None:
        """Raise what has ended the sending about a run."""
        await self._broken

    async def tell(self, folder: Folder) -> None:
        """Send what is new in the folder, and a sign of life."""
        async with folder.watch():
            told, beat = None, time.monotonic()
            while True:
                seen = folder.seen
                if news := seen.since(told):
                    await self._send(news)
                told = seen
                if time.monotonic() - beat >= CLIENT_HEARTBEAT_SECONDS:
                    beat = time.monotonic()
                    await self._send({"type": "heartbeat", "wall": round(time.time(), 3)})
                await folder.changed(seen, beat + CLIENT_HEARTBEAT_SECONDS - time.monotonic())

    async def _follow(self, name: str, cursor: str | None) -> None:
        """Follow a run; one that cannot be, from its start as soon as it can."""
        said = ""
        while True:
            try:
                await self.send_changes(name, cursor, anew=bool(said))
            except TimeoutError as error:  # the client does not read
                return self._break(error)
            except (ValueError, OSError) as error:
                if str(error) != said:
                    await self._send({"type": "error", "run": name, "reason": str(error)})
                said, cursor = str(error), None if cursor is None else ""
                await asyncio.sleep(AGAIN_SECONDS)
            except Exception as error:  # the connection is gone, or a fault
                return self._break(error)

    def _break(self, error: Exception) -> None:
        """End the connection: the page comes back, and begins where it was."""
        if not self._broken.done():
            self._broken.set_exception(error)

    async def send_changes(self, name: str, cursor: str | None, *, anew: bool = False) -> None:
        """Send a run's state and what comes after the cursor; of the rows nothing where it is None.

        Raises `ValueError` for a run or a cursor that cannot be, `OSError` for a file that cannot be read.
        """
        place = Place.read(cursor or "")
        run = await asyncio.to_thread(self._find, name)
        async with self._feeds.follow(run) as feed:
            await self._hello(feed, place, reset=place == Place(), anew=anew)
            sent, weights, beat, process = feed.status_version, None, time.monotonic(), _process(feed)
            while True:
                seen, part = feed.version, None
                if feed.weights is not weights:
                    weights = feed.weights
                    found = {"weights": weights.weights, "steps": weights.steps}
                    await self._send({"type": "weights", "run": run.name} | found)
                if feed.status_version != sent:
                    sent = feed.status_version
                    await self._send({"type": "status", "run": run.name, "status": feed.status})
                if _process(feed) != process:
                    process = _process(feed)
                    await self._hello(feed, place, reset=False)
                if cursor is not None:
                    part = await feed.next(place)
                    for message in part.messages:
                        await self._send_text(message)
                    place = part.place
                if part and part.reset:
                    await self._hello(feed, place, reset=True, anew=True)
                if time.monotonic() - beat >= CLIENT_HEARTBEAT_SECONDS:
                    beat = time.monotonic()
                    await self._send(_heartbeat(feed))
                if not (part and (part.behind or part.reset)):
                    await feed.changed(seen, sent, beat + CLIENT_HEARTBEAT_SECONDS - time.monotonic())

    async def _hello(self, feed: Feed, place: Place, *, reset: bool, anew: bool = False) -> None:
        message = {"type": "hello", "run": feed.run.name, "format": 1, "status": feed.status}
        known = await asyncio.to_thread(run_facts, feed.run)
        await self._send(message | {"facts": known, "reset": reset, "anew": anew, "cursor": str(place)})

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_text(_text(message))

    async def _send_text(self, text: str) -> None:
        # Waits while the client's buffers are full: no queue here holds what it has not read.
        async with self._sending:
            await asyncio.wait_for(self._socket.send_text(text), SEND_SECONDS)


class _Asked(Request):
    """What a page asks for."""

    follow: dict[str, str | None] = Field(default_factory=dict)
    leave: list[str] = Field(default_factory=list)


def _process(feed: Feed) -> tuple[Any, bool]:
    """Changes when the facts may have: a run continues in another process, or has begun."""
    return feed.status.get("started"), feed.status.get("state") == "starting"


def _heartbeat(feed: Feed) -> dict[str, Any]:
    now, heard = time.time(), feed.status.get("heartbeat")
    age = None if heard is None else max(0.0, round(now - heard, 1))
    return {"type": "heartbeat", "run": feed.run.name, "wall": round(now, 3), "heartbeat_age": age}


def _text(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()
