"""Events: what is written comes back as it was, and what no writer of this version wrote does no harm."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lab.runs import Cursor, EventReader, EventWriter, Run
from lab.runs.events import (
    KINDS,
    CheckpointSaved,
    CommandAnswered,
    Event,
    Finding,
    LrChanged,
    Other,
    Paused,
    Started,
    Stopped,
    of_kind,
    parse_event,
)

FINDING = Finding(
    step=9, rule="loss_spike", family="stability", level="warning", what="a spike", since=4, metric="train/loss",
    value=6.5, threshold=None, why="Because.", tries=("wait", "stop"), source="lab/diagnosis/stability.py",
)  # fmt: skip


def example(kind: type[Event]) -> Event:
    """An event with a value in every field."""
    values = {"int": 3, "float": 0.5, "str": "x", "bool": True, "Level": "note", "dict[str, Any]": {"a": [1]}}
    values |= {"tuple[str, ...]": ("x", "y"), "Any": {"steps": 7}}
    given = {name: values[str(f.type).partition(" | ")[0]] for name, f in kind.__dataclass_fields__.items()
             if name not in ("kind", "wall", "line")}  # fmt: skip
    return kind(**given)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_comes_back_as_it_was_written(run: Run, kind: str) -> None:
    event = example(KINDS[kind])
    with EventWriter(run) as events:
        events.write(event)
    (found,) = run.events()
    assert found.wall is not None
    assert found == replace(event, wall=found.wall)
    assert found.as_row() == json.loads(run.events_path.read_text()) == found.payload() | {
        "kind": kind, "step": 3, "wall": found.wall,
    }  # fmt: skip


def test_events_come_back_in_order_and_take_arrays_for_numbers(run: Run) -> None:
    with EventWriter(run) as events:
        events.write(Started(step=0, changed={"a": {"from": torch.tensor(2), "to": {3}}}))
        events.write(LrChanged(step=10, before=1e-3, to=np.float32(0.5)))
        events.write(Stopped())
    first, second, third = run.events()
    assert isinstance(first, Started)
    assert first.changed == {"a": {"from": 2, "to": [3]}}
    assert isinstance(second, LrChanged)
    assert (second.before, second.to) == (1e-3, 0.5)
    assert third.step is None
    assert (first.wall or 0) <= (second.wall or 0) <= (third.wall or 0)
    assert of_kind(run.events(), LrChanged) == [second]


def test_keys_and_what_is_left_out(run: Run) -> None:
    assert LrChanged(before=1.0, to=0.5).payload() == {"from": 1.0, "to": 0.5}
    assert list(FINDING.payload()) == [
        *("rule", "family", "level", "what", "since", "metric", "value", "threshold", "why", "try", "source"),
    ]
    assert (FINDING.payload()["threshold"], FINDING.payload()["try"]) == (None, ["wait", "stop"])
    assert FINDING.over(12).payload()["ended"] == 12
    assert Stopped(step=1).payload() == {}
    assert CommandAnswered(id="1", command="pause", args={}).payload() == {"id": "1", "command": "pause", "args": {}}


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "from_the_future", "step": 2, "note": 1},
        {"kind": "finding"},
        {"kind": "finding", "step": 1, "finding": "induction_head", "layer": 1, "head": 0, "score": 0.7},
        FINDING.as_row() | {"level": "fatal"},
        FINDING.as_row() | {"since": True},
        {"kind": "lr_changed", "from": None, "to": 1.0},
        {"kind": "checkpoint", "checkpoint_kind": 3, "best": True},
    ],
)
def test_a_line_that_does_not_fit_its_kind_is_passed_on_as_it_is(line: dict[str, Any]) -> None:
    event = parse_event(line)
    assert isinstance(event, Other)
    assert (event.kind, event.step) == (line["kind"], line.get("step"))
    assert event.as_row() == line
    assert event.payload() == {name: value for name, value in line.items() if name not in ("kind", "step", "wall")}


def test_unknown_fields_stay_and_damaged_ones_with_a_default_take_it() -> None:
    line = {"kind": "stopped", "step": "?", "wall": 1, "message": 3, "more": [1]}
    event = parse_event(line)
    assert event == Stopped(wall=1)
    assert event.as_row() == line


def test_lines_that_are_no_events_are_skipped(run: Run) -> None:
    with EventWriter(run) as events:
        events.write(CheckpointSaved(step=1, checkpoint_kind="regular", best=False))
    with open(run.events_path, "a") as file:
        file.write('{"kind": "from_the_future", "step": 2}\n{"kind": 3}\nnonsense\n[]\n')
    reader = EventReader(run)
    assert [event.kind for event in reader.poll().events] == ["checkpoint", "from_the_future"]
    assert reader.skipped == 3


def test_an_event_reader_gives_each_event_once_and_can_be_continued(run: Run) -> None:
    reader = EventReader(run)
    assert reader.poll().events == []
    with EventWriter(run) as events:
        events.write(Started(step=0, changed={}))
        assert [event.kind for event in reader.poll().events] == ["started"]
        events.write(Paused(step=1))
    again = EventReader(run, Cursor(**json.loads(json.dumps(reader.cursor.__dict__))))
    assert [event.kind for event in again.poll().events] == ["paused"]
    assert again.poll().as_dict() == {"events": [], "reset": False}
