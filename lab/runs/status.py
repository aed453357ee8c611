"""`run.json`: the state of a run as its trainer writes it and as a reader concludes it.

The trainer's states are `starting → running ⇄ paused → stopped | completed | failed`. A reader knows two
more: `stale` (the file says that the run goes on, but its heartbeat is old) and `broken` (the file is missing, torn or
foreign).
"""

from __future__ import annotations

import logging
import os
import shlex
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import orjson

from lab.files import to_json, write_whole
from lab.runs.checkpoints import list_checkpoints
from lab.runs.heartbeats import RUN_HEARTBEAT_SECONDS, judge
from lab.runs.paths import RunPaths
from lab.runs.processes import process_start, this_machine
from lab.runs.versions import git_state, versions

logger = logging.getLogger(__name__)

FORMAT = 1
PROGRESS_SECONDS = 0.5  # progress reaches the disk at most twice a second; a write takes 0.1 to 3 ms

ACTIVE_STATES = frozenset({"starting", "running", "paused"})
FINAL_STATES = frozenset({"stopped", "completed", "failed"})
TRANSITIONS = {
    "starting": {"running", *FINAL_STATES},
    "running": {"paused", *FINAL_STATES},
    "paused": {"running", *FINAL_STATES},
    "stopped": {"starting"},
    "completed": {"starting"},
    "failed": {"starting"},
}

ON_THE_TRAINERS_CLOCK = ("started", "updated", "heartbeat")  # told on the reader's, where the two are seen to differ


@dataclass(frozen=True)
class Status:
    """One reading of run.json. Times are Unix seconds (UTC), losses nats per token; None: not known.

    `state` is what this reader concludes; `recorded_state` what the trainer last wrote; `reason` says in one
    line why they differ (or what is wrong with the file, or that the trainer's clock is another), else None.
    """

    name: str
    state: str
    recorded_state: str | None = None
    reason: str | None = None
    step: int | None = None
    total_steps: int | None = None
    tokens: int | None = None
    tokens_per_second: float | None = None
    eta_seconds: float | None = None
    losses: dict[str, float | None] = field(default_factory=dict)  # metric name -> its latest value
    message: str | None = None  # written by the trainer: why it failed, which signal stopped it
    created: float | None = None  # when the run was first started
    started: float | None = None  # when its present (or last) process started
    updated: float | None = None
    heartbeat: float | None = None
    pid: int | None = None
    host: str | None = None
    parent: dict[str, Any] | None = None  # {"run": name, "step": step} of a forked run
    levers: dict[str, Any] = field(default_factory=dict)  # chosen by device: kernel, threads, precision, …
    versions: dict[str, str] = field(default_factory=dict)
    git: dict[str, Any] | None = None
    command: str | None = None
    details: dict[str, Any] = field(default_factory=dict)  # further facts

    @property
    def active(self) -> bool:
        """Whether a process trains this run, as far as can be told."""
        return self.state in ACTIVE_STATES

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


# What `update` may set; the writer fills in the rest.
SETTABLE = frozenset(f.name for f in fields(Status)) - {
    *("name", "recorded_state", "reason", "created", "started", "updated", "heartbeat", "pid", "host"),
}
NOTED = ("total_steps", "levers", "parent", "created", "details")
"""What decides how a run goes on: in the facts of every checkpoint as well."""


def read_status(run: RunPaths, now: float | None = None) -> Status:
    """Read and judge run.json; whatever it holds nothing is raised, but `broken` returned, with a reason.

    `now`: the time by the clock of the run's file system, where it was asked; else this machine's stands for it.
    """
    try:
        with open(run.status_path, "rb") as file:
            content, written = orjson.loads(file.read()), os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return _broken(run, "it has no run.json: the run was never started, or this is no run directory")
    except OSError as error:
        return _broken(run, f"run.json cannot be read: {error.strerror}")
    except ValueError:
        return _broken(run, "run.json is damaged (not JSON): the rest of the run directory may well be whole")
    if problem := _problem_of(content):
        return _broken(run, problem)
    values = {f.name: content[f.name] for f in fields(Status) if f.name in content}
    values |= {"name": run.name, "recorded_state": content["state"]}
    active = content["state"] in ACTIVE_STATES
    judged = judge(run.status_path, content, written, now, active=active)
    values |= {name: values[name] - judged.ahead for name in ON_THE_TRAINERS_CLOCK if values.get(name) and judged.ahead}
    values |= {"state": "stale"} if judged.stale else {}
    return Status(**values | {"reason": judged.stale or (judged.remark if active else None)})


def last_status(run: RunPaths) -> Status:
    """As `read_status`; where run.json is missing or damaged, with what the newest checkpoint noted of it."""
    found = read_status(run)
    if found.state != "broken":
        return found
    noted = next((info.noted for info in reversed(list_checkpoints(run)) if info.noted), {})
    return replace(found, **{name: noted[name] for name in NOTED if name in noted and _fits(name, noted[name])})


def other_format(run: RunPaths) -> str | None:
    """Why a run.json of another version of the lab must not be overwritten; None where it may."""
    try:
        content = orjson.loads(run.status_path.read_bytes())
    except (OSError, ValueError):
        return None
    known = not isinstance(content, dict) or content.get("format", FORMAT) == FORMAT
    return None if known else f"run {run.name!r}: {_problem_of(content)}"


def _problem_of(content: Any) -> str | None:
    if not isinstance(content, dict) or "format" not in content:
        return 'run.json was not written by the lab (it has no "format")'
    if content["format"] != FORMAT:
        return (
            f"run.json has format {content['format']!r}, this lab reads format {FORMAT}: use the version that wrote it"
        )
    state = content.get("state")
    if not isinstance(state, str) or state not in TRANSITIONS:
        return f"run.json names an unknown state {state!r}"
    wrong = sorted(f.name for f in fields(Status) if f.name in content and not _fits(f.name, content[f.name]))
    return f"run.json has values of a wrong type: {', '.join(wrong)}" if wrong else None


def _broken(run: RunPaths, reason: str) -> Status:
    return Status(name=run.name, state="broken", reason=reason)


_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("step", "total_steps", "tokens", "pid"), int),
    **dict.fromkeys(("tokens_per_second", "eta_seconds", "created", "started", "updated", "heartbeat"), (int, float)),
    **dict.fromkeys(("losses", "parent", "levers", "versions", "git", "details"), dict),
    **dict.fromkeys(("message", "host", "command", "name", "state"), str),
}
_NOT_NULL = {"losses", "levers", "versions", "details"}


def _fits(name: str, value: Any) -> bool:
    if value is None:
        return name not in _NOT_NULL
    if name == "losses":
        return isinstance(value, dict) and all(v is None or isinstance(v, int | float) for v in value.values())
    return isinstance(value, _TYPES.get(name, object)) and not isinstance(value, bool)


class StatusWriter:
    """Keeps run.json up to date while a run is trained, heartbeat included.

    `StatusWriter(run, total_steps=2000)` begins in state `starting`; it raises `WriteError` if the file cannot be
    written, `ValueError` if another version of the lab wrote it. A file from an earlier process is carried on: its
    parent, levers, details and creation time stay. `update(step=…, tokens=…)` costs about a microsecond: a thread
    writes it within half a second, and the heartbeat every 5 s, whatever the main thread does. A change of state is
    on the disk when `update` returns. Once started, a full disk is logged and retried, never raised: a status that
    cannot be written ends no training.

    Hold the run's `RunLock` while using it. `close()` (or leaving the `with` block) ends the thread.
    """

    def __init__(self, run: RunPaths, *, heartbeat_seconds: float = RUN_HEARTBEAT_SECONDS, **values: Any) -> None:
        self.run = run
        self._heartbeat_seconds = heartbeat_seconds
        # Two locks, so that a slow disk holds up the thread and not the training.
        self._lock = threading.Lock()  # guards the content, for microseconds
        self._writing = threading.Lock()  # one write at a time
        self._closing = threading.Event()
        self._dirty = False
        self._failed_before = False
        now = round(time.time(), 3)
        if problem := other_format(run):
            raise ValueError(problem)
        earlier, kept = last_status(run).as_dict(), SETTABLE - {"message", "eta_seconds"} | {"created"}
        self._content: dict[str, Any] = {"format": FORMAT, "name": run.name}
        self._content |= {name: value for name, value in earlier.items() if name in kept and value not in (None, {})}
        self._content["state"] = "starting"
        self._content |= {"versions": versions(), "git": git_state(), "command": shlex.join(sys.orig_argv)}
        self._content |= {"created": self._content.get("created") or now, "started": now}
        self._content |= {"pid": os.getpid(), "host": socket.gethostname(), "machine": this_machine()}
        self._content |= {"process_start": process_start(os.getpid())}
        values["details"] = {**self._content.get("details", {}), **values.get("details", {})}
        self._content |= self._checked({"state": "starting", **values})
        self._write()
        self._thread = threading.Thread(target=self._beat, name="run-status", daemon=True)
        self._thread.start()

    @property
    def state(self) -> str:
        """The state last set."""
        return str(self._content["state"])

    def noted(self) -> dict[str, Any]:
        """What lies beside each checkpoint too, for a run.json that is damaged."""
        with self._lock:
            return {name: self._content.get(name) for name in NOTED}

    def update(self, **values: Any) -> None:
        """Set fields of `Status` (`losses`, `levers` and `details` are merged into what is there).

        Raises `ValueError` for an unknown field, or a change of state that the state machine does not have.
        """
        with self._lock:
            changes = self._checked(values)
            state_changes = changes.get("state", self.state) != self.state
            for name in ("losses", "levers", "details"):
                if name in changes:
                    changes[name] = {**self._content.get(name, {}), **changes[name]}
            self._content |= changes
            self._dirty = True
        if state_changes:
            self._try_to_write()

    def close(self) -> None:
        """End the heartbeat and write what is pending; the state stays as it was set last."""
        self._closing.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        if self._dirty:
            self._try_to_write()

    def __enter__(self) -> StatusWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked(self, values: dict[str, Any]) -> dict[str, Any]:
        problems = [
            f"run.json has no field {name!r}; it has {', '.join(sorted(SETTABLE))}" for name in values.keys() - SETTABLE
        ]
        state = values.get("state", self.state)
        if state not in TRANSITIONS:
            problems.append(f"unknown state {state!r}; states are {', '.join(TRANSITIONS)}")
        elif state != self.state and state not in TRANSITIONS[self.state]:
            allowed = ", ".join(sorted(TRANSITIONS[self.state]))
            problems.append(f"a run that is {self.state} cannot become {state}, only {allowed}")
        if problems:
            raise ValueError("\n".join(problems))
        return values

    def _beat(self) -> None:
        due = time.monotonic() + self._heartbeat_seconds
        while not self._closing.wait(min(PROGRESS_SECONDS, self._heartbeat_seconds)):
            if self._dirty or time.monotonic() >= due:
                self._try_to_write()
                due = time.monotonic() + self._heartbeat_seconds

    def _try_to_write(self) -> None:
        try:
            self._write()
        except OSError as error:
            self._dirty = True
            if not self._failed_before:
                logger.warning("%s; trying again with every heartbeat", error)
            self._failed_before = True
        else:
            self._failed_before = False

    def _write(self) -> None:
        with self._writing:
            with self._lock:
                now = round(time.time(), 3)
                if self._dirty or "updated" not in self._content:
                    self._content["updated"] = now
                self._content |= {"heartbeat": now, "heartbeat_monotonic": round(time.monotonic(), 3)}
                self._dirty = False
                data = to_json(self._content)
            # Forced to the disk each time: after a power cut a file that was only renamed may be empty.
            write_whole(self.run.status_path, data)
