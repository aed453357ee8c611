"""Whether a run whose file says active is: its process and its heartbeat, on whatever clock that was written.

On the machine that trains its process is looked up and the monotonic clock read. Elsewhere nothing is left but
run.json, replaced with every heartbeat, and clocks need not agree: what counts there is whether the heartbeat moves.
At a first look the file's own time stands for that; the file system stamps it, not the trainer.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.files import TEMPORARY_PREFIX
from lab.runs.processes import process_start, this_machine
from lab.units import duration

RUN_HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 15.0  # three heartbeats missed
SAME_CLOCK_SECONDS = 5.0
COPIED_SECONDS = 86400.0  # further apart a file's time and what is in it are no clocks that differ: it was copied


@dataclass(frozen=True)
class Judgement:
    """`stale`: why nothing trains the run; None where something does. `remark`: a clock that differs.

    `ahead`: seconds that the trainer's clock is ahead of this machine's (negative: behind), where it is seen to be.
    """

    stale: str | None = None
    remark: str | None = None
    ahead: float = 0.0


@dataclass
class _Seen:
    """A heartbeat: since when it is the same, whether it was seen to move, when that was last looked at, and how old
    its file was then.
    """

    heartbeat: float
    since: float
    moved: bool
    looked: float
    age: float


_seen: dict[Path, _Seen] = {}


def judge(path: Path, content: dict[str, Any], written: float, now: float | None = None, *, active: bool) -> Judgement:
    """Judge a run.json at `path`, `written` when by the clock of its file system.

    `now`: the time there; None: not known, this machine's stands for it. `active`: run.json says that the run goes on.
    """
    pid, heartbeat = content.get("pid"), content.get("heartbeat")
    if content.get("machine") == this_machine() and isinstance(pid, int):
        return Judgement(_why_stale_here(content) if active else None)
    if not isinstance(heartbeat, int | float):
        return Judgement("it has no heartbeat" if active else None)
    changed = heartbeat if written - heartbeat > COPIED_SECONDS else written
    silent = _silence(path, heartbeat, (time.time() if now is None else now) - changed) if active else None
    alive = silent is not None and silent <= STALE_SECONDS
    ahead = heartbeat - (time.time() if alive else written)
    # Behind the file's time it may also have been copied since.
    differs = SAME_CLOCK_SECONDS < ahead < COPIED_SECONDS or (alive and ahead < -STALE_SECONDS)
    host = content.get("host")
    whose, where = ("its", "") if host == socket.gethostname() else (f"host {host}'s", f" from host {host}")
    side = "ahead of" if ahead > 0 else "behind"
    remark = f"{whose} clock is about {duration(abs(ahead), 2)} {side} this machine's" if differs else None
    told = "" if silent is None or alive else f"no heartbeat for {silent:.0f} s{where}"
    return Judgement("; ".join(filter(None, (told, remark))) if told else None, remark, ahead if differs else 0.0)


def may_still_move(path: Path) -> bool:
    """Whether a heartbeat from elsewhere that looks old was watched too shortly to know."""
    seen = _seen.get(path)
    if seen is None or seen.moved or seen.looked - seen.since > STALE_SECONDS:
        return False
    return seen.age < COPIED_SECONDS


def file_system_time(folder: Path) -> float | None:
    """The time by the clock that dates the files of `folder` (of a network's file system, the server's); None where
    nothing can be written.
    """
    try:
        with tempfile.NamedTemporaryFile(prefix=TEMPORARY_PREFIX, dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return None


def _silence(path: Path, heartbeat: float, age: float) -> float:
    """Seconds for which the heartbeat has not moved, as far as this process has seen; else the `age` of its file."""
    now, seen = time.monotonic(), _seen.get(path)
    if seen is None or now - seen.looked > STALE_SECONDS:
        seen = _Seen(heartbeat, now, False, now, age)
    elif seen.heartbeat != heartbeat:
        seen = _Seen(heartbeat, now, True, now, age)
    seen.looked, seen.age = now, age
    _seen[path] = seen
    return now - seen.since if seen.moved else max(age, now - seen.since)


def _why_stale_here(content: dict[str, Any]) -> str | None:
    """The same on the machine that trains: same pid *and* same start, since pids are reused; and the monotonic clock,
    which neither a corrected wall clock nor a suspended laptop moves.
    """
    pid, heartbeat, beat = content["pid"], content.get("heartbeat"), content.get("heartbeat_monotonic")
    if process_start(pid) != content.get("process_start"):
        return f"its process {pid} is gone: it was killed, or crashed without a message"
    age = time.time() - heartbeat if isinstance(heartbeat, int | float) else None
    if isinstance(beat, int | float) and time.monotonic() >= beat:
        age = time.monotonic() - beat
    if age is None:
        return "it has no heartbeat"
    where = f", though process {pid} is alive: suspended, or the machine is overloaded"
    return f"no heartbeat for {age:.0f} s{where}" if age > STALE_SECONDS else None
