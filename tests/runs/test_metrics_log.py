"""metrics.jsonl: what is written, how going back reads, kills, and the reader against a naive model."""

from __future__ import annotations

import json
import math
import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import WriteError
from lab.runs import Cursor, MetricsHistory, MetricsReader, MetricsWriter, Run


def strict(line: bytes) -> dict[str, Any]:
    """The standard library's JSON, told to refuse NaN and Infinity."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return dict(json.loads(line, parse_constant=refuse))


def losses(run: Run) -> dict[int, float]:
    return dict(zip(*run.metrics().series("train/loss"), strict=True))


def write_steps(run: Run, steps: range, offset: float = 0.0) -> None:
    with MetricsWriter(run, start_step=steps.start) as metrics:
        for step in steps:
            metrics.write(step, step * 10, step / 10, {"train/loss": step + offset})


def test_a_line(run: Run) -> None:
    before = time.time()
    with MetricsWriter(run) as metrics:
        metrics.write(
            3, 300, 1.23456, {"train/loss": torch.tensor(2.5), "train/lr": np.float32(0.5), "n": 7, "x": None}
        )
    line = strict(run.metrics_path.read_bytes())
    assert before - 0.001 <= line.pop("wall") <= time.time() + 0.001
    assert line == {
        "step": 3,
        "tokens": 300,
        "time": 1.235,
        "train/loss": 2.5,
        "train/lr": 0.5,
        "n": 7,
        "x": None,
    }


def test_nan_and_infinity_are_null_and_the_rest_of_the_line_stays(run: Run) -> None:
    with MetricsWriter(run) as metrics:
        values = {
            "a": float("nan"),
            "b": math.inf,
            "c": torch.tensor(-math.inf),
            "d": np.float64("nan"),
            "e": 1.0,
        }
        metrics.write(0, 0, 0.0, values)
    line = strict(run.metrics_path.read_bytes())
    assert [line[name] for name in "abcde"] == [None, None, None, None, 1.0]


def test_every_line_is_there_when_write_returns(run: Run) -> None:
    metrics = MetricsWriter(run)
    reader = MetricsReader(run)
    for step in range(3):
        metrics.write(step, 0, 0.0, {"train/loss": 1.0})
        assert [row["step"] for row in reader.poll().rows] == [step]
    metrics.close()


@pytest.mark.parametrize(
    ("step", "values", "why"),
    [
        (4, {}, "metrics of step 4 after those of step 5"),
        (5, {"step": 1}, "may not be called step"),
        (5, {"rewound_from": 1, "wall": 2}, "rewound_from, wall"),
        (5, {"train/loss": "low"}, "'train/loss' must be a number, not 'low'"),
        (5, {"train/loss": torch.ones(2)}, "must be a number"),
    ],
)
def test_what_is_refused_leaves_the_file_as_it_was(run: Run, step: int, values: dict[str, Any], why: str) -> None:
    with MetricsWriter(run) as metrics:
        metrics.write(5, 0, 0.0, {})
        before = run.metrics_path.read_bytes()
        with pytest.raises(ValueError, match=why):
            metrics.write(step, 0, 0.0, values)
    assert run.metrics_path.read_bytes() == before


def test_lines_of_one_step_are_one_row(run: Run) -> None:
    with MetricsWriter(run) as metrics:
        metrics.write(0, 0, 0.0, {"train/loss": 1.0, "train/lr": 0.1})
        metrics.write(0, 0, 0.5, {"val/loss": 2.0, "train/lr": 0.2})
    (row,) = run.metrics().rows
    assert (row["train/loss"], row["val/loss"], row["train/lr"], row["time"]) == (1.0, 2.0, 0.2, 0.5)


def test_going_back_drops_what_lies_beyond_and_keeps_the_step_itself(run: Run) -> None:
    write_steps(run, range(10))
    with MetricsWriter(run, start_step=6) as metrics:
        assert metrics.rewound_from == 9
        metrics.write(6, 0, 0.0, {"val/loss": 1.0})
    assert losses(run) == {step: step for step in range(7)}
    assert run.metrics().latest("val/loss") == 1.0


def test_going_on_where_it_ended_is_no_rewind(run: Run) -> None:
    write_steps(run, range(10))
    with MetricsWriter(run, start_step=10) as metrics:
        assert metrics.rewound_from is None
    with MetricsWriter(run, start_step=9) as metrics:
        assert metrics.rewound_from is None
    assert len(run.metrics()) == 10


def test_going_back_twice_and_to_the_very_start(run: Run) -> None:
    write_steps(run, range(10))
    write_steps(run, range(5, 8), 0.5)
    write_steps(run, range(3, 5), 0.25)
    assert losses(run) == {0: 0, 1: 1, 2: 2, 3: 3.25, 4: 4.25}
    write_steps(run, range(1), 0.125)
    assert losses(run) == {0: 0.125}


def test_going_back_is_found_behind_a_torn_line(run: Run) -> None:
    write_steps(run, range(10))
    with open(run.metrics_path, "ab") as file:
        file.write(b'{"step": 10, "tok')
    write_steps(run, range(5, 6), 0.5)
    assert losses(run) == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5.5}
    assert run.metrics().skipped == 1


def test_a_step_that_shrinks_without_a_word_is_a_rewind_too(run: Run) -> None:
    write_steps(run, range(10))
    reader = MetricsReader(run)
    reader.poll()
    with open(run.metrics_path, "a") as file:
        file.write('{"step": 4, "train/loss": 99}\n')
    delta = reader.poll()
    assert (delta.rewind, [row["step"] for row in delta.rows]) == (4, [4])
    assert losses(run) == {0: 0, 1: 1, 2: 2, 3: 3, 4: 99}


def test_a_streaming_reader_is_told(run: Run) -> None:
    reader, held = MetricsReader(run), MetricsHistory()
    write_steps(run, range(10))
    held.apply(reader.poll())
    write_steps(run, range(5, 7), 0.5)
    delta = reader.poll()
    assert delta.as_dict() == {"rows": delta.rows, "rewind": 5, "reset": False}
    held.apply(delta)
    assert held.rows == run.metrics().rows
    os.truncate(run.metrics_path, 0)
    write_steps(run, range(2))
    delta = reader.poll()
    assert delta.reset
    held.apply(delta)
    assert [row["step"] for row in held.rows] == [0, 1]


def test_going_back_twice_between_two_looks(run: Run) -> None:
    reader, held = MetricsReader(run), MetricsHistory()
    write_steps(run, range(10))
    held.apply(reader.poll())
    with MetricsWriter(run, start_step=3) as metrics:
        metrics.write(8, 0, 0.0, {"train/loss": 8.5})
    MetricsWriter(run, start_step=6).close()
    held.apply(reader.poll())
    assert [row["step"] for row in held.rows] == [0, 1, 2, 3]
    assert held.rows == run.metrics().rows


def test_a_reader_continues_from_a_cursor(run: Run) -> None:
    write_steps(run, range(10))
    reader = MetricsReader(run)
    reader.poll()
    cursor = Cursor(**json.loads(json.dumps(reader.cursor.__dict__)))
    with open(run.metrics_path, "a") as file:
        file.write('{"step": 4}\n')
    assert MetricsReader(run, cursor).poll().rewind == 4


def test_foreign_lines_are_skipped_and_foreign_values_left_out(run: Run) -> None:
    run.metrics_path.write_bytes(
        b'{"step": 0, "train/loss": 1}\n\n[]\n{"step": -1}\n{"step": 1.5}\n{"step": true}\n{"loss": 1}\nNaN\n'
        b'{"step": 1, "train/loss": NaN}\n\x00\x00\x00\n'
        b'{"step": 1, "a": [1], "b": {"c": 1}, "d": "x", "e": true, "f": 2}\n'
    )
    metrics = run.metrics()
    assert metrics.rows == [{"step": 0, "train/loss": 1}, {"step": 1, "f": 2}]
    assert metrics.skipped == 8


def test_the_table(run: Run) -> None:
    with MetricsWriter(run) as metrics:
        for step, loss in enumerate([3.0, 1.0, float("nan"), 2.0]):
            metrics.write(step, 0, 0.0, {"train/loss": loss})
        metrics.write(4, 0, 0.0, {"val/loss": 9.0})
    table = run.metrics()
    assert table.series("train/loss") == ([0, 1, 3], [3.0, 1.0, 2.0])
    assert table.latest("train/loss") == 2.0
    assert table.best("train/loss") == (1, 1.0)
    assert table.names() == ["train/loss", "val/loss"]
    assert (table.latest("none"), table.best("none"), table.series("none")) == (None, None, ([], []))


@pytest.mark.parametrize("attempt", range(4))
def test_kill_while_appending(run: Run, start_process: Any, attempt: int) -> None:
    code = """
        import sys; from pathlib import Path; from lab.runs import MetricsWriter, Run
        metrics = MetricsWriter(Run(Path(sys.argv[1]))); print("ready", flush=True)
        for step in range(10**9): metrics.write(step, step, 0.0, {f"stats/{i}": step for i in range(400)})
    """
    process = start_process(code, run.path)
    time.sleep(random.Random(attempt).uniform(0.02, 0.2))
    process.kill()
    process.wait()
    table = run.metrics()
    reached = len(table)
    assert [row["step"] for row in table.rows] == list(range(reached))
    assert table.skipped == 0
    write_steps(run, range(reached // 2, reached // 2 + 2))
    assert [row["step"] for row in run.metrics().rows] == list(range(reached // 2 + 2))


def test_a_full_disk_is_a_clear_error(run: Run) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    run.metrics_path.symlink_to("/dev/full")
    metrics = MetricsWriter(run)
    with pytest.raises(WriteError, match=r"could not write .*metrics\.jsonl: the disk is full: free some space"):
        metrics.write(0, 0, 0.0, {"train/loss": 1.0})


def naive(data: bytes) -> list[dict[str, Any]]:
    """The format as its description has it, without a thought of speed."""
    rows: list[dict[str, Any]] = []
    for line in data.split(b"\n")[:-1]:
        try:
            row = strict(line)
        except ValueError:
            continue
        if (rows and row["step"] < rows[-1]["step"]) or "rewound_from" in row:
            rows = [r for r in rows if r["step"] <= row["step"]]
        if "rewound_from" in row:
            continue
        if rows and rows[-1]["step"] == row["step"]:
            rows[-1] = rows[-1] | row
        else:
            rows.append(row)
    return rows


actions = st.lists(
    st.one_of(
        st.tuples(st.just("go on"), st.integers(0, 3)),
        st.tuples(st.just("go back"), st.integers(0, 20)),
        st.tuples(st.just("shrink"), st.integers(0, 20)),
        st.tuples(st.just("tear"), st.integers(1, 30)),
        st.tuples(st.just("garbage"), st.integers(0, 3)),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("reconnect"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(actions)
def test_against_the_naive_model(tmp_path_factory: pytest.TempPathFactory, script: list[tuple[str, int]]) -> None:
    run = Run(tmp_path_factory.getbasetemp() / "model")
    run.path.mkdir(exist_ok=True)
    run.metrics_path.write_bytes(b"")
    metrics, reader, held = MetricsWriter(run), MetricsReader(run), MetricsHistory()
    step = 0
    for count, (action, amount) in enumerate(script):
        if action == "go on":
            step += amount
            metrics.write(step, count, 0.0, {f"m{count % 3}": count})
        elif action == "go back":
            metrics.close()
            step = min(step, amount)
            metrics = MetricsWriter(run, start_step=step)
        elif action == "shrink":
            metrics.close()
            with open(run.metrics_path, "ab") as file:
                step = amount
                file.write(b'\n{"step": %d, "m0": %d}\n' % (step, count))
            metrics = MetricsWriter(run, start_step=step)
        elif action == "tear":
            metrics.close()
            with open(run.metrics_path, "ab") as file:
                file.write((b'{"step": %d, "m1": 123456789}' % step)[:amount])
            held.apply(reader.poll())  # looks at it while it is torn
            metrics = MetricsWriter(run, start_step=step)
        elif action == "garbage":
            with open(run.metrics_path, "ab") as file:
                file.write([b"\n", b"\x00\xff\n", b"{\n", b'"\n'][amount])
        else:
            held.apply(reader.poll())
            if action == "reconnect":
                reader = MetricsReader(run, reader.cursor)
    metrics.close()
    held.apply(reader.poll())
    expected = naive(run.metrics_path.read_bytes())
    assert held.rows == expected
    assert run.metrics().rows == expected


def test_a_hundred_thousand_lines_in_half_a_second(run: Run) -> None:
    names = (
        "train/loss",
        "train/grad_norm",
        "train/lr",
        "perf/tokens_per_second",
        "perf/step_seconds",
        "perf/mfu",
    )
    values = dict.fromkeys(names, 0.123456789)
    with open(run.metrics_path, "w") as file:
        for step in range(100_000):
            file.write(json.dumps({"step": step, "tokens": step, "time": 1.5, "wall": 1795465610.439} | values) + "\n")

    def seconds() -> float:
        began = time.process_time()  # other work on the machine does not count
        assert len(MetricsReader(run).poll().rows) == 100_000
        return time.process_time() - began

    assert min(seconds() for _ in range(4)) <= 0.5
