"""Comparing runs where they are comparable, and naming what tells them apart."""

from __future__ import annotations

import pytest

from lab.runs import MetricsDelta, MetricsHistory
from lab.runs.compare import (
    WATCHING,
    compare_losses,
    config_differences,
    flatten,
    group_by_configuration,
    held_out_of,
    text_of,
    vocabulary_of,
)


def history(tokens_per_step: int, losses: dict[int, float | None]) -> MetricsHistory:
    table = MetricsHistory()
    rows = [
        {"step": step, "tokens": step * tokens_per_step, "time": step * 1.0, "val/loss": loss}
        for step, loss in losses.items()
    ]
    table.apply(MetricsDelta(rows))
    return table


def test_aligned_on_the_farthest_common_point() -> None:
    runs = {
        "small": history(10, {0: 5.0, 10: 4.0, 20: 3.0}),
        "large": history(20, {0: 5.0, 5: 4.5, 8: 3.5, 15: 2.0}),
    }
    by_tokens = compare_losses(runs, "tokens", ["val/loss"])
    assert (by_tokens.axis, by_tokens.at) == ("tokens", 200)
    assert by_tokens.values == {"small": {"val/loss": 3.0}, "large": {"val/loss": 3.5}}
    by_steps = compare_losses(runs, "step", ["val/loss"])
    assert by_steps.at == 15
    assert by_steps.values == {"small": {"val/loss": 4.0}, "large": {"val/loss": 2.0}}


def test_what_was_never_measured_is_none() -> None:
    runs = {"a": history(10, {0: None, 10: None}), "b": history(10, {5: 3.0})}
    found = compare_losses(runs, "tokens", ["val/loss", "train/loss"])
    assert found.at == 50
    assert found.values == {
        "a": {"val/loss": None, "train/loss": None},
        "b": {"val/loss": 3.0, "train/loss": None},
    }


@pytest.mark.parametrize("runs", [{}, {"a": MetricsHistory(), "b": history(1, {1: 1.0})}])
def test_nothing_to_compare(runs: dict[str, MetricsHistory]) -> None:
    found = compare_losses(runs, "tokens", ["val/loss"])
    assert found.at is None
    assert all(values == {"val/loss": None} for values in found.values.values())


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


def test_single_batches_are_averaged_over_the_last_tenth() -> None:
    table = MetricsHistory()
    table.apply(MetricsDelta([{"step": s, "tokens": s, "time": s, "train/loss": float(s % 2)} for s in range(101)]))
    assert compare_losses({"a": table}, "step", ["train/loss"]).values["a"]["train/loss"] == 0.5


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


def test_what_a_run_is_about() -> None:
    data = {
        "corpus": {"name": "text", "fingerprint": "split one"}, "splits": {"train": {"bytes": 9}, "val": {"bytes": 1}},
        "val_slice": {"text": "a"}, "validation": {"tokens": 3}, "tokenizer": {"fingerprint": "t"},
    }  # fmt: skip
    split = data | {"corpus": {"name": "text", "fingerprint": "split two"}, "val_slice": {"text": "b"}}
    assert text_of(data) == text_of(split) != text_of(data | {"splits": {"train": {"bytes": 8}}})
    assert held_out_of(data) != held_out_of(split)
    assert vocabulary_of(data) == "t"
    for odd in ({}, {"corpus": 3, "tokenizer": [], "val_slice": "x", "splits": 1}, {"corpus": {"name": None}}):
        assert (text_of(odd), held_out_of(odd), vocabulary_of(odd)) == (None, None, None)
