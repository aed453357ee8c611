"""Telling a process from a later one with its number."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from lab.runs.processes import process_start, this_machine
from tests.patience import PATIENCE


def test_a_process_keeps_its_start_and_another_has_its_own() -> None:
    mine = process_start(os.getpid())
    assert mine is not None
    assert process_start(os.getpid()) == mine
    time.sleep(0.05)  # Linux counts in hundredths of a second
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert process_start(other.pid) not in (None, mine)
        other.kill()
    assert process_start(other.pid) is None


def test_a_zombie_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + PATIENCE
    while process_start(process.pid) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.wait()


def test_a_program_name_full_of_traps(tmp_path: object) -> None:
    code = "open('/proc/self/comm', 'w').write('a) Z (b'); print('x', flush=True); input()"
    if not os.path.exists("/proc/self/comm"):
        return
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert str(process_start(process.pid)).isdigit()
        process.kill()


def test_impossible_pids_are_nobody() -> None:
    assert [process_start(pid) for pid in (-1, 0, 2**62)] == [None] * 3


def test_two_processes_agree_on_the_machine() -> None:
    code = "from lab.runs.processes import this_machine; print(this_machine())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert this_machine() == other
