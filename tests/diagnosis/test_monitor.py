"""Findings over time: each reported once, when it grows worse and when it is over; and runs in any state."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.diagnosis import Evidence, Monitor, diagnose
from lab.runs import open_run
from lab.runs.events import Finding, Started, parse_event
from lab.runs.metrics_log import MetricsDelta
from tests.diagnosis.runs import facts, healthy, names, rows, told

FAULTY = healthy() | {"audit/sees_future": {0: 0.5, 1: 0.5}}


def make_run(folder: Path, curves: dict[str, dict[int, Any]] | None, **files: str) -> Path:
    """A run directory from nothing but its files."""
    run = folder / "run"
    (run / "checkpoints").mkdir(parents=True)
    if curves is not None:
        lines = [json.dumps({"tokens": 1024 * row["step"], "time": 0.1, "wall": 1.0, **row}) for row in rows(curves)]
        (run / "metrics.jsonl").write_text("".join(line + "\n" for line in lines))
    for name, text in files.items():
        (run / name.replace("__", ".")).write_text(text)
    return run


def test_a_finding_is_told_once_then_again_when_worse_and_when_over() -> None:
    monitor = Monitor(Evidence(facts()))
    ratio = "stats/attn_logit_max.layer0"
    said = []
    for step, value in enumerate([90] * 6 + [900] * 6 + [5] * 6):
        monitor.evidence.apply(MetricsDelta([{"step": step, ratio: float(value)}]))
        said += monitor.examine(step)
    assert [(f.level, f.ended is not None) for f in said] == [("warning", False), ("alarm", False), ("note", True)]
    assert said[0].since == 0
    assert said[-1].what.startswith("over at step")
    assert [f.rule for f in monitor.findings] == ["attention_logits"]


def test_what_comes_and_goes_is_not_told_for_ever() -> None:
    monitor = Monitor(Evidence(facts()))
    said = []
    for step in range(400):
        monitor.evidence.apply(
            MetricsDelta([{"step": step, "stats/attn_logit_max.layer0": 90.0 if step // 10 % 2 else 1.0}])
        )
        said += monitor.examine(step)
    assert len(said) <= 6


def test_a_resumed_run_is_not_told_again_what_it_knows() -> None:
    first = Monitor(Evidence(facts()))
    for row in rows(FAULTY):
        first.evidence.apply(MetricsDelta([row]))
    events = [parse_event(finding.as_row()) for finding in first.examine(400)]
    assert {event.rule for event in events if isinstance(event, Finding)} == {"sees_future"}
    second = Monitor(Evidence(facts()))
    foreign = replace(events[0], rule="no_such_rule")
    second.recall([*events, foreign, parse_event({"kind": "finding"}), Started(step=0, changed={})])
    for row in rows(FAULTY):
        second.evidence.apply(MetricsDelta([row]))
    assert second.examine(400) == []
    assert names(second.findings) == {"sees_future"}


def test_afterwards_it_finds_what_it_found_live_at_the_same_steps(tmp_path: Path) -> None:
    run = make_run(tmp_path, FAULTY, run__json=json.dumps({"format": 1, "state": "completed", "total_steps": 400}))
    live = [(f.rule, f.step) for f in told(FAULTY, facts())]
    assert [(f.rule, f.step) for f in diagnose(open_run(run)).told] == live


@pytest.mark.parametrize(("total", "every"), [(None, 39), (10, 39), (4000, 40)])
def test_a_run_of_any_length_is_examined_a_hundred_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int | None, every: int
) -> None:
    """Whether its plan is known, was outrun, or is lost with run.json: the steps are those at which it was live."""
    run = make_run(tmp_path, {"train/loss": dict.fromkeys(range(4000), 2.0)})
    if total:
        (run / "run.json").write_text(json.dumps({"format": 1, "state": "completed", "total_steps": total}))
    looks: list[int] = []
    monkeypatch.setattr(Monitor, "examine", lambda self, step=None: looks.append(self.evidence.step) or [])
    diagnose(open_run(run))
    assert looks == [0, 1, 2, 4, 8, 16, 32, *range(every, 3999, every), 3999, 3999]


TORN = '{"step": 0, "train/loss": 5.5, "audit/sees_future": 0.5}\n{"step": 1, "train/lo'
FOREIGN = '[1]\nnot json\n{"step": "x"}\n{"step": 3, "train/loss": "high", "val/loss": null}\n'


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, set()),
        ({"metrics__jsonl": ""}, set()),
        (
            {"metrics__jsonl": TORN, "run__json": '{"format": 1, "sta', "data__json": "[]", "config__yaml": "a: ["},
            {"sees_future"},
        ),
        ({"metrics__jsonl": FOREIGN, "events__jsonl": '{"kind": "failed"}\n{"kind":'}, {"non_finite"}),
        (
            {
                "metrics__jsonl": '{"step": 0, "train/loss": 5.5}\n',
                "run__json": json.dumps({"format": 1, "state": "failed", "total_steps": "many", "details": [1]}),
                "data__json": json.dumps({"baselines": {"nats_per_token": [1]}, "tokens_per_step": "x"}),
                "config__yaml": "model: 3\ndoctor: {thresholds: {nonsense: 1, logit_high: high}}\n",
                "events__jsonl": '{"kind": "failed", "message": "train/loss is nan at step 1 (batch 1): stopped"}\n',
            },
            {"non_finite"},
        ),
        ({"metrics__jsonl": '{"step": 0, "train/loss": null}\n{"step": 1, "train/loss": null}\n'}, {"non_finite"}),
    ],
    ids=["nothing", "empty", "torn", "foreign", "dead", "nan"],
)
def test_a_run_in_any_state_is_examined_without_an_error(
    tmp_path: Path, files: dict[str, str], expected: set[str]
) -> None:
    assert names(diagnose(open_run(make_run(tmp_path, None, **files))).findings) == expected


def test_thresholds_of_the_configuration_hold_afterwards_too(tmp_path: Path) -> None:
    run = make_run(tmp_path, healthy(), config__yaml="doctor: {thresholds: {logit_high: 10}}\n")
    assert "attention_logits" in names(diagnose(open_run(run)).findings)


def test_the_room_needs_no_torch() -> None:
    code = "import lab.diagnosis, lab.commands.diagnose, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
