"""Commands to a trainer: one small file each in `control/`, answered in `events.jsonl`.

Sending and answering are separate: `send_command` returns as soon as the file is there; the trainer finds it
at its next step (`poll` costs some microseconds), does it or refuses it, and says which in an event that
carries the command's id. Neither side waits for the other, and what is asked of a dead trainer is
refused, not left for the next.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from lab.files import TEMPORARY_PREFIX, sweep_temporaries, write_whole
from lab.runs.events import CommandAnswered, CommandRefused, EventReader, EventWriter
from lab.runs.heartbeats import file_system_time
from lab.runs.lines import now
from lab.runs.paths import RunPaths
from lab.runs.status import ACTIVE_STATES, read_status

MAX_PROMPT_LENGTH = 10_000  # characters
MAX_LEARNING_RATE = 1000
COARSEST_CLOCK_NS = 2_500_000_000  # FAT counts in 2 seconds, Linux in some milliseconds

_counter = itertools.count()


@dataclass(frozen=True)
class Command:
    """One command as the trainer receives it."""

    id: str
    name: str
    args: dict[str, Any] = field(default_factory=dict)
    wall: float | None = None


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_LEARNING_RATE


def _is_prompt(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_PROMPT_LENGTH


# name -> its arguments: (test, what it must be, required)
COMMANDS: dict[str, dict[str, tuple[Callable[[Any], bool], str, bool]]] = {
    "pause": {},
    "resume": {},
    "stop": {},
    "checkpoint": {},
    "sample": {"prompt": (_is_prompt, f"a text of at most {MAX_PROMPT_LENGTH} characters", False)},
    "lr": {"value": (_is_rate, f"a number from 0 to {MAX_LEARNING_RATE}", True)},
}


def command_problem(name: Any, args: Any) -> str | None:
    """Why a command is not valid; None if it is."""
    if name not in COMMANDS if isinstance(name, str) else True:
        return f"unknown command {name!r}; commands are {', '.join(COMMANDS)}"
    known = COMMANDS[name]
    if not isinstance(args, dict) or (unknown := sorted(args.keys() - known.keys())):
        takes = ", ".join(known) or "no arguments"
        return f"command {name!r} takes {takes}, not {unknown if isinstance(args, dict) else args!r}"
    problems = [
        f"command {name!r} needs {argument} to be {expected}, not {args.get(argument)!r}"
        for argument, (test, expected, required) in known.items()
        if (argument in args or required) and not test(args.get(argument))
    ]
    return "\n".join(problems) or None


def send_command(run: RunPaths, name: str, **args: Any) -> str:
    """Send a command to the trainer of a run; returns its id, which the answer carries.

    Commands: `pause`, `resume`, `stop`, `checkpoint`, `sample` (prompt), `lr` (value).
    Raises `ValueError` for a command it would not understand, or when no process trains the run.
    """
    if problem := command_problem(name, args):
        raise ValueError(problem)
    status = read_status(run)
    if status.recorded_state in ACTIVE_STATES:  # by the clock that dates its heartbeats: this machine's may be another
        run.control_dir.mkdir(exist_ok=True)
        status = read_status(run, file_system_time(run.control_dir))
    if not status.active:
        why = f" ({status.reason})" if status.reason else ""
        raise ValueError(f"run {run.name!r} is {status.state}{why}: no process trains it, so {name!r} was not sent")
    identity = f"{time.time_ns():020d}-{os.getpid()}-{next(_counter)}"
    content = {"format": 1, "id": identity, "command": name, "args": args, "wall": now(), "pid": os.getpid()}
    write_whole(run.control_dir / f"{identity}.json", orjson.dumps(content), durable=False)
    return identity


def wait_for_answer(run: RunPaths, command_id: str, timeout: float = 10.0) -> CommandAnswered | CommandRefused | None:
    """The event that answers a command, within `timeout` seconds; None if there was none.

    A trainer that dies or ends meanwhile is not waited for.
    """
    reader = EventReader(run)
    deadline, last = time.monotonic() + timeout, False
    while True:
        for event in reader.poll().events:
            if isinstance(event, CommandAnswered | CommandRefused) and event.id == command_id:
                return event
        if last or time.monotonic() >= deadline:
            return None
        time.sleep(0.05)
        last = not read_status(run).active  # its last events are still read


class ControlChannel:
    """The trainer's end: `poll()` between two steps, then `answer` or `refuse` each command.

    What lies there when the channel is opened was meant for an earlier process and is refused: a forgotten
    "stop" must not end the next training.
    """

    def __init__(self, run: RunPaths, events: EventWriter) -> None:
        self._folder = str(run.control_dir)
        self._events = events
        self._seen: set[str] = set()
        self._descriptor = -1
        self._empty_since: int | None = None  # the folder's time of change when it was last seen empty
        self._trusted_until = 0.0
        run.control_dir.mkdir(exist_ok=True)
        self._open()
        sweep_temporaries(run.control_dir, older_than=60)  # of killed senders; that of a younger one may still run
        for name in self._waiting():
            command = self._take(name)
            if command:
                self.refuse(command, "it was sent before this trainer started")

    def waiting(self) -> bool:
        """Whether there may be something to poll.

        A folder whose time of change is the one at which it was seen empty is empty still; to ask for that time costs
        some 2 microseconds where listing costs 10 (and three times that between two steps, which leave no cache warm).
        A time too fresh to tell two changes apart is not trusted, and none for longer than a second: other machines'
        changes show late in it.
        """
        changed, now = os.fstat(self._descriptor).st_mtime_ns, time.monotonic()
        if changed == self._empty_since and now < self._trusted_until:
            return False
        trusted = time.time_ns() - changed > COARSEST_CLOCK_NS
        found = bool(self._names())
        self._empty_since, self._trusted_until = (changed if trusted and not found else None), now + 1
        return found

    def poll(self, step: int | None = None) -> list[Command]:
        """Commands that came in since the last call, oldest first; invalid ones are refused here."""
        if not self.waiting():
            return []
        found = []
        for name in self._waiting():
            command = self._take(name, step)
            if command is None:
                continue
            if problem := command_problem(command.name, command.args):
                self.refuse(command, problem, step)
            else:
                found.append(command)
        return found

    def answer(self, command: Command, step: int | None = None, **result: Any) -> None:
        """Say that a command was carried out, and with what result (fields of `CommandAnswered`)."""
        answered = CommandAnswered(step=step, id=command.id, command=command.name, args=command.args, **result)
        self._events.write(answered)

    def refuse(self, command: Command, reason: str, step: int | None = None) -> None:
        """Say that a command was not carried out, and why."""
        self._events.write(CommandRefused(step=step, id=command.id, command=str(command.name), reason=reason))

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._folder)
        except FileNotFoundError:  # removed from outside: no reason to end a training
            os.makedirs(self._folder, exist_ok=True)
            self._open()
            return []

    def _open(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = os.open(self._folder, os.O_RDONLY)

    def _waiting(self) -> list[str]:
        names = (name for name in self._names() if not name.startswith(TEMPORARY_PREFIX))
        return sorted(name for name in names if name not in self._seen)

    def close(self) -> None:
        """Give the folder back; closing twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self, name: str, step: int | None = None) -> Command | None:
        """Read a command and remove its file *before* it is carried out, so that it is at most once."""
        path = Path(self._folder, name)
        identity = name.removesuffix(".json")
        try:
            content = orjson.loads(path.read_bytes())
            command = Command(identity, content["command"], content.get("args", {}), content.get("wall"))
            problem = None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            command, problem = None, "its file is damaged"
        self._seen.add(name)
        try:
            path.unlink()
            self._seen.discard(name)
        except OSError:
            pass  # not ours to remove; `_seen` keeps it from being carried out twice
        if problem:
            self.refuse(Command(identity, "?"), problem, step)
        return command
