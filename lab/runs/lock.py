"""One trainer a run: a lock that the operating system releases however the process ends."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import time
from types import TracebackType

from lab.files import explain_write_error
from lab.runs.paths import RunPaths

logger = logging.getLogger(__name__)

_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_held: set[RunLock] = set()  # strongly: who acquires a lock and drops the object still holds it


class RunLock:
    """Exclusive right to train a run: `with RunLock(run): ...` or `acquire()` and `release()`.

    An advisory `flock` on `.lock` in the run directory. The kernel drops it with the process, so kill -9
    leaves no lock behind, and the file itself is never removed (removing it would let two processes lock two
    files of one name).
    """

    def __init__(self, run: RunPaths) -> None:
        self.run = run
        self._descriptor = -1

    @property
    def held(self) -> bool:
        """Whether this object holds the lock now."""
        return self._descriptor >= 0

    def acquire(self) -> RunLock:
        """Take the lock. Raises `ValueError` naming the process that holds it, `WriteError` if it cannot."""
        if self.held:
            return self
        try:
            descriptor = os.open(self.run.lock_path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise explain_write_error(error, self.run.lock_path, "nothing was changed") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                logger.warning("%s: this file system has no locks; do not train this run twice at once", self.run.path)
            else:
                holder = _describe_holder(descriptor)
                os.close(descriptor)
                raise ValueError(
                    f"run {self.run.name!r} is already being trained by {holder}: "
                    "wait for it, stop it, or choose another --run.name"
                ) from None
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": round(time.time(), 3)}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        self._descriptor = descriptor
        _held.add(self)
        return self

    def release(self) -> None:
        """Give the lock back; releasing twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        _held.discard(self)

    def __enter__(self) -> RunLock:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _describe_holder(descriptor: int) -> str:
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {owner['pid']} on {owner['host']}"
    except (ValueError, KeyError, TypeError, OSError):
        return "another process"


def _release_in_child() -> None:
    # A lock belongs to the open file, which a forked child (a data worker) shares: without this the child
    # would keep the run locked after its parent was killed. Closing its copy leaves the parent's lock alone.
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_release_in_child)
