"""The identity of a process, and whether one is still alive: tells a run in training from one that was killed."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
from pathlib import Path


@functools.cache
def this_machine() -> str:
    """A word that two processes share if and only if they can see each other's pids and monotonic clock.

    Host name, boot and (on Linux) pid namespace: after a reboot, or in another container, pid 1234 is another
    process.
    """
    boot, namespace = "", ""
    try:
        if sys.platform == "linux":
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            namespace = os.readlink("/proc/self/ns/pid")
        else:
            boot = _output_of("sysctl", "-n", "kern.bootsessionuuid")
    except OSError:
        pass
    return "/".join(filter(None, (socket.gethostname(), boot, namespace)))


def process_start(pid: int) -> str | None:
    """When process `pid` began, as a word to compare (its unit depends on the system); None: no such process.

    A pid alone does not identify a process: pids are reused. A zombie (dead, not yet reaped by its parent) is
    None too.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # The second field is the program's name in brackets and may hold anything, so count from its end.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]  # clock ticks after boot
    state, _, began = _output_of("ps", "-o", "stat=,lstart=", "-p", str(pid)).partition(" ")
    return None if not state or state.startswith("Z") else " ".join(began.split())


def _output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=2, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
