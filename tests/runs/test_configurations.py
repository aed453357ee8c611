"""What tells configurations apart, and runs that differ in their seed alone."""

from __future__ import annotations

from lab.runs.configurations import WATCHING, changed_settings, config_differences, flatten, group_by_configuration


def test_differences_of_configurations() -> None:
    base = {
        "model": {"n_layers": 4, "bias": True},
        "lr": 0.1,
        "betas": [0.9, 0.95],
        "none": None,
        "empty": {},
    }
    other = {"model": {"n_layers": 6, "bias": True}, "lr": 0.1, "betas": [0.9, 0.99], "empty": {}, "new": 1}
    assert config_differences({"a": base, "b": base}) == {}
    assert config_differences({"a": base, "b": other}) == {
        "betas": {"a": [0.9, 0.95], "b": [0.9, 0.99]},
        "model.n_layers": {"a": 4, "b": 6},
        "new": {"b": 1},
        "none": {"a": None},
    }


def test_true_and_one_are_not_the_same_setting() -> None:
    assert config_differences({"a": {"x": True}, "b": {"x": 1}}) == {"x": {"a": True, "b": 1}}


def test_flatten() -> None:
    assert flatten({"a": {"b": {"c": 1}}, "d": [{"e": 2}], "f": {}}) == {"a.b.c": 1, "d": [{"e": 2}], "f": {}}


def test_runs_that_differ_in_their_seed_alone_are_one_group() -> None:
    base = {
        "seed_everything": 1,
        "data": {"seed": 1, "cache_dir": "x"},
        "run": {"note": "a"},
        "lr": 0.1,
        "wandb": "off",
    }
    seed = {"seed_everything": 2, "data": {"seed": 1, "cache_dir": "y"}, "run": {"note": "b"}, "lr": 0.1}
    other = {"seed_everything": 1, "data": {"seed": 1}, "lr": True}
    groups = group_by_configuration({"a": base, "b": other, "c": seed, "d": None, "e": None})
    assert [group.runs for group in groups] == [("a", "c"), ("b",), ("d",), ("e",)]
    assert groups[0].seeds == {"a": (1, 1), "c": (2, 1)}
    assert [g.runs for g in group_by_configuration({"x": {"lr": True}, "y": {"lr": 1}})] == [("x",), ("y",)]


def test_how_closely_a_run_is_watched_makes_no_other_run() -> None:
    from lab.callbacks.instruments import INSTRUMENTS

    assert {f"{instrument.group}." for instrument in INSTRUMENTS} <= set(WATCHING)
    watched = {"probes": {"every": 3}, "doctor": {"thresholds": None}, "lr": 1, "validation": {"every": 7}}
    assert [g.runs for g in group_by_configuration({"a": {"lr": 1}, "b": watched})] == [("a", "b")]


def test_changed_settings_have_both_values_and_leave_out_where_a_run_lies() -> None:
    before = {"data": {"seed": 1, "corpus": "python"}, "run": {"root": "a"}, "gone": 3}
    after = {"data": {"seed": 2, "corpus": "python", "new": None}, "run": {"root": "b"}}
    assert changed_settings(before, after) == {"data.seed": (1, 2), "gone": (3, None)}
