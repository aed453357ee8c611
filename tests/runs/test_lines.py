"""Growing files: events, samples, and the line reader beneath all readers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.runs import Cursor, EventReader, EventWriter, Run, SampleWriter
from lab.runs.events import Failed, Resumed, Started
from lab.runs.lines import LineAppender, LineReader
from tests.patience import PATIENCE


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
        events.write(Started(step=0, changed={}))
    with open(run.events_path, "a") as file:
        file.write('{"kind": "pau')
    reader = EventReader(run)
    assert len(reader.poll().events) == 1
    with EventWriter(run) as events:
        events.write(Resumed(step=1, changed={}))
    assert [event.kind for event in reader.poll().events] == ["resumed"]
    assert reader.skipped == 1


def test_a_whole_line_that_only_lacked_its_end_is_not_lost(run: Run) -> None:
    run.events_path.write_text('{"kind": "started", "step": 0}')
    assert run.events() == []
    with EventWriter(run) as events:
        events.write(Resumed(step=1, changed={}))
    assert [event.kind for event in run.events()] == ["started", "resumed"]


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
            events.write(Failed(step=n, message="x" * (1000 if n == 20 else 10)))
    reader, found, looks = EventReader(run), [], 0
    while True:
        found += reader.poll(most=300).events
        looks += 1
        if not reader.behind:
            break
    assert found == run.events()
    assert looks > 10
    assert EventReader(run).behind is False


@pytest.mark.parametrize(("before", "after"), [(b"", b"new\n"), (b"a\n", b"a\nnew\n"), (b'a\n{"st', b'a\n{"st\nnew\n')])
def test_appending_never_glues_a_line_to_a_torn_one(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(before)
    lines = LineAppender(path)
    assert path.read_bytes() == before, "opening changes nothing"
    lines.append(b"new")
    lines.close()
    lines.close()
    assert path.read_bytes() == after


def test_two_processes_can_append_without_mixing(tmp_path: Path, start_process: Any) -> None:
    code = """
        import sys; from pathlib import Path; from lab.runs.lines import LineAppender
        lines = LineAppender(Path(sys.argv[1])); print("ready", flush=True)
        for _ in range(2000): lines.append(sys.argv[2].encode() * 100)
    """
    path = tmp_path / "lines"
    for process in [start_process(code, path, letter) for letter in "ab"]:
        assert process.wait(timeout=PATIENCE) == 0
    lines = path.read_bytes().split(b"\n")[:-1]
    assert sorted(lines) == [b"a" * 100] * 2000 + [b"b" * 100] * 2000
