"""A run steered from outside: what is asked is answered and done between two steps, and changes no bit of the rest."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.__main__ import main
from lab.runs import Run
from lab.runs.control import send_command, wait_for_answer
from lab.runs.events import LrChanged, Unpaused, of_kind
from lab.runs.metrics_log import Row
from lab.training.schedules import ScheduleConfig, lr_factor
from tests.patience import PATIENCE
from tests.tiny import losses, tiny_args

QUIET = ("--validation.every=0", "--checkpoint.every=0", "--snapshots.every=0", "--probes.every=0")
QUIET += ("--attention_maps.every=0", "--activation_histograms.every=0", "--samples.every=0", "--log.every=1")
STEPS = 100_000


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


@dataclass
class Pilot:
    """Sits beside a fit in another thread, and steers."""

    run: Run
    answers: list[Row] = field(default_factory=list)

    def ask(self, name: str, **args: Any) -> Row:
        answer = wait_for_answer(self.run, send_command(self.run, name, **args), PATIENCE)
        assert answer is not None, f"{name} was not answered"
        self.answers.append(answer.as_row())
        return self.answers[-1]

    def wait_for_step(self, step: int) -> None:
        wait_until(lambda: self.run.status().state == "running" and (self.run.status().step or 0) >= step)


def fly(folder: Path, steer: Callable[[Pilot], object], *more: str, new: bool = True) -> tuple[int, Pilot]:
    """A fit in this process, and `steer` beside it; whatever it raises ends the fit and is raised here."""
    pilot, failure = Pilot(Run(folder / "runs" / "tiny")), []

    def follow() -> None:
        try:
            steer(pilot)
        except BaseException as error:
            failure.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=follow)
    thread.start()
    code = main(["fit", *(tiny_args(folder, *QUIET, steps=STEPS) if new else ()), *more])
    thread.join()
    if failure:
        raise failure[0]
    return code, pilot


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """The losses of a run that is told nothing but to stop."""

    def steer(pilot: Pilot) -> None:
        pilot.wait_for_step(30)
        pilot.ask("stop")

    folder = tmp_path_factory.mktemp("alone")
    assert fly(folder, steer)[0] == 0
    return losses(folder / "runs" / "tiny")


@pytest.fixture(scope="module")
def steered(tmp_path_factory: pytest.TempPathFactory) -> Pilot:
    """A run that was asked for everything, in an order that tells much, and then stopped."""

    def steer(pilot: Pilot) -> None:
        pilot.wait_for_step(3)
        pilot.ask("pause")
        seen = pilot.run.status()
        pilot.ask("pause")
        pilot.ask("checkpoint")
        pilot.ask("sample", prompt="the ")
        pilot.ask("sample", prompt="§")
        pilot.ask("sample")
        wait_until(lambda: pilot.run.status().heartbeat > seen.heartbeat)  # type: ignore[operator]
        still = pilot.run.status()
        assert (still.state, still.step, still.eta_seconds) == ("paused", seen.step, seen.eta_seconds)
        assert still.details["training_seconds"] == seen.details["training_seconds"]
        pilot.ask("resume")
        pilot.ask("resume")
        pilot.wait_for_step(25)
        pilot.ask("checkpoint")
        pilot.ask("lr", value=0.5)
        both = [send_command(pilot.run, name) for name in ("pause", "resume", "stop", "pause")]
        answers = [wait_for_answer(pilot.run, one, PATIENCE) for one in both]
        pilot.answers += [answer.as_row() if answer else {} for answer in answers]

    code, pilot = fly(tmp_path_factory.mktemp("steered"), steer, "--checkpoint.keep=1")
    assert code == 0
    return pilot


def test_each_command_is_answered_in_order(steered: Pilot) -> None:
    said = [(a["command"], a["kind"].removeprefix("command_"), a.get("reason")) for a in steered.answers]
    vocabulary = steered.answers[4]["reason"]
    assert said == [
        ("pause", "answered", None),
        ("pause", "refused", "it is paused already"),
        ("checkpoint", "answered", None),
        ("sample", "answered", None),
        ("sample", "refused", vocabulary),
        ("sample", "answered", None),
        ("resume", "answered", None),
        ("resume", "refused", "it is not paused"),
        ("checkpoint", "answered", None),
        ("lr", "answered", None),
        ("pause", "answered", None),
        ("resume", "answered", None),
        ("stop", "answered", None),
        ("pause", "refused", "the run is at its end"),
    ]
    assert "not in the vocabulary" in vocabulary
    assert [a["step"] for a in steered.answers[:7]] == [steered.answers[0]["step"]] * 7, "it stood still"


def test_events_tell_that_the_run_was_touched(steered: Pilot) -> None:
    events = steered.run.events()
    kinds = [event.kind for event in events]
    assert kinds.count("paused") == kinds.count("unpaused") == 2
    assert [(e.before, e.to) for e in of_kind(events, LrChanged)] == [(1.0, 0.5)]
    pause = of_kind(events, Unpaused)[0]
    assert pause.seconds >= 0.5, "a heartbeat was awaited in it"
    status = steered.run.status()
    assert (status.state, status.details["lr_scale"]) == ("stopped", 0.5)
    assert status.message == f"stopped at step {status.step:,} of {status.total_steps:,} as asked, saved"


def test_samples_asked_for_are_written_like_the_others(steered: Pilot) -> None:
    first, *others = steered.run.samples()
    assert (first["prompt"], first["text"]) == ("the ", steered.answers[3]["text"])
    assert {"temperature", "seed", "longest_copy", "step"} <= first.keys()
    assert len(others) == 2, "without a prompt the instrument's own two"


def test_checkpoints_asked_for_stay_and_the_stop_is_saved(steered: Pilot) -> None:
    steps = {info.step: info.kind for info in steered.run.checkpoints()}
    asked = [a["step"] for a in steered.answers if a["command"] == "checkpoint"]
    assert steps == {asked[0]: "milestone", asked[1]: "milestone", steered.run.status().step: "interrupted"}


def test_commands_change_no_bit_of_the_losses(steered: Pilot, alone: dict[int, str]) -> None:
    slower = of_kind(steered.run.events(), LrChanged)[0].step
    mine = losses(steered.run.path)
    common = [step for step in alone if step in mine and step <= slower]
    assert len(common) > 20
    assert {step: mine[step] for step in common} == {step: alone[step] for step in common}


def test_the_rate_is_a_factor_that_survives_the_resume_but_not_the_fork(steered: Pilot) -> None:
    run, root = steered.run, str(steered.run.path.parent)
    rates = dict(zip(*run.metrics().series("train/lr"), strict=True))
    changed = of_kind(run.events(), LrChanged)[0].step
    end = run.status().step
    assert end is not None
    if end > changed:
        before, after = (
            lr_factor(step, run.status().total_steps or 0, ScheduleConfig()) for step in (changed - 1, end - 1)
        )
        assert rates[end - 1] / after == pytest.approx(rates[changed - 1] / before / 2)
    n_events, more = len(run.events()), f"--horizon.steps={end + 2}"
    assert main(["fit", "--resume", "tiny", "--run.root", root, more, "--model.schedule.kind=constant"]) == 0
    rates = dict(zip(*run.metrics().series("train/lr"), strict=True))
    assert rates[end + 1] == pytest.approx(0.5 * (run.config() or {})["model"]["optimizer"]["lr"])
    assert "lr_changed" not in [event.kind for event in run.events()[n_events:]], "nothing has changed"
    fork = ["--fork", f"tiny@{end + 2}", "--run.root", root, "--run.name", "fork", f"--horizon.steps={end + 4}"]
    assert main(["fit", *fork, "--model.schedule.kind=constant"]) == 0
    forked = Run(Path(root) / "fork")
    assert forked.metrics().latest("train/lr") == pytest.approx(2 * rates[end + 1])
    assert forked.status().details["lr_scale"] == 1.0


def test_sigterm_ends_a_pause_and_saves(tmp_path: Path) -> None:
    def steer(pilot: Pilot) -> None:
        pilot.wait_for_step(2)
        pilot.ask("pause")
        os.kill(os.getpid(), signal.SIGTERM)

    code, pilot = fly(tmp_path, steer)
    assert code == 128 + signal.SIGTERM
    status = pilot.run.status()
    assert (status.state, status.step) == ("stopped", pilot.answers[0]["step"])
    assert [info.step for info in pilot.run.checkpoints()] == [status.step]


def test_a_folder_that_somebody_removed_ends_no_training(tmp_path: Path) -> None:
    def steer(pilot: Pilot) -> None:
        pilot.wait_for_step(2)
        pilot.run.control_dir.rmdir()
        wait_until(pilot.run.control_dir.is_dir)
        pilot.ask("stop")

    assert fly(tmp_path, steer)[0] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root: run the tests as root")
def test_a_full_disk_refuses_the_checkpoint_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(tmp_path / "runs")]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("this system refuses to mount a tmpfs")

    def steer(pilot: Pilot) -> None:
        pilot.wait_for_step(2)
        pilot.ask("pause")
        filler, free = tmp_path / "runs" / "filler", shutil.disk_usage(tmp_path / "runs").free
        filler.write_bytes(b"x" * (free - 100_000))  # a checkpoint takes 350,000 bytes
        assert "the disk is full" in pilot.ask("checkpoint")["reason"]
        filler.unlink()
        pilot.ask("checkpoint")
        pilot.ask("resume")
        pilot.ask("stop")

    try:
        code, pilot = fly(tmp_path, steer)
        assert code == 0
        kinds = [answer["kind"].removeprefix("command_") for answer in pilot.answers]
        assert kinds == ["answered", "refused", "answered", "answered", "answered"]
        assert pilot.answers[2]["step"] in [info.step for info in pilot.run.checkpoints()]
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "runs")], check=True)
