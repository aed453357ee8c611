"""The present status of a run, and the facts that do not change while it trains: plain values for the page.

All of it is concluded from the run's files (`lab.runs.status`): a trainer that was killed cannot report it.
"""

from __future__ import annotations

import os
import shlex
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from analysis_app.steering.launch import Start
from lab.runs import Run
from lab.runs.checkpoints import CHECKPOINT_SUFFIX, read_facts
from lab.runs.control import COMMANDS
from lab.runs.metrics import METRICS
from lab.runs.status import ACTIVE_STATES, Status

STATUS_FIELDS = (
    *("state", "recorded_state", "reason", "message", "active", "step", "total_steps", "tokens", "tokens_per_second"),
    *("eta_seconds", "losses", "created", "started", "updated", "heartbeat", "pid", "host", "parent"),
)
RESUMABLE = ("stopped", "failed", "stale")


def run_status(run: Run, start: Start | None = None) -> dict[str, Any]:
    """The present state of a run. Times are Unix seconds, durations seconds, losses nats per token.

    Beside fields of `lab.runs.Status`: `elapsed_seconds` (of training, pauses left out), `heartbeat_age`, `since` (of
    a stale run: its last heartbeat), `lr_scale`, `control` (`available`, the `commands` that are possible now, and the
    `reason` where none is), `checkpoint` (the last one: `step`, `wall`, `kind`), `resume` (the command that continues
    the run, null where there is none), `start` (of a run that was started from here: `kind`, `wall`, `pid`, `alive`,
    `log`). `start` also gives what the run directory cannot: that a process is being prepared, or failed before.
    """
    status = _with_start(run.status(), start)
    fields = {name: getattr(status, name) for name in STATUS_FIELDS}
    details = status.details
    last = read_facts(run.checkpoints_dir / f"last{CHECKPOINT_SUFFIX}")
    return {
        "run": run.name,
        **fields,
        "elapsed_seconds": _number(details.get("training_seconds")),
        "heartbeat_age": None if status.heartbeat is None else max(0.0, round(time.time() - status.heartbeat, 1)),
        "since": status.heartbeat if status.state == "stale" else None,
        "lr_scale": _number(details.get("lr_scale"), 1.0),
        "control": _control(status),
        "checkpoint": None if last is None else {"step": last.step, "wall": last.wall, "kind": last.kind},
        "resume": resume_command(run) if status.state in RESUMABLE and last is not None else None,
        "start": start and {name: getattr(start, name) for name in ("kind", "wall", "pid", "alive", "log")},
    }


def _with_start(status: Status, start: Start | None) -> Status:
    if start is None or (status.started or 0) >= start.wall or status.active:
        return status
    if start.alive:
        return replace(
            status, state="starting", reason="its process is preparing the data", message=None, pid=start.pid
        )
    if status.recorded_state is None:  # there is no run directory
        return replace(status, state="failed", reason=None, message=start.failure)
    return replace(status, message=f"the last attempt to go on failed: {start.failure}")


def _control(status: Status) -> dict[str, Any]:
    if not status.active or status.recorded_state not in ACTIVE_STATES:
        why = f": {status.reason}" if status.reason else ""
        return {"available": False, "commands": [], "reason": f"the run is {status.state}{why}"}
    useless = "pause" if status.state == "paused" else "resume"
    return {"available": True, "commands": [name for name in COMMANDS if name != useless], "reason": None}


def resume_command(run: Run) -> str:
    """The command that continues a stopped, failed or stale run."""
    root = str(run.path.parent)
    where = "" if root == "runs" else f" --run.root {shlex.quote(root)}"
    return f"python -m lab fit --resume {shlex.quote(run.name)}{where}"


def run_facts(run: Run) -> dict[str, Any]:
    """What does not change: baselines of the loss, the length, the model's size, the settings that the curves show.

    `baselines`: {"nats_per_token": {name: loss}, "bits_per_byte": {…}}; `clip`: the threshold of the gradient norm;
    `lr`: the schedule's peak; `metrics`: unit and how to read each; `memory_total`: bytes, null where not known. What
    a damaged file does not contain is null.
    """
    status = run.status()
    data: Mapping[str, Any] = {}
    config: Mapping[str, Any] = {}
    with suppress(ValueError):
        data = run.data() or {}
    with suppress(ValueError):
        config = run.config() or {}
    optimizer = _at(config, "model", "optimizer")
    return {
        "baselines": _at(data, "baselines") or {},
        "bytes_per_token": _number(data.get("bytes_per_token")),
        "corpus": _text(_at(data, "corpus").get("name")),
        "tokenizer": _text(_at(data, "tokenizer").get("name")),
        "horizon": _text(status.details.get("horizon")),
        "total_steps": status.total_steps,
        "tokens_per_step": _number(status.details.get("tokens_per_step")),
        "parameters": _number(status.details.get("parameters")),
        "clip": _number(optimizer.get("clip")),
        "lr": _number(optimizer.get("lr")),
        "warmup_steps": _number(_at(config, "model", "schedule").get("warmup_steps")),
        "levers": status.levers,
        "memory_total": _memory(status),
        "command": status.command,
        "created": status.created,
        "parent": status.parent,
        "metrics": {name: asdict(metric) for name, metric in METRICS.items()},
    }


def _memory(status: Status) -> float | None:
    """All memory of the device that trains; of a CPU this machine's memory, where the run trains here."""
    recorded = _number(status.details.get("memory_bytes"))
    if recorded is None and status.levers.get("device") == "cpu" and status.host == socket.gethostname():
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return recorded


def _at(tree: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        found = tree.get(name)
        tree = found if isinstance(found, Mapping) else {}
    return tree


def _number(value: Any, otherwise: float | None = None) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
