"""run.json: the state machine, the heartbeat, and what a reader concludes from files of every kind."""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.runs import Run, StatusWriter
from lab.runs import status as status_module
from lab.runs.heartbeats import STALE_SECONDS
from lab.runs.status import FINAL_STATES, TRANSITIONS, read_status
from tests.patience import PATIENCE

TRAIN = """
    import sys, time; from pathlib import Path; from lab.runs import Run, StatusWriter
    status = StatusWriter(Run(Path(sys.argv[1])), heartbeat_seconds=0.1)
    status.update(state="running", step=7)
    print("ready", flush=True); time.sleep(1e6)
"""


def content(run: Run) -> dict[str, Any]:
    return dict(json.loads(run.status_path.read_text()))


def rewrite(run: Run, **changes: Any) -> None:
    run.status_path.write_text(json.dumps(content(run) | changes))


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# --- writing ---


def test_it_begins_as_starting_and_says_who_writes(run: Run) -> None:
    with StatusWriter(run, total_steps=100, levers={"precision": "fp32"}):
        status = run.status()
    assert (status.state, status.name, status.total_steps) == ("starting", "fox", 100)
    assert status.levers == {"precision": "fp32"}
    assert status.pid == os.getpid()
    assert status.versions["python"].startswith("3.")
    assert status.versions["torch"] == torch.__version__
    assert status.command
    assert content(run)["format"] == 1


@pytest.mark.parametrize(("before", "after"), list(itertools.product(TRANSITIONS, TRANSITIONS)))
def test_the_state_machine(run: Run, before: str, after: str) -> None:
    paths = {"starting": [], "paused": ["running", "paused"]}
    with StatusWriter(run) as status:
        for state in paths.get(before, [before]):
            status.update(state=state)
        if after == before or (after in TRANSITIONS[before]):
            status.update(state=after)
        else:
            with pytest.raises(ValueError, match=f"a run that is {before} cannot become {after}"):
                status.update(state=after)
            assert content(run)["state"] == before


def test_bad_fields_are_all_named_at_once(run: Run) -> None:
    with StatusWriter(run) as status:
        with pytest.raises(ValueError, match=r"(?s)no field 'stepp'.*unknown state 'runing'") as error:
            status.update(stepp=1, state="runing")
        assert "it has" in str(error.value)
        with pytest.raises(ValueError, match="no field 'pid'"):
            status.update(pid=1)


def test_a_change_of_state_is_there_at_once_and_progress_soon(run: Run) -> None:
    with StatusWriter(run) as status:
        status.update(state="running", step=0)
        assert content(run)["state"] == "running"
        for step in range(1000):
            status.update(step=step)
        wait_until(lambda: content(run)["step"] == 999)


def test_progress_is_written_at_most_twice_a_second(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = []
    original = status_module.write_whole
    monkeypatch.setattr(status_module, "write_whole", lambda *a, **k: (writes.append(1), original(*a, **k))[1])
    with StatusWriter(run) as status:
        began = time.monotonic()
        while len(writes) < 5:
            status.update(step=1)
            time.sleep(0.001)
        assert time.monotonic() - began > 1.4  # the first two may come at once, the others are half a second apart


def test_losses_are_merged_and_numbers_of_every_kind_are_taken(run: Run) -> None:
    with StatusWriter(run) as status:
        status.update(losses={"train/loss": torch.tensor(2.5)}, step=np.int64(3))
        status.update(losses={"val/loss": float("nan")}, details={"seed": 1})
    found = run.status()
    assert found.losses == {"train/loss": 2.5, "val/loss": None}
    assert (found.step, found.details) == (3, {"seed": 1})


def test_resuming_carries_on(run: Run) -> None:
    parent = {"run": "owl", "step": 10}
    with StatusWriter(run, parent=parent, total_steps=50) as status:
        status.update(state="running", step=30, eta_seconds=5.0, details={"seed": 1})
        status.update(state="failed", message="no space left")
    first = run.status()
    time.sleep(0.01)
    with StatusWriter(run, total_steps=80):
        again = run.status()
    assert (again.state, again.message, again.eta_seconds) == ("starting", None, None)
    assert (again.parent, again.details, again.step, again.total_steps) == (parent, {"seed": 1}, 30, 80)
    assert again.created == first.created
    assert again.started is not None
    assert first.started is not None
    assert again.started > first.started


def test_the_heartbeat_goes_on_while_the_main_thread_is_busy(run: Run) -> None:
    with StatusWriter(run, heartbeat_seconds=0.1):
        seen = set()
        while len(seen) < 4:  # holds the interpreter, like Python code between two kernels
            sum(range(20_000))
            seen.add(content(run)["heartbeat"])


def test_closing_ends_the_heartbeat(run: Run) -> None:
    status = StatusWriter(run, heartbeat_seconds=0.05)
    status.update(state="running", step=5)
    status.close()
    last = content(run)
    time.sleep(0.2)
    assert content(run) == last
    assert last["step"] == 5


def test_a_full_disk_neither_raises_nor_spoils_the_file(run: Run, start_process: Any) -> None:
    code = """
        import resource, sys, time; from pathlib import Path; from lab.runs import Run, StatusWriter
        run = Run(Path(sys.argv[1])); status = StatusWriter(run, heartbeat_seconds=0.1)
        status.update(state="running", step=1)
        before = run.status_path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        status.update(state="paused"); time.sleep(0.3)
        assert run.status_path.read_bytes() == before
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        time.sleep(0.5)
        assert run.status().recorded_state == "paused", run.status()
        print("ready", flush=True)
    """
    start_process(code, run.path)


def test_a_disk_that_is_full_from_the_start_is_an_error(run: Run) -> None:
    code = """
        import resource, sys; from pathlib import Path; from lab.runs import Run, StatusWriter
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        StatusWriter(Run(Path(sys.argv[1])))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(run.path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert "WriteError: could not write" in done.stderr


def test_a_full_disk_is_reported_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    with StatusWriter(run, heartbeat_seconds=0.02) as status, caplog.at_level(logging.WARNING):
        monkeypatch.setattr(status_module, "write_whole", fail)
        status.update(state="running")
        time.sleep(0.2)
        monkeypatch.undo()
    assert caplog.text.count("the disk is full") == 1


# --- reading ---


def test_killed_is_stale_at_once_also_as_a_zombie(run: Run, start_process: Any) -> None:
    process = start_process(TRAIN, run.path)
    assert run.status().state == "running"
    process.kill()
    wait_until(lambda: run.status().state == "stale")  # not reaped: a zombie, which kill(pid, 0) calls alive
    process.wait()
    status = run.status()
    assert (status.state, status.recorded_state, status.step) == ("stale", "running", 7)
    assert f"process {process.pid} is gone" in str(status.reason)


def test_a_reused_pid_is_somebody_else(run: Run) -> None:
    with StatusWriter(run):
        pass
    assert run.status().state == "starting"
    rewrite(run, process_start="12345")
    assert run.status().state == "stale"


def test_a_suspended_trainer_is_stale_though_alive(run: Run, start_process: Any) -> None:
    process = start_process(TRAIN, run.path)
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.05)
    assert run.status().state == "running"
    rewrite(run, heartbeat_monotonic=time.monotonic() - STALE_SECONDS - 1)
    status = run.status()
    assert status.state == "stale"
    assert re.search(r"no heartbeat for \d\d s", str(status.reason))
    assert f"process {process.pid} is alive" in str(status.reason)
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: run.status().state == "running")


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_jump_of_the_clock_kills_nobody(run: Run, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    with StatusWriter(run) as status:
        status.update(state="running")
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + jump)
        assert run.status().state == "running"


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_a_finished_run_never_gets_stale(run: Run, state: str) -> None:
    with StatusWriter(run) as status:
        status.update(state=state)
    rewrite(run, heartbeat=0.0, heartbeat_monotonic=0.0, process_start="1")
    assert run.status().state == state
    assert run.status().reason is None


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (b"", "not JSON"),
        (b'{"format": 1, "sta', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[]", "not written by the lab"),
        (b'{"state": "running"}', "not written by the lab"),
        (b'{"format": 2, "state": "running"}', "has format 2, this lab reads format 1"),
        (b'{"format": 1}', "unknown state None"),
        (b'{"format": 1, "state": ["x"]}', "unknown state"),
        (b'{"format": 1, "state": "stopped", "step": "7", "losses": 3}', "wrong type: losses, step"),
    ],
)
def test_files_that_are_no_status(run: Run, written: bytes, reason: str) -> None:
    run.status_path.write_bytes(written)
    status = run.status()
    assert status.state == "broken"
    assert reason in str(status.reason)


def test_a_missing_or_unreadable_file(run: Run) -> None:
    assert "has no run.json" in str(run.status().reason)
    run.status_path.mkdir()
    assert "cannot be read" in str(run.status().reason)


def test_a_broken_file_does_not_stop_a_new_trainer(run: Run) -> None:
    run.status_path.write_text("{")
    with StatusWriter(run):
        assert run.status().state == "starting"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from(
    [*status_module.Status.__dataclass_fields__, "heartbeat_monotonic", "machine", "process_start"]
)


@settings(deadline=None)
@given(st.dictionaries(fields, json_values, max_size=6), st.sampled_from(sorted(TRANSITIONS)))
def test_reading_never_raises(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any], state: str) -> None:
    run = Run(tmp_path_factory.getbasetemp() / "wild")
    run.path.mkdir(exist_ok=True)
    run.status_path.write_text(json.dumps({"state": state, **values, "format": 1}))
    status = read_status(run)
    assert status.state in {*TRANSITIONS, "stale", "broken"}
    json.dumps(status.as_dict())


def test_a_reader_never_sees_half_a_file(run: Run) -> None:
    with StatusWriter(run) as status:
        for step in range(300):
            status.update(state="paused" if step % 2 else "running", step=step)
            assert run.status().state in ("running", "paused")
