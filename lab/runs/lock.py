"""One trainer a run: a lock that the operating system releases with the process, however it ends."""

from __future__ import annotations

import json
import logging
import os
import socket

from lab.files import NO_LOCKS, explain_write_error
from lab.runs.lines import now
from lab.runs.paths import RunPaths

logger = logging.getLogger(__name__)

_held: set[RunLock] = set()  # strongly: a lock whose object was dropped is still held


class RunLock:
    """Exclusive right to train a run: `with RunLock(run): ...` or `acquire()` and `release()`.

    `.lock` in the run directory names the process that holds it. The kernel drops the lock with the process, so kill -9
    leaves none behind, and a forked child (a data worker) does not keep it. The file itself is never removed: then two
    processes could lock two files of one name.
    """

    def __init__(self, run: RunPaths) -> None:
        from filelock import FileLock  # 40 ms that readers of runs do not need

        self.run = run
        self._lock = FileLock(run.lock_path, timeout=0, thread_local=False)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock now."""
        return self in _held

    def acquire(self) -> RunLock:
        """Take the lock. Raises `ValueError` naming the process that holds it, `WriteError` if it cannot."""
        from filelock import Timeout

        if self.held:
            return self
        try:
            self.run.path.stat()  # a missing folder would be made
            self._lock.acquire()
        except Timeout:
            raise ValueError(
                f"run {self.run.name!r} is already being trained by {_holder(self.run)}: "
                "wait for it, stop it, or choose another --run.name"
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise explain_write_error(error, self.run.lock_path, "nothing was changed") from error
            logger.warning("%s: this file system has no locks; do not train this run twice at once", self.run.path)
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": now()}
        self.run.lock_path.write_text(json.dumps(owner))
        _held.add(self)
        return self

    def release(self) -> None:
        """Give the lock back; releasing twice is fine."""
        self._lock.release()
        _held.discard(self)

    def __enter__(self) -> RunLock:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def _holder(run: RunPaths) -> str:
    try:
        owner = json.loads(run.lock_path.read_bytes())
        return f"process {owner['pid']} on {owner['host']}"
    except (ValueError, KeyError, TypeError, OSError):
        return "another process"
