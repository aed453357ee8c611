"""The trial: what it learns, what it keeps, and when it is not made. What a process would measure is put in."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import waiting_trial
from lab.files import read_json
from lab.waiting import FILE, SLEEP, SPIN, Measured, machine, read_kept
from lab.waiting_trial import AGAIN, BUSY, judge, measure_and_keep, prepare, serve

Rates = dict[tuple[str, int], list[float]]
SLEEPING_IS_BETTER: Rates = {(SPIN, 2): [10.0, 10.0], (SLEEP, 2): [12.0, 12.0], (SPIN, 1): [6.0, 6.0]}


class FakeOthers:
    """Others that take what is in the list, one at each look."""

    takes: Iterator[float]

    def taken(self) -> float:
        return next(self.takes)


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> type[FakeOthers]:
    monkeypatch.setattr(waiting_trial, "Others", FakeOthers)
    monkeypatch.setattr(waiting_trial, "SECONDS", 0.0)
    monkeypatch.setattr(waiting_trial, "usable_threads", lambda: (2, "two cores"))
    monkeypatch.setattr(waiting_trial, "_rates", lambda threads: SLEEPING_IS_BETTER)
    FakeOthers.takes = iter([0.0, 0.0, 0.0])
    return FakeOthers


@pytest.mark.parametrize(
    ("spin", "sleep", "one", "best"),
    [
        ([10, 10, 10], [9, 9, 9], [6, 6, 6], Measured(SPIN, 2)),
        ([10, 10, 10], [11, 11, 9], [6, 6, 6], Measured(SLEEP, 2)),
        ([10, 10, 10], [10.2, 10.2, 10.2], [6, 6, 6], Measured(SPIN, 2)),
        ([10, 10, 10], [10, 10, 10], [10.5, 10.5, 10.5], Measured(SPIN, 2)),
        ([10, 10, 10], [9, 9, 9], [12, 12, 12], Measured(SPIN, 1)),
        ([10, 10, 10], [14, 14, 14], [12, 12, 12], Measured(SLEEP, 2)),
    ],
)
def test_another_way_than_libgomps_own_must_be_clearly_better(
    spin: list[float], sleep: list[float], one: list[float], best: Measured
) -> None:
    assert judge({(SPIN, 2): spin, (SLEEP, 2): sleep, (SPIN, 1): one}, 2) == best


def test_what_was_found_is_kept_beside_that_of_other_machines(others: type[FakeOthers], tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / FILE).write_text('{"another": {"policy": "spin", "threads": 8, "until": null}}')
    assert measure_and_keep(folder) == Measured(SLEEP, 2)
    assert set(read_json(folder / FILE) or {}) == {"another", machine()}
    assert read_kept(folder, time.time() + 10 * AGAIN) == Measured(SLEEP, 2), "once a machine"


def test_a_busy_machine_is_not_measured(
    others: type[FakeOthers], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others.takes = iter([0.0, BUSY + 0.1])
    monkeypatch.setattr(waiting_trial, "_rates", lambda threads: pytest.fail("measured"))
    assert measure_and_keep(tmp_path) is None
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("rates", [SLEEPING_IS_BETTER, None])
def test_a_trial_that_was_disturbed_or_failed_holds_for_a_day_and_changes_nothing(
    rates: Rates | None, others: type[FakeOthers], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others.takes = iter([0.0, 0.0, BUSY + 0.1 if rates else 0.0])
    monkeypatch.setattr(waiting_trial, "_rates", lambda threads: rates)
    assert measure_and_keep(tmp_path) == Measured(SPIN, 2)
    assert read_kept(tmp_path, time.time()) == Measured(SPIN, 2)
    assert read_kept(tmp_path, time.time() + AGAIN + 1) is None


def test_what_cannot_be_kept_does_not_matter(others: type[FakeOthers], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert measure_and_keep(tmp_path / "file" / "cache") == Measured(SLEEP, 2)


def test_it_is_made_before_pytorch_where_there_is_a_choice_and_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    monkeypatch.setattr(waiting_trial, "measure_and_keep", made.append)
    monkeypatch.setattr(waiting_trial, "adopt", lambda found: None)
    monkeypatch.setattr(waiting_trial, "is_open", lambda: True)
    prepare(tmp_path, trial=True)
    assert not made, "PyTorch is loaded here"
    monkeypatch.delitem(sys.modules, "torch")
    prepare(tmp_path)
    assert not made, "not asked for"
    prepare(tmp_path, trial=True)
    assert made == [tmp_path]
    monkeypatch.setattr(waiting_trial, "read_kept", lambda *_: Measured(SPIN, 2))
    prepare(tmp_path, trial=True)
    monkeypatch.setattr(waiting_trial, "read_kept", lambda *_: None)
    monkeypatch.setattr(waiting_trial, "is_open", lambda: False)
    prepare(tmp_path, trial=True)
    assert made == [tmp_path], "known, or not to be chosen"


def test_a_process_of_the_trial_answers_each_line_with_a_rate() -> None:
    answers = io.StringIO()
    serve(io.StringIO("1\n1\n"), answers)
    assert all(float(rate) > 0 for rate in answers.getvalue().splitlines())
    assert len(answers.getvalue().splitlines()) == 2


@pytest.mark.slow
def test_two_processes_are_measured_by_turns() -> None:
    rates = waiting_trial._rates(2)
    assert rates is not None
    assert set(rates) == set(SLEEPING_IS_BETTER)
    assert {len(found) for found in rates.values()} == {waiting_trial.ROUNDS}


@pytest.mark.slow
def test_a_process_that_dies_ends_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert waiting_trial._rates(2) is None
