"""The machine: facts, speed, memory, interruptions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lab.report.run_record import RunRecord
from lab.report.sections.hardware import hardware, time_parts
from lab.runs.events import Decided
from lab.runs.series import Columns
from tests.report.runs import text_in, with_metrics


def test_facts_and_interruptions(record: RunRecord) -> None:
    text = text_in(hardware(record))
    assert "| device | cpu, threads 1 |" in text
    assert "| size trained | 20,000 parameters, 64 tokens a step |" in text
    assert "| speed | 6,400 tokens/s (median) |" in text
    assert "Speed was steady" in text
    assert "Memory was flat after the start, at 100 MB." in text
    assert "% of the time in steps was spent waiting for data: data was no bottleneck" in text
    assert "Interruptions: 1 pause of 1.5 min in all." in text


def test_a_run_that_slows_down_and_grows(record: RunRecord) -> None:
    steps = np.arange(401)
    changed = with_metrics(
        record, perf__tokens_per_second=np.where(steps < 200, 6400.0, 3200.0),
        perf__memory_bytes=1e8 + 1e6 * np.clip(steps - 200, 0, 100), perf__data_share=np.full(401, 0.5),
    )  # fmt: skip
    text = text_in(hardware(changed))
    assert "Training became slower by 50 %: 6,400 tokens/s early on, 3,200 in its last fifth" in text
    assert "Memory grew from 100 MB (after a tenth of the run) to 200 MB, nine tenths of that by step 290." in text
    assert "data was a bottleneck" in text


def test_where_the_time_went(record: RunRecord) -> None:
    assert not time_parts(record)
    assert "where the" not in text_in(hardware(record)).lower()
    details = {
        "training_seconds": 100.0, "steps_seconds": {"computing": 22.0, "waiting": 71.0},
        "looks_seconds": {"validation": 3.0, "samples": 1.0, "checkpoint": 2.0},
    }  # fmt: skip
    shown = replace(record, status=replace(record.status, details=record.status.details | details))
    parts = {"computing": 22.0, "waiting": 71.0, "validation": 3.0, "looks": 3.0, "rest": 1.0}
    assert time_parts(shown) == parts
    text = text_in(hardware(shown))
    assert "22 % in steps, 71 % waiting for their batches, 3.0 % in validation, 3.0 % in instruments" in text
    assert "reduce the looks" not in text


def test_what_was_decided_beside_other_programs_is_told(record: RunRecord) -> None:
    assert "Other programs" not in text_in(hardware(record))
    ways = ((40, 2, "sleep"), (60, 1, "sleep"), (90, 2, "spin"))
    decided = [
        Decided(step=step, what="threads", value={"threads": n, "waiting": way}, reason="") for step, n, way in ways
    ]
    text = text_in(hardware(replace(record, events=[*record.events, *decided])))
    assert "3 changes of its threads, the first at step 40, with 1 thread at the least" in text


def test_nothing_recorded_is_said(record: RunRecord) -> None:
    status = replace(record.status, levers={}, details={})
    bare = replace(record, status=status, columns=Columns(), checkpoints=[], snapshots=[], events=[])
    assert "Nothing was recorded of the machine." in text_in(hardware(bare))
