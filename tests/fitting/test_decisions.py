"""What is decided before the first step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lab
from lab.errors import SettingsError
from lab.fitting.decisions import decide, levers_of
from lab.fitting.origin import Origin, find_origin
from lab.limits import usable_threads
from lab.settings.arguments import Arguments
from lab.settings.parse import Settings
from tests.fitting.test_fit import tiny
from tests.tiny import tiny_args


def test_steps_levers_and_nothing_changed(tmp_path: Path) -> None:
    found = decide(Settings("fit", Arguments.of(tiny_args(tmp_path, steps=7))).build(), Origin("new"))
    assert (found.steps, found.changed, found.levers.device) == (7, {}, "cpu")
    assert found.horizon.startswith("7 steps of 64 tokens")


def test_a_run_that_goes_on_keeps_its_length_until_a_horizon_is_given(tmp_path: Path) -> None:
    run = lab.fit(tiny(tmp_path))
    again = ["--resume", str(run.path)]
    origin, arguments = find_origin(Arguments.of([*again, "--model.optimizer.lr", "0.01", "--horizon.steps", "9"]))
    found = decide(Settings("fit", arguments).build(), origin)
    assert found.steps == 9
    assert found.changed["model.optimizer.lr"] == (0.001, 0.01)
    assert found.changed["horizon.steps"] == (6, 9)
    origin, arguments = find_origin(Arguments.of(again))
    with pytest.raises(SettingsError, match="has done 6 of 6 steps"):
        decide(Settings("fit", arguments).build(), origin)


@pytest.mark.parametrize("way", ["--resume", "--fork"])
def test_threads_are_this_machines_and_the_precision_the_runs(way: str, tmp_path: Path) -> None:
    """As if it had begun on a server of 16 cores with bf16."""
    run = lab.fit(tiny(tmp_path))
    content = json.loads(run.status_path.read_text())
    content["levers"]["threads"]["value"], content["levers"]["precision"]["value"] = 16, "bf16-mixed"
    run.status_path.write_text(json.dumps(content))
    origin, arguments = find_origin(Arguments.of([way, str(run.path), "--horizon.steps", "9"]))
    found = decide(Settings("fit", arguments).build(), origin)
    assert found.levers.precision == "bf16-mixed"
    assert found.levers.threads == usable_threads()[0] < 16
    assert found.changed == {"horizon.steps": (6, 9), "levers.threads": (16, found.levers.threads)}


def test_a_schedule_longer_than_the_run_is_refused(tmp_path: Path) -> None:
    """Of a length that follows from the vocabulary, which the check of the settings does not know yet."""
    args = tiny_args(tmp_path, "--model.schedule.warmup_steps=99")
    at = args.index("--horizon.steps")
    args[at : at + 2] = ["--horizon.tokens_per_parameter", "0.01"]
    settings = Settings("fit", Arguments.of(args)).build()
    with pytest.raises(SettingsError, match="warmup"):
        decide(settings, Origin("new"))


@pytest.mark.parametrize("seconds", [0.02, 1.0, 9.7, 60.0, 200.0])
def test_a_warm_up_in_steps_gives_way_where_few_fit_into_the_minutes(
    seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quickstart's schedule on a slow or busy machine: 20 steps of warm-up in 21, or in one."""
    monkeypatch.setattr("lab.fitting.decisions.seconds_per_step", lambda *_: seconds)
    more = ("--model.schedule.kind=wsd", "--model.schedule.warmup_steps=20", "--model.schedule.decay_fraction=0.4")
    args = [*tiny_args(tmp_path, *more), "--horizon.steps", "null", "--horizon.minutes", "3.5"]
    settings = Settings("fit", Arguments.of(args)).build()
    found = decide(settings, Origin("new"))
    schedule = settings.module.schedule_config
    assert found.steps == max(1, int(210 / 1.08 / seconds))
    assert schedule.warmup(found.steps) == min(20, found.steps // 4)
    assert schedule.decay(found.steps) == max(1, round(0.4 * found.steps))
    assert schedule.problems(found.steps) == []


def test_fractions_that_contradict_each_other_are_refused_for_minutes_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.fitting.decisions.seconds_per_step", lambda *_: 0.1)
    more = ("--model.schedule.kind=wsd", "--model.schedule.warmup_fraction=0.6", "--model.schedule.decay_fraction=0.6")
    args = [*tiny_args(tmp_path, *more), "--horizon.steps", "null", "--horizon.minutes", "3.5"]
    with pytest.raises(SettingsError, match="do not fit into"):
        decide(Settings("fit", Arguments.of(args)).build(), Origin("new"))


def test_levers_asked_for(tmp_path: Path) -> None:
    asked = ("--levers.threads=1", "--trainer.precision=32-true", "--levers.attention=explicit")
    found = levers_of(Settings("fit", Arguments.of(tiny_args(tmp_path, *asked))).build())
    assert (found.threads, found.precision, found.attention) == (1, "32-true", "explicit")
