"""One trainer a run, and no lock left behind by the dead."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from lab.runs import Run, RunLock

HOLD = """
    import sys, time; from pathlib import Path; from lab.runs import Run, RunLock
    RunLock(Run(Path(sys.argv[1]))).acquire(); print("ready", flush=True); time.sleep(1e6)
"""


def test_a_second_trainer_is_told_who_holds_the_run(run: Run, start_process: Any) -> None:
    other = start_process(HOLD, run.path)
    with pytest.raises(ValueError, match=rf"run 'fox' is already being trained by process {other.pid} on \S+"):
        RunLock(run).acquire()
    other.send_signal(signal.SIGKILL)
    other.wait()
    with RunLock(run) as lock:
        assert lock.held


def test_in_one_process_too(run: Run) -> None:
    with RunLock(run) as lock:
        assert lock.acquire() is lock, "acquiring what one holds changes nothing"
        with pytest.raises(ValueError, match=f"process {os.getpid()}"):
            RunLock(run).acquire()
    assert not lock.held
    with RunLock(run):
        pass


def test_a_worker_forked_by_the_trainer_does_not_keep_the_lock(run: Run, start_process: Any) -> None:
    """Data workers are forks: they share the trainer's open files and may outlive it."""
    code = """
        import os, sys, time; from pathlib import Path; from lab.runs import Run, RunLock
        RunLock(Run(Path(sys.argv[1]))).acquire()
        worker = os.fork()
        if worker == 0:
            os.close(1)
            time.sleep(1e6)
        Path(sys.argv[1], "worker").write_text(str(worker)); print("ready", flush=True); time.sleep(1e6)
    """
    trainer = start_process(code, run.path)
    worker = int((run.path / "worker").read_text())
    try:
        time.sleep(0.05)
        with pytest.raises(ValueError, match="already being trained"):
            RunLock(run).acquire()
        trainer.kill()
        trainer.wait()
        os.kill(worker, 0)  # still alive
        with RunLock(run) as lock:
            assert lock.held
    finally:
        os.kill(worker, signal.SIGKILL)


def test_a_run_that_is_gone_is_a_clear_error(run: Run) -> None:
    gone = Run(run.path / "gone")
    with pytest.raises(OSError, match=r"could not write .*gone/\.lock: No such file"):
        RunLock(gone).acquire()


def test_a_damaged_lock_file_does_not_matter(run: Run) -> None:
    run.lock_path.write_bytes(b"\xff\x00 nonsense" * 100)
    with RunLock(run), pytest.raises(ValueError, match=f"process {os.getpid()}"):
        RunLock(run).acquire()
