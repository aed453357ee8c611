"""Seams: what held when, from one record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.runs import Run
from lab.runs.seams import Seam, Seams, held_out_of, read_seams, told_changes, write_seams

SIZES = st.tuples(st.integers(1, 50), st.sampled_from([1, 2, 4, 8]), st.sampled_from([4, 8, 16]))


def course(stretches: list[tuple[int, int, int]]) -> Seams:
    """(steps, sequences a step, context length), one after the other, all of one text."""
    seams, step = None, 0
    for steps, per_step, context in stretches:
        tokens = seams.tokens_at(step) if seams else 0
        read = seams.next_sequence(step, "text", context) if seams else 0
        seam = Seam(step, tokens, read, per_step * context, context, text="text")
        seams, step = seams.then(seam) if seams else Seams([seam]), step + steps
    assert seams is not None
    return seams


@given(st.lists(SIZES, min_size=1, max_size=5))
def test_tokens_are_what_the_batches_held_and_the_axis_only_grows(stretches: list[tuple[int, int, int]]) -> None:
    seams, seen, step = course(stretches), 0, 0
    for steps, per_step, context in stretches:
        for _ in range(steps):
            assert seams.tokens_at(step) == seen
            assert seams.at(step).sequences_per_step == per_step
            seen, step = seen + per_step * context, step + 1
    assert seams.tokens_at(step) == seen


@given(st.lists(st.tuples(st.integers(1, 50), st.sampled_from([1, 2, 3, 8])), min_size=1, max_size=5))
def test_no_sequence_is_left_out_or_read_twice(stretches: list[tuple[int, int]]) -> None:
    seams = course([(steps, per_step, 16) for steps, per_step in stretches])
    total = sum(steps for steps, _ in stretches)
    firsts = [seams.at(step).sequence_at(step) for step in range(total)]
    read = [n for step, first in enumerate(firsts) for n in range(first, first + seams.at(step).sequences_per_step)]
    assert read == list(range(len(read)))


def test_a_text_is_gone_on_with_where_it_was_left() -> None:
    seams = Seams([Seam(0, 0, 0, 64, 16, text="a"), Seam(100, 6400, 0, 64, 16, text="b")])
    assert seams.next_sequence(150, "b", 16) == 200
    assert seams.next_sequence(150, "a", 16) == 400
    assert seams.next_sequence(150, "a", 32) == 200
    assert seams.next_sequence(150, "a", 24) == 267  # the next whole one behind 6,400 tokens
    assert seams.next_sequence(150, "new", 16) == 0


def test_the_seams_under_which_a_checkpoint_was_trained() -> None:
    seams = Seams([Seam(0, 0, 0, 64, 16), Seam(100, 6400, 400, 128, 16)])
    assert seams.until(100).last.step == 0
    assert seams.until(101).last.step == 100
    assert seams.until(0).last.step == 0


@pytest.mark.parametrize("steps", [[], [5, 5], [5, 3]])
def test_steps_grow(steps: list[int]) -> None:
    with pytest.raises(ValueError, match="each after the one before"):
        Seams(Seam(step, 0, 0, 64, 16) for step in steps)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    change = {"data.batch_size": {"from": 4, "to": 8}, "validation.every": {"from": None, "to": 5}}
    second = Seam(10, 640, 40, 128, 16, 30, "f", "h", {"data": {"batch_size": 8}}, change)
    seams = Seams([Seam(0, 0, 0, 64, 16, 20, "f", "h", {"data": {"batch_size": 4}}), second])
    write_seams(Run(tmp_path), seams)
    found = read_seams(Run(tmp_path))
    assert found is not None
    assert found.all == seams.all
    assert found.changes == (second,)
    assert list(second.decisive) == ["data.batch_size"]
    assert told_changes(second.changed) == "data.batch_size: 4 → 8, validation.every: None → 5"


@pytest.mark.parametrize(
    "damage", [b"", b"\0" * 200, b"[]", b'{"format": 1}', b'{"format": 1, "seams": [{"step": "x"}]}', b'{"format": 2}']
)
def test_a_run_without_a_whole_record_is_told_of_by_its_other_files(tmp_path: Path, damage: bytes) -> None:
    run = Run(tmp_path)
    assert read_seams(run) is None
    data = {"tokens_per_step": 64, "context_length": 16, "corpus": {"fingerprint": "f"}, "val_slice": {"text": "So"}}
    run.data_path.write_text(json.dumps(data))
    run.config_path.write_text("horizon: {steps: 300, tokens: null}\ndata: {batch_size: 4}\n")
    run.status_path.write_text('{"format": 1, "state": "stopped", "total_steps": 200}')
    run.seams_path.write_bytes(damage)
    found = read_seams(run)
    assert found is not None
    settings = {"horizon": {"steps": 200, "tokens": None}, "data": {"batch_size": 4}}
    assert found.all == (Seam(0, 0, 0, 64, 16, 200, "f", held_out_of(data), settings),)


def test_epochs_count_on() -> None:
    seams = Seams([Seam(0, 0, 0, 64, 16), Seam(100, 6400, 400, 128, 16)])
    assert seams.epochs_at(100, steps_per_epoch=50) == 1  # as many sequences as 50 of today's steps read
    assert seams.epochs_at(150, steps_per_epoch=50) == 2
    assert replace(seams.last).tokens_at(110) == 7680


def test_since_when_the_same_text_is_held_out() -> None:
    marks = ["a", None, "a", "b", None, "b"]
    seams = Seams(Seam(step, 64 * step, 4 * step, 64, 16, held_out=mark) for step, mark in enumerate(marks))
    assert [seams.until(step).validated_since for step in (3, 4, 6)] == [0, 3, 3]
