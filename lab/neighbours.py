"""Other programs on this machine: how much of its processors they take.

Linux counts in /proc/stat what each processor has done since the start of the machine. That less what this process has
used is the others' share, whatever this process does at the moment: with fewer threads it still sees who is there. Work
of low priority (`nice`) gives way by itself and is left out, unless this process has a low priority too; what a
hypervisor gave to other machines is counted.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from lab.limits import usable_cpus

STAT = Path("/proc/stat")
USER, NICE, SYSTEM, INTERRUPTS, SOFT_INTERRUPTS, STOLEN = 0, 1, 2, 5, 6, 7  # columns, in ticks; the rest is idle time
TICKS = os.sysconf("SC_CLK_TCK") if "SC_CLK_TCK" in os.sysconf_names else 100


class Others:
    """What other programs take of the processors that this process may use.

    `low_priority`: the process computes at a low priority itself, so that others of low priority count.

    >>> Others().taken() is None  # nothing was counted yet
    True
    """

    def __init__(self, *, low_priority: bool = False) -> None:
        self.cpus = usable_cpus()
        columns = {USER, NICE, SYSTEM, INTERRUPTS, SOFT_INTERRUPTS, STOLEN}
        low_priority = low_priority or os.nice(0) > 0
        self._columns = sorted(columns if low_priority else columns - {NICE})
        self._before: tuple[float, float, float] | None = None

    def taken(self) -> float | None:
        """Processors that others kept busy since the last call: 1.5 is one and a half of them.

        None at the first call, after less than two ticks, and where the system does not say it (macOS).
        """
        busy = self._busy()
        if busy is None:
            return None
        now = (time.monotonic(), busy, time.process_time())
        before = self._before
        if before is not None and now[0] - before[0] < 2 / TICKS:
            return None
        self._before = now
        if before is None:
            return None
        wall, all_busy, own = (b - a for a, b in zip(before, now, strict=True))
        return min(float(len(self.cpus)), max(0.0, (all_busy - own) / wall))

    def lacking(self, threads: int) -> float | None:
        """Processors that are missing for so many threads to have one each, by `taken`; 0: there is room for all."""
        taken = self.taken()
        return None if taken is None else max(0.0, threads + taken - len(self.cpus))

    def _busy(self) -> float | None:
        """Seconds that the processors were busy, all together, since the machine started."""
        ticks, known = 0, False
        with suppress(OSError, ValueError, IndexError):
            for line in STAT.read_text().splitlines():
                words = line.split()
                if words and words[0][:3] == "cpu" and words[0][3:].isdecimal() and int(words[0][3:]) in self.cpus:
                    ticks += sum(int(words[1 + column]) for column in self._columns)
                    known = True
            return ticks / TICKS if known else None
        return None
