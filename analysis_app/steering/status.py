"""The present status of a run, and the facts that do not change while it trains: plain values for the page.

All of it is concluded from the run's files (`lab.runs.status`): a trainer that was killed cannot report it.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

from analysis_app.steering.launch import Start
from lab.runs import Run
from lab.runs.checkpoints import CHECKPOINT_SUFFIX, read_facts
from lab.runs.control import COMMANDS
from lab.runs.facts import Facts, as_mapping, as_number, as_text, dig
from lab.runs.metrics import METRICS
from lab.runs.next_commands import RESUMABLE, resume
from lab.runs.seams import told_changes
from lab.runs.status import ACTIVE_STATES, Status

STATUS_FIELDS = (
    *("state", "recorded_state", "reason", "message", "active", "step", "total_steps", "tokens", "tokens_per_second"),
    *("eta_seconds", "losses", "created", "started", "updated", "heartbeat", "pid", "host", "parent"),
)


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
    details, scale = status.details, as_number(status.details.get("lr_scale"))
    last = read_facts(run.checkpoints_dir / f"last{CHECKPOINT_SUFFIX}")
    return {
        "run": run.name,
        **fields,
        "elapsed_seconds": as_number(details.get("training_seconds")),
        "heartbeat_age": None if status.heartbeat is None else max(0.0, round(time.time() - status.heartbeat, 1)),
        "since": status.heartbeat if status.state == "stale" else None,
        "lr_scale": 1.0 if scale is None else scale,
        "control": _control(status),
        "checkpoint": None if last is None else {"step": last.step, "wall": last.wall, "kind": last.kind},
        "resume": resume(run) if status.state in RESUMABLE and last is not None else None,
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


def run_facts(run: Run) -> dict[str, Any]:
    """What does not change: baselines of the loss, the length, the model's size, the settings that the curves show.

    `baselines`: {"nats_per_token": {name: loss}, "bits_per_byte": {…}}; `clip`: the threshold of the gradient norm;
    `lr`: the schedule's peak; `seams`: where settings were changed on the way; `metrics`: unit and how to read each;
    `memory_total`: bytes of the device. What is not recorded, or damaged, is null.
    """
    status = run.status()
    told = Facts.of(run)
    changes = told.seams.changes if told.seams else ()
    return {
        "baselines": as_mapping(told.data.get("baselines")),
        "bytes_per_token": told.of_data("bytes_per_token"),
        "corpus": as_text(dig(told.data, "corpus", "name")),
        "tokenizer": as_text(dig(told.data, "tokenizer", "name")),
        "horizon": as_text(status.details.get("horizon")),
        "total_steps": status.total_steps,
        "tokens_per_step": as_number(status.details.get("tokens_per_step")),
        "parameters": as_number(status.details.get("parameters")),
        "clip": told.number("model.optimizer.clip"),
        "lr": told.number("model.optimizer.lr"),
        "warmup_steps": told.number("model.schedule.warmup_steps"),
        "levers": status.levers,
        "memory_total": as_number(status.details.get("memory_bytes")),
        "command": status.command,
        "created": status.created,
        "parent": status.parent,
        "seams": [{"step": s.step, "tokens": s.tokens, "changed": told_changes(s.changed)} for s in changes],
        "metrics": {name: asdict(metric) for name, metric in METRICS.items()},
    }
