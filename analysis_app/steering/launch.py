"""Starting a training as a process of its own, which outlives the server that started it.

Each start is recorded in `.starts/` of the runs folder, a small file and a log a run, so that it is known after a
restart of the server too. Once the run directory exists, its status counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from analysis_app.library import ConflictError
from lab.files import read_json, write_json
from lab.runs import Run
from lab.runs.paths import check_name
from lab.runs.processes import process_start, this_machine

CHECK_SECONDS = 120
CHECKS_AT_ONCE = 2  # each loads PyTorch and Lightning: seconds of a core, and 400 MB
TAIL_LINES, TAIL_BYTES = 20, 16_384
NOT_FOR_A_TRAINER = ("LAB_APP_PASSWORD",)


@dataclass(frozen=True)
class Start:
    """One recorded start of a run. `alive`: its process exists; `log`: the last lines that it wrote."""

    run: str
    kind: str  # new or resume
    pid: int
    wall: float
    command: list[str]
    alive: bool
    log: list[str]

    @property
    def failure(self) -> str:
        """The errors in its log, else the last line of it."""
        return "; ".join(_errors(self.log)) or (self.log[-1] if self.log else "the process ended without a message")

    def as_failure(self) -> dict[str, Any]:
        """What is said of a start that failed."""
        return {"run": self.run, "wall": self.wall, "reason": self.failure, "log": self.log}


class Launcher:
    """Starts trainings of runs under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = root / ".starts"
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._checks = threading.BoundedSemaphore(CHECKS_AT_ONCE)

    def last(self, name: str) -> Start | None:
        """The last start of a run from this page; None where there was none, or its record is damaged."""
        try:
            found = read_json(self._folder / f"{check_name(name)}.json")
            if found is None:
                return None
            same = found["machine"] == this_machine() and process_start(found["pid"]) == found["process_start"]
            recorded = {key: found[key] for key in ("run", "kind", "pid", "wall", "command")}
            return Start(**recorded, alive=same and found["process_start"] is not None, log=self._tail(name))
        except (ValueError, KeyError, TypeError):
            return None

    def failed(self, there: Collection[str]) -> list[Start]:
        """New runs whose process ended before it made a run directory (`there`: those that have one), the newest first,
        until they are dismissed.
        """
        names = {path.stem for path in self._folder.glob("*.json")} - set(there)
        found = [start for name in names if (start := self.last(name)) and start.kind == "new" and not start.alive]
        return sorted(found, key=lambda start: -start.wall)

    def dismiss(self, name: str) -> None:
        """Forget a start that failed."""
        start = self.last(name)
        if start is not None and not start.alive and not (self.root / name).exists():
            for suffix in (".json", ".log"):
                (self._folder / f"{start.run}{suffix}").unlink(missing_ok=True)

    @contextmanager
    def claim(self, name: str) -> Iterator[None]:
        """Hold the right to start this run while the block lasts. Raises `ConflictError` where it is taken."""
        with self._lock:
            last = self.last(name)
            if name in self._busy or (last is not None and last.alive):
                raise ConflictError(f"run {name!r} is being started or trained already: wait for it, or stop it")
            self._busy.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(name)

    def check(self, arguments: list[str]) -> None:
        """Check the arguments with `fit --check`. Raises `ValueError` with its errors."""
        self._ask("fit", [*arguments, "--check"])

    def plan(self, arguments: list[str]) -> dict[str, Any]:
        """The output of `plan --json`, which makes a few real steps. Raises `ValueError` with its errors."""
        return orjson.loads(self._ask("plan", [*arguments, "--json"]))

    def _ask(self, command: str, arguments: list[str]) -> str:
        with self._checks:
            try:
                done = subprocess.run(
                    _lab(command, arguments),
                    capture_output=True,
                    text=True,
                    errors="replace",
                    stdin=subprocess.DEVNULL,
                    env=_environment(),
                    timeout=CHECK_SECONDS,
                )
            except subprocess.TimeoutExpired:
                raise ValueError(f"`{command}` did not answer within {CHECK_SECONDS} seconds") from None
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise ValueError(
                "\n".join(_errors(lines) or lines[-1:] or [f"`{command}` ended with exit code {done.returncode}"])
            )
        return done.stdout

    def launch(self, name: str, kind: str, arguments: list[str]) -> Start:
        """Start `fit` in a session of its own, so that neither Ctrl-C nor the end of this server reaches it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = _lab("fit", arguments)
        with open(self._folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment(),
            )
        # A child that has ended stays as a zombie until its exit code is read.
        threading.Thread(target=process.wait, name=f"wait-{name}", daemon=True).start()
        start = Start(name, kind, process.pid, round(time.time(), 3), command, True, [])
        content = asdict(start) | {"machine": this_machine(), "process_start": process_start(process.pid)}
        write_json(self._folder / f"{name}.json", content)
        return start

    def known(self, name: str) -> Run | None:
        """The run started here under that name, whether or not its directory exists yet; else None."""
        return Run(self.root / name) if self.last(name) is not None else None

    def _tail(self, name: str) -> list[str]:
        try:
            with open(self._folder / f"{name}.log", "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return []
        return [line.rstrip() for line in text.replace("\r", "\n").split("\n") if line.strip()][-TAIL_LINES:]


def _errors(lines: list[str]) -> list[str]:
    return [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]


def _lab(command: str, arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "lab", command, *arguments]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in NOT_FOR_A_TRAINER}
    return kept | {"PYTHONUNBUFFERED": "1", "COLUMNS": "100"}
