"""What a rehearsal makes of what it saw: looks that draw, looks that do not, and first ones that load things."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.callbacks.dashboards import Dashboards
from lab.callbacks.reference_texts import PICTURES, ReferenceTexts
from lab.planning.rehearsal import Stopwatch, over_a_run, within
from lab.training import looking
from lab.training.looking import LookTimes

STEPS, EVERY = 1000, 10


def test_the_first_of_many_pays_for_what_is_loaded() -> None:
    assert over_a_run([5.0, 1.0, 2.0, 1.0], 101) == pytest.approx(5 + 100 * 1.0)
    assert over_a_run([5.0], 3) == 15
    assert over_a_run([], 3) == over_a_run([5.0], 0) == 0


def test_pictures_count_as_often_as_they_are_drawn() -> None:
    known = {"total_steps": STEPS, "is_main_process": True, "callbacks": (), "looks": LookTimes()}
    fit = cast(Any, SimpleNamespace(**known, find=lambda kind: None))
    probes, watch = ReferenceTexts(every=EVERY), Stopwatch(cast(Any, None))
    watch.fit, watch.watched = fit, [probes]
    seen = (0, 1, 2, 4, 8)  # the log-spaced start, where every look draws
    watch.times[id(probes)] = dict.fromkeys(seen, 0.30)
    watch.drawn[id(probes)] = dict.fromkeys(seen, 0.25)
    planned = [n for n in range(STEPS + 1) if probes.due(fit, n)]
    drawing = [n for n in planned if probes.draws(fit, n)]
    assert len(drawing) < len(planned) / (PICTURES / 2)
    assert watch.looks(STEPS)["probes"] == pytest.approx(0.05 * len(planned) + 0.25 * len(drawing))


def test_a_rehearsed_picture_is_timed_and_still_drawn() -> None:
    probes, watch, shown = ReferenceTexts(), Stopwatch(cast(Any, None)), []
    dashboards = Dashboards([], lambda step: step)
    dashboards.picture = lambda name, draw, step: shown.append((name, step))  # type: ignore[method-assign]
    clocked = watch._clocked(probes, lambda _: dashboards)(cast(Any, None))
    clocked.picture("a", cast(Any, None), 4)
    clocked.picture("b", cast(Any, None), 4)
    assert shown == [("a", 4), ("b", 4)]
    assert list(watch.drawn[id(probes)]) == [4]
    assert watch.drawn[id(probes)][4] > 0


def test_looks_take_no_more_than_the_budget_lets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "LEAST_SECONDS", 60.0)
    assert within(0.05, 1000.0, {"samples": 90.0, "probes": 10.0}) == pytest.approx({"samples": 45.0, "probes": 5.0})
    assert within(0.05, 1000.0, {"samples": 40.0}) == {"samples": 40.0}
    assert within(0.05, 10.0, {"samples": 40.0}) == {"samples": 40.0}  # a run of less than a minute keeps all
    assert within(0.05, 30.0, {"samples": 40.0}) == pytest.approx({"samples": 3.0})
    assert within(0.05, 1000.0, {}) == {}
