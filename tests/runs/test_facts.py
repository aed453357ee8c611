"""Facts of a run, read by type: what is missing or of another kind is None, and no error."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from lab.runs import Run
from lab.runs.facts import Facts, as_mapping, as_number, as_text, baselines_of, dig, text_of, vocabulary_of
from lab.runs.seams import held_out_of


@pytest.mark.parametrize("value", [True, "1", None, [1], math.nan, math.inf, {}])
def test_what_is_no_number(value: Any) -> None:
    assert as_number(value) is None


def test_small_readers() -> None:
    assert (as_mapping({1: 2}), as_mapping([1]), as_mapping(None)) == ({1: 2}, {}, {})
    assert (as_number(3), as_number(0.5), as_text("a"), as_text(3)) == (3, 0.5, "a", None)
    tree = {"a": {"b": [1], "c": None}}
    assert dig(tree, "a", "b") == [1]
    assert (dig(tree, "a", "c", "d"), dig(tree, "x", "y"), dig(None, "a")) == (None, None, None)


def test_baselines_are_numbers_and_the_worst_comes_first() -> None:
    nats = {"xz": 1.5, "uniform": 5, "unigram": "n/a", "bigram": math.nan, "floor": True}
    data = {"baselines": {"nats_per_token": nats, "bits_per_byte": {"xz": 2.0}}}
    assert list(baselines_of(data).items()) == [("uniform", 5.0), ("xz", 1.5)]
    assert baselines_of(data, "bits_per_byte") == {"xz": 2.0}
    assert baselines_of({"baselines": [1]}) == baselines_of({}) == baselines_of(None) == {}


def test_facts_of_a_run_that_says_nothing(run: Run) -> None:
    for empty in (Facts(), Facts.of(run)):
        assert empty.epochs(10) is None
        assert empty.tokens_per_parameter is None
        assert empty.baseline("unigram") is None
        assert not empty.settings


def test_facts_of_files(run: Run) -> None:
    run.config_path.write_text("model: {optimizer: {lr: 0.1, clip: high}}\ndata: {corpus: text}\n")
    run.data_path.write_text('{"tokens_per_step": 64, "steps_per_epoch": 50, "splits": {"train": {"tokens": 9}}}')
    run.status_path.write_text('{"format": 1, "state": "stopped", "total_steps": 100, "details": {"parameters": 320}}')
    facts = Facts.of(run)
    assert (facts.number("model.optimizer.lr"), facts.number("model.optimizer.clip")) == (0.1, None)
    assert facts.says("data.corpus", "text")
    assert not facts.says("data.tokenizer", "bpe")
    assert (facts.of_data("splits", "train", "tokens"), facts.of_data("splits", "val", "tokens")) == (9, None)
    assert (facts.total_steps, facts.parameters, facts.tokens_per_parameter, facts.epochs(25)) == (100, 320, 20.0, 0.5)


@pytest.mark.parametrize("content", ["[1]", "{", '{"baselines": 3, "tokens_per_step": "x", "steps_per_epoch": 0}'])
def test_a_damaged_file_leaves_a_gap(run: Run, content: str) -> None:
    for path in (run.config_path, run.data_path):
        path.write_text(content)
    facts = Facts.of(run)
    assert (facts.baselines, facts.of_data("tokens_per_step"), facts.epochs(1)) == ({}, None, None)


def test_a_plan_that_is_no_number_is_none(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.status_path.write_text('{"format": 1, "state": "failed", "total_steps": "many", "details": [1]}')
    assert (Facts.of(run).total_steps, Facts.of(run).parameters) == (None, None)


def test_what_a_run_is_about() -> None:
    data = {
        "corpus": {"name": "text", "fingerprint": "split one"}, "splits": {"train": {"bytes": 9}, "val": {"bytes": 1}},
        "val_slice": {"text": "a"}, "validation": {"tokens": 3}, "tokenizer": {"fingerprint": "t"},
    }  # fmt: skip
    corpus = {"name": "text", "fingerprint": "split two", "split": "by seed 2"}
    split = data | {"corpus": corpus, "val_slice": {"text": "b"}}
    assert text_of(data) == text_of(split) != text_of(data | {"splits": {"train": {"bytes": 8}}})
    assert held_out_of(data) != held_out_of(split)
    assert vocabulary_of(data) == "t"
    for odd in ({}, {"corpus": 3, "tokenizer": [], "val_slice": "x", "splits": 1}, {"corpus": {"name": None}}):
        assert (text_of(odd), held_out_of(odd), vocabulary_of(odd)) == (None, None, None)
