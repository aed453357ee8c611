"""Killed, interrupted, out of disk, started twice: what a run leaves behind can always go on."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lab.callbacks.interrupts import Interrupts
from lab.runs import open_run
from scripts.interruptions import fit, hard_settings, loadable, run_trials, wait_for_step
from tests.tiny import lab, tiny_args, write_corpus

LONG = 100_000


@pytest.mark.slow
def test_interrupted_runs_are_bit_identical_to_one_left_alone(tmp_path: Path) -> None:
    """The short form of `scripts/interruptions.py`: three signals, dropout, accumulation, validation steps."""
    trials = run_trials(3, tmp_path, hard_settings(tmp_path, 40), 40, seed=3)
    assert [t.detail for t in trials if not t.identical] == []
    assert loadable(tmp_path) > 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_at_the_step_boundary(number: signal.Signals, code: int, tmp_path: Path) -> None:
    process = fit(tiny_args(tmp_path, "--checkpoint.every=0", "--log.every=1", steps=LONG))
    run = tmp_path / "runs" / "tiny"
    wait_for_step(run, 3, process)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code, err.decode()
    status = open_run(run).status()
    assert status.state == "stopped"
    assert number.name in (status.message or "")
    (checkpoint,) = open_run(run).checkpoints()
    assert checkpoint.step == status.step == 1 + max(open_run(run).metrics().series("train/loss")[0])


def test_a_closed_terminal_saves(tmp_path: Path) -> None:
    """Its lines then have nowhere to go: to print one raises EIO."""
    terminal, line = pty.openpty()
    args = tiny_args(tmp_path, "--checkpoint.every=0", "--log.every=1", steps=LONG)
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLING, *args], stdin=line, stdout=line, stderr=line, start_new_session=True
    )
    os.close(line)
    drain = threading.Thread(target=lambda: [*iter(lambda: read_terminal(terminal), b"")], daemon=True)
    drain.start()
    run = tmp_path / "runs" / "tiny"
    wait_for_step(run, 3, process)
    os.kill(process.pid, signal.SIGSTOP)
    os.close(terminal)  # hung up: the kernel sends SIGHUP to the process that has it
    os.kill(process.pid, signal.SIGCONT)
    assert process.wait() == 129
    status = open_run(run).status()
    assert status.message == f"stopped at step {status.step:,} of {LONG:,} by SIGHUP, saved"
    assert [info.step for info in open_run(run).checkpoints()] == [status.step]


CONTROLLING = """
import fcntl, signal, sys, termios
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from lab.__main__ import main
sys.exit(main(["fit", *sys.argv[1:]]))
"""


def read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""


def test_a_hang_up_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup starts a process
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            assert interrupts.signal is None
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus.txt", words=400_000)
    slow = ("--data.batch_size=64", "--data.tokens_per_step=1024000", "--checkpoint.every=0")  # a step takes minutes
    process = fit(tiny_args(tmp_path, *slow, steps=LONG))
    run = tmp_path / "runs" / "tiny"
    while not run.exists() or open_run(run).status().state != "running":
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.stderr
    assert b"SIGINT: finishing this step" in next(line for line in process.stderr if b"SIGINT" in line)
    assert process.poll() is None, "the first Ctrl-C did not wait for the step"
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode != 0


def test_two_trainers_on_one_run_are_refused(tmp_path: Path) -> None:
    process = fit(tiny_args(tmp_path, "--checkpoint.every", "2", steps=LONG))
    run = tmp_path / "runs" / "tiny"
    try:
        wait_for_step(run, 4, process)
        second = lab("fit", "--resume", "tiny", "--run.root", str(tmp_path / "runs"))
        assert second.returncode == 2
        assert f"process {process.pid}" in second.stderr
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    assert open_run(run).status().state == "stale"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root: run the tests as root")
def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("this system refuses to mount a tmpfs")
    try:
        args = tiny_args(tmp_path, "--checkpoint.every=5", "--checkpoint.keep=1000", "--snapshots.every=0", steps=2000)
        args[args.index("--run.root") + 1] = str(disk)
        result = lab("fit", *args)
        assert result.returncode == 2, result.stderr
        assert "disk is full" in result.stderr
        assert "Traceback" not in result.stderr
        run = open_run(disk / "tiny")
        newest = run.checkpoints()[-1]
        for old in run.checkpoints()[:-1]:  # the person makes room
            old.path.unlink()
        more = str(newest.step + 3)
        again = lab(
            "fit", "--resume", "tiny", "--run.root", str(disk), "--horizon.steps", more, "--checkpoint.every", "0"
        )
        assert again.returncode == 0, again.stderr
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_an_exception_leaves_a_run_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "broken_callback.py").write_text(
        "import lightning as L\n"
        "class Breaks(L.Callback):\n"
        "    def on_train_batch_end(self, trainer, *args):\n"
        "        if trainer.global_step == 7:\n"
        "            raise OSError('the coffee machine is on fire')\n"
    )
    args = tiny_args(tmp_path, "--checkpoint.every=3", "--trainer.callbacks+=broken_callback.Breaks")
    result = lab("fit", *args, env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"})
    assert result.returncode not in (0, 2)
    assert "coffee machine" in result.stderr
    run = open_run(tmp_path / "runs" / "tiny")
    assert run.status().state == "failed"
    assert "coffee machine" in (run.status().message or "")
    args = ("--resume", "tiny", "--run.root", str(tmp_path / "runs"), "--trainer.callbacks=null")
    resumed = lab("fit", *args, env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"})
    assert resumed.returncode == 0, resumed.stderr
    events = [json.loads(line)["kind"] for line in run.events_path.read_text().splitlines()]
    assert events[-1] == "completed"
