"""How threads wait: as measured, said to libgomp before it is loaded; and as others come and go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from lab import waiting
from lab.limits import physical_cores, usable_cpus
from lab.waiting import (
    FILE,
    FREE,
    MOST_ROOM_SECONDS,
    POLICY_VARIABLE,
    PRESSED,
    ROOM_SECONDS,
    SLEEP,
    SPIN,
    Measured,
    Pressure,
    adopt,
    machine,
    read_kept,
)
from tests.patience import PATIENCE

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP is Linux's")


def keep(folder: Path, **entry: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_bytes(orjson.dumps({machine(): {"policy": SLEEP, "threads": 2, "until": None} | entry}))
    return folder


@pytest.fixture
def _several(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two processors, on which the user has chosen nothing."""
    for name in (*waiting.SET_BY_USER, "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(waiting, "usable_threads", lambda: (2, "two cores"))
    monkeypatch.setattr(waiting, "GPU", Path("/nowhere"))
    monkeypatch.setattr(waiting, "adopted", [])


# ---------------------------------------------------------------- before libgomp


@LINUX
@pytest.mark.slow
@pytest.mark.skipif(physical_cores(usable_cpus()) < 2, reason="one core: no thread waits for another")
@pytest.mark.parametrize(
    ("kept", "own", "spins"),
    [({"policy": SLEEP}, {}, "0"), ({"policy": SPIN}, {}, "300000"), ({"policy": SLEEP}, {"GOMP_SPINCOUNT": "7"}, "7")],
)
def test_libgomp_is_loaded_with_what_was_measured_unless_the_user_chose(
    kept: dict[str, str], own: dict[str, str], spins: str, tmp_path: Path
) -> None:
    ours = {name for name in os.environ if name not in (*waiting.SET_BY_USER, "OMP_NUM_THREADS")}
    environment = {name: os.environ[name] for name in ours} | {"OMP_DISPLAY_ENV": "VERBOSE", **own}
    environment["LAB_CACHE_DIR"] = str(keep(tmp_path / "cache", **kept))
    command = [sys.executable, "-m", "lab", "generate", "nothing", "--root", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE)
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr  # what libgomp says of itself when it is loaded


@pytest.mark.usefixtures("_several")
def test_what_holds_is_told_to_libgomp_only_before_pytorch_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    adopt(Measured(SLEEP, 2))
    assert POLICY_VARIABLE not in os.environ
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setenv(POLICY_VARIABLE, "")
    adopt(Measured(SPIN, 1))
    assert os.environ[POLICY_VARIABLE] == ""
    adopt(Measured(SLEEP, 2))
    assert os.environ[POLICY_VARIABLE] == "passive"


@pytest.mark.usefixtures("_several")
@pytest.mark.parametrize("variable", waiting.SET_BY_USER)
def test_a_choice_of_the_users_leaves_nothing_to_choose(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert waiting.is_open()
    monkeypatch.setenv(variable, "active")
    assert not waiting.is_open()
    assert not waiting.can_sleep()


@pytest.mark.usefixtures("_several")
def test_one_thread_a_gpu_or_another_system_leave_nothing_to_choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(waiting, "usable_threads", lambda: (1, "one core"))
        assert not waiting.is_open()
    with monkeypatch.context() as patch:
        patch.setattr(waiting, "GPU", tmp_path)
        assert not waiting.is_open()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not waiting.is_open()
    assert not waiting.can_sleep()
    waiting.sleep(True)
    assert not waiting.sleeps()


def test_what_is_kept_holds_for_this_machine_and_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = keep(tmp_path / "cache", until=1000.0)
    assert read_kept(folder, 999.0) == Measured(SLEEP, 2)
    assert read_kept(folder, 1000.0) is None
    monkeypatch.setattr(waiting, "usable_cpus", lambda: frozenset(range(77)))
    assert read_kept(folder, 999.0) is None, "a machine with other processors"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', '{"MACHINE": {}}', '{"MACHINE": {"threads": "many"}}'])
def test_a_damaged_file_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(content.replace("MACHINE", machine()))
    assert read_kept(tmp_path, 0.0) is None


# ---------------------------------------------------------------- while the process runs


@LINUX
def test_threads_sleep_while_there_are_more_than_processors() -> None:
    if not waiting.can_sleep():
        pytest.skip("another OpenMP than GNU's, or the way to wait is set")

    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    before = threads()
    waiting.sleep(True)
    assert waiting.sleeps()
    held = threads()
    waiting.sleep(True)
    assert held - before > len(usable_cpus()), "libgomp's rule: more than there are processors"
    assert threads() == held
    waiting.sleep(False)
    assert not waiting.sleeps()


def judged(pressure: Pressure, *readings: tuple[float, float]) -> list[bool]:
    return [pressure.judge(now, lacking) for now, lacking in readings]


def test_pressure_begins_at_once_and_ends_after_some_seconds_of_room() -> None:
    pressure = Pressure()
    assert judged(pressure, (0, PRESSED - 0.01), (1, PRESSED)) == [False, True]
    assert judged(pressure, (2, FREE), (3, 0.0), (3 + ROOM_SECONDS - 0.1, 0.0)) == [True, True, True]
    assert judged(pressure, (5.5, FREE), (6, 0.0), (6 + ROOM_SECONDS, 0.0)) == [True, True, False], "not in a row"


def test_what_comes_and_goes_is_given_ever_more_time_and_then_as_much_as_at_first() -> None:
    pressure, now, waits = Pressure(), 0.0, []
    for _ in range(8):
        pressure.judge(now, 1.0)
        free = now + 0.5
        while pressure.judge(now := now + 0.5, 0.0):
            pass
        waits.append(now - free)
        now += 0.5
    assert waits == [
        ROOM_SECONDS * 2**n if ROOM_SECONDS * 2**n < MOST_ROOM_SECONDS else MOST_ROOM_SECONDS for n in range(8)
    ]
    judged(pressure, (now + 1000, 1.0), (now + 1001, 0.0))
    assert not pressure.judge(now + 1001 + ROOM_SECONDS, 0.0)


@pytest.mark.parametrize(("lacking", "room"), [(0.2, 4), (1.0, 3), (2.4, 2), (9.0, 1)])
def test_room_is_for_as_many_threads_as_have_a_processor(lacking: float, room: int) -> None:
    pressure = Pressure()
    assert pressure.room_for(4) == 4
    pressure.judge(0.0, lacking)
    assert pressure.room_for(4) == room
