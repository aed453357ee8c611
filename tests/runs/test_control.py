"""The control channel: asked and answered, and everything that must be refused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.runs import EventWriter, Run, StatusWriter
from lab.runs.control import COMMANDS, ControlChannel, command_problem, send_command, wait_for_answer
from lab.runs.events import CommandAnswered, CommandRefused
from tests.patience import PATIENCE


@pytest.fixture
def live(run: Run) -> Iterator[Run]:
    """A run that is being trained, by this very process."""
    with StatusWriter(run) as status:
        status.update(state="running")
        yield run


@pytest.fixture
def channel(live: Run) -> ControlChannel:
    return ControlChannel(live, EventWriter(live))


def put(run: Run, name: str, content: Any) -> None:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (run.control_dir / name).write_bytes(data)


def test_asked_and_answered(live: Run, channel: ControlChannel) -> None:
    assert channel.poll() == []
    identity = send_command(live, "lr", value=0.5)
    (command,) = channel.poll(step=7)
    assert (command.id, command.name, command.args) == (identity, "lr", {"value": 0.5})
    assert channel.poll() == [], "at most once"
    channel.answer(command, 7, before=1.0)
    answer = wait_for_answer(live, identity)
    assert isinstance(answer, CommandAnswered)
    assert (answer.step, answer.command, answer.before) == (7, "lr", 1.0)
    assert list(live.control_dir.iterdir()) == []


def test_commands_arrive_in_order(live: Run, channel: ControlChannel) -> None:
    sent = [send_command(live, name) for name in ("pause", "resume", "checkpoint", "sample", "stop")]
    assert [command.id for command in channel.poll()] == sent


def test_waiting_for_an_answer_from_another_thread(live: Run, channel: ControlChannel) -> None:
    identity = send_command(live, "pause")

    def trainer() -> None:
        time.sleep(0.1)
        for command in channel.poll():
            channel.refuse(command, "not now", 3)

    thread = threading.Thread(target=trainer)
    thread.start()
    answer = wait_for_answer(live, identity, timeout=PATIENCE)
    thread.join()
    assert isinstance(answer, CommandRefused)
    assert answer.reason == "not now"
    assert wait_for_answer(live, "nobody", timeout=0.1) is None


@pytest.mark.parametrize(
    ("name", "args", "why"),
    [
        ("explode", {}, "unknown command 'explode'; commands are pause, resume, stop"),
        (["pause"], {}, "unknown command"),
        (None, {}, "unknown command None"),
        ("pause", {"now": True}, r"'pause' takes no arguments, not \['now'\]"),
        ("pause", [1], "takes no arguments"),
        ("lr", {}, "needs value to be a number from 0 to 1000, not None"),
        ("lr", {"value": "high"}, "a number from 0 to 1000"),
        ("lr", {"value": -1}, "a number from 0 to 1000"),
        ("lr", {"value": True}, "a number from 0 to 1000"),
        ("lr", {"value": float("nan")}, "a number from 0 to 1000"),
        ("lr", {"value": 10**400}, "a number from 0 to 1000"),
        ("sample", {"prompt": 3}, "prompt to be a text"),
        ("sample", {"prompt": "x" * 10_001}, "at most 10000 characters"),
    ],
)
def test_commands_that_make_no_sense(live: Run, channel: ControlChannel, name: Any, args: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        raise ValueError(command_problem(name, args))
    if isinstance(args, dict):
        with pytest.raises(ValueError, match=why):
            send_command(live, name, **args)
    put(live, "1.json", {"command": name, "args": args})
    assert channel.poll(9) == []
    (event,) = live.events()
    assert isinstance(event, CommandRefused)
    assert (event.id, event.step) == ("1", 9)


def test_every_command_is_understood_without_its_optional_arguments() -> None:
    needed = {"lr": {"value": 1}}
    assert [command_problem(name, needed.get(name, {})) for name in COMMANDS] == [None] * len(COMMANDS)


@pytest.mark.parametrize("content", [b"", b'{"command": "st', b"[]", b"null", b"\xff", b'{"args": {}}', b"3"])
def test_damaged_files_are_refused_and_removed(live: Run, channel: ControlChannel, content: bytes) -> None:
    put(live, "1.json", content)
    assert channel.poll() == []
    (event,) = live.events()
    assert isinstance(event, CommandRefused)
    assert (event.id, event.reason) == ("1", "its file is damaged")
    assert channel.poll() == []
    assert len(live.events()) == 1


def test_what_cannot_be_removed_is_answered_once(live: Run, channel: ControlChannel) -> None:
    (live.control_dir / "folder.json").mkdir()
    assert [channel.poll(), channel.poll()] == [[], []]
    assert len(live.events()) == 1


def test_a_command_being_written_is_not_looked_at(live: Run, channel: ControlChannel) -> None:
    put(live, ".tmp-5.json-1-1", b'{"command": "st')
    assert channel.poll() == []
    assert live.events() == []


def test_a_command_for_an_earlier_trainer_is_not_carried_out(live: Run) -> None:
    identity = send_command(live, "stop")
    channel = ControlChannel(live, EventWriter(live))
    assert channel.poll() == []
    answer = wait_for_answer(live, identity, 0)
    assert isinstance(answer, CommandRefused)
    assert answer.reason == "it was sent before this trainer started"


def test_nothing_is_sent_to_the_dead(run: Run) -> None:
    with pytest.raises(ValueError, match=r"run 'fox' is broken .*no process trains it, so 'stop' was not sent"):
        send_command(run, "stop")
    with StatusWriter(run) as status:
        status.update(state="stopped")
    with pytest.raises(ValueError, match="run 'fox' is stopped: no process"):
        send_command(run, "stop")
    assert list(run.control_dir.iterdir()) == []


def test_an_empty_poll_costs_microseconds(channel: ControlChannel) -> None:
    def microseconds() -> float:
        began = time.process_time()  # other work on the machine does not count
        for _ in range(1000):
            channel.poll()
        return (time.process_time() - began) * 1e3

    assert min(microseconds() for _ in range(5)) < 50  # about 6; a step takes 5000 and more
