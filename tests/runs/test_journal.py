"""Growing files: events, samples, and the line reader beneath all readers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.runs import Cursor, EventReader, EventWriter, Run, SampleWriter
from lab.runs.journal import EVENT_KINDS, LineReader


def test_events_come_back_in_order(run: Run) -> None:
    with EventWriter(run) as events:
        events.write("started", 0)
        events.write("lr_changed", 10, before=1e-3, after=np.float32(0.5), by={"a": torch.tensor(2)})
        events.write("finding")
    first, second, third = run.events()
    assert (first["kind"], first["step"]) == ("started", 0)
    assert (second["before"], second["after"], second["by"]) == (1e-3, 0.5, {"a": 2})
    assert third["step"] is None
    assert first["wall"] <= second["wall"] <= third["wall"]


def test_unknown_kinds_are_refused_in_writing_and_passed_on_in_reading(run: Run) -> None:
    with EventWriter(run) as events:
        for kind in EVENT_KINDS:
            events.write(kind, 1)
        with pytest.raises(ValueError, match="unknown event kind 'begun'"):
            events.write("begun", 1)
    with open(run.events_path, "a") as file:
        file.write('{"kind": "from_the_future", "step": 2}\n{"kind": 3}\nnonsense\n[]\n')
    reader = EventReader(run)
    assert [event["kind"] for event in reader.poll().events] == [*EVENT_KINDS, "from_the_future"]
    assert reader.skipped == 3


def test_an_event_reader_gives_each_event_once_and_can_be_continued(run: Run) -> None:
    reader = EventReader(run)
    assert reader.poll().events == []
    with EventWriter(run) as events:
        events.write("started", 0)
        assert [event["kind"] for event in reader.poll().events] == ["started"]
        events.write("paused", 1)
    again = EventReader(run, Cursor(**json.loads(json.dumps(reader.cursor.__dict__))))
    assert [event["kind"] for event in again.poll().events] == ["paused"]
    assert again.poll().as_dict() == {"events": [], "reset": False}


def test_samples(run: Run) -> None:
    text = "line one\nline two \x1b[31m\u2028 😀 \ud7ff"
    with SampleWriter(run) as samples:
        samples.write(5, "def", text, temperature=0.8)
    with open(run.samples_path, "a") as file:
        file.write('{"step": "x", "text": "y"}\n{"step": 1}\n')
    (sample,) = run.samples()
    assert (sample["step"], sample["prompt"], sample["text"], sample["temperature"]) == (5, "def", text, 0.8)


def test_a_torn_line_is_ended_and_skipped(run: Run) -> None:
    with EventWriter(run) as events:
        events.write("started", 0)
    with open(run.events_path, "a") as file:
        file.write('{"kind": "pau')
    reader = EventReader(run)
    assert len(reader.poll().events) == 1
    with EventWriter(run) as events:
        events.write("resumed", 1)
    assert [event["kind"] for event in reader.poll().events] == ["resumed"]
    assert reader.skipped == 1


def test_a_whole_line_that_only_lacked_its_end_is_not_lost(run: Run) -> None:
    run.events_path.write_text('{"kind": "started", "step": 0}')
    assert run.events() == []
    with EventWriter(run) as events:
        events.write("resumed", 1)
    assert [event["kind"] for event in run.events()] == ["started", "resumed"]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
def test_read_in_chunks_as_read_at_once(tmp_path_factory: pytest.TempPathFactory, data: bytes, cuts: list[int]) -> None:
    path = tmp_path_factory.getbasetemp() / "chunks"
    path.write_bytes(b"")
    reader = LineReader(path)
    found = []
    with open(path, "ab") as file:
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
            file.write(data[start:end])
            file.flush()
            lines, reset = reader.read()
            assert not reset
            found += lines
            reader = LineReader(path, reader.cursor())  # every read by a reader that starts where the last one ended
    assert found == data.split(b"\n")[:-1]


def test_truncated_replaced_vanished(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\n")
    reader = LineReader(path)
    assert reader.read() == ([b"one", b"two"], False)
    os.truncate(path, 4)
    assert reader.read() == ([b"one"], True)
    os.truncate(path, 0)
    with open(path, "ab") as file:
        file.write(b"other\nlines\n")  # longer than before: only the text tells
    assert reader.read() == ([b"other", b"lines"], True)
    (tmp_path / "new").write_bytes(b"other\nlines\nmore\n")
    os.replace(tmp_path / "new", path)
    assert reader.read() == ([b"other", b"lines", b"more"], True)
    path.unlink()
    assert reader.read() == ([], True)
    assert reader.read() == ([], False)
    path.write_bytes(b"again\n")
    assert reader.read() == ([b"again"], False)


@pytest.mark.parametrize("cursor", [Cursor(offset=-1), Cursor(offset=1, tail="0a0a"), Cursor(offset=9, tail="zz")])
def test_impossible_cursors_are_refused(tmp_path: Path, cursor: Cursor) -> None:
    with pytest.raises(ValueError, match=r"cursor|hex"):
        LineReader(tmp_path / "x", cursor)


def test_a_cursor_beyond_the_end_starts_over(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\n")
    assert LineReader(path, Cursor(offset=10**15)).read() == ([b"one"], True)


def test_a_bounded_reading_gives_the_same_in_pieces(run: Run) -> None:
    with EventWriter(run) as events:
        for n in range(50):
            events.write("checkpoint", n, note="x" * (1000 if n == 20 else 10))
    reader, found, looks = EventReader(run), [], 0
    while True:
        found += reader.poll(most=300).events
        looks += 1
        if not reader.behind:
            break
    assert found == run.events()
    assert looks > 10
    assert EventReader(run).behind is False
