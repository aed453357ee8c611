"""The doctor over time: each thing once, what grew worse, what is over; and runs torn, dead or hardly there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.diagnosis import Doctor, Facts, History, diagnose
from lab.runs import open_run
from lab.runs.history import MetricsDelta
from tests.diagnosis.histories import facts, healthy, names, rows, told
from tests.tiny import lab

SICK = healthy() | {"audit/sees_future": {0: 0.5, 1: 0.5}}


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
    doctor = Doctor(History(facts()))
    ratio = "stats/attn_logit_max.layer0"
    said = []
    for step, value in enumerate([90] * 6 + [900] * 6 + [5] * 6):
        doctor.history.add({"step": step, ratio: float(value)})
        said += doctor.examine(step)
    assert [(f.level, f.ended is not None) for f in said] == [("warning", False), ("alarm", False), ("note", True)]
    assert said[0].since == 0
    assert said[-1].what.startswith("over at step")
    assert [f.rule for f in doctor.findings] == ["attention_logits"]


def test_what_comes_and_goes_is_not_told_for_ever() -> None:
    doctor = Doctor(History(facts()))
    said = []
    for step in range(400):
        doctor.history.add({"step": step, "stats/attn_logit_max.layer0": 90.0 if step // 10 % 2 else 1.0})
        said += doctor.examine(step)
    assert len(said) <= 6


def test_a_resumed_run_is_not_told_again_what_it_knows() -> None:
    first = Doctor(History(facts()))
    for row in rows(SICK):
        first.history.add(row)
    events = [{"kind": "finding", "step": f.step, **f.payload()} for f in first.examine(400)]
    assert {event["rule"] for event in events} == {"sees_future"}
    second = Doctor(History(facts()))
    second.recall([*events, {"kind": "finding", "rule": "no_such_rule"}, {"kind": "finding"}, {"kind": "started"}])
    for row in rows(SICK):
        second.history.add(row)
    assert second.examine(400) == []
    assert names(second.findings) == {"sees_future"}


def test_a_rewind_takes_rows_back() -> None:
    history = History()
    history.apply(MetricsDelta([{"step": s, "train/loss": float(s)} for s in range(10)]))
    history.apply(MetricsDelta([{"step": 5, "train/loss": 50.0}], rewind=4))
    assert history["train/loss"].steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert history["train/loss"].values[-1] == 50.0
    assert history.step == 5
    history.apply(MetricsDelta([{"step": 0, "val/loss": 1.0}], reset=True))
    assert history.names() == ["val/loss"]


def test_afterwards_it_finds_what_it_found_live_at_the_same_steps(tmp_path: Path) -> None:
    run = make_run(tmp_path, SICK, run__json=json.dumps({"format": 1, "state": "completed", "total_steps": 400}))
    live = [(f.rule, f.step) for f in told(SICK, facts())]
    assert [(f.rule, f.step) for f in diagnose(open_run(run)).told] == live


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
    import subprocess

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_command_says_it_in_words_and_in_json(tmp_path: Path) -> None:
    make_run(tmp_path, SICK, run__json=json.dumps({"format": 1, "state": "completed", "total_steps": 400}))
    shown = lab("diagnose", "run", "--root", str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    for words in (
        "alarm",
        "sees_future",
        "against",
        "why",
        "try",
        "lab/diagnosis/leaks.py",
        "largest change of a logit",
    ):
        assert words in shown.stdout
    parsed = lab("diagnose", "run", "--root", str(tmp_path), "--json")
    (finding,) = json.loads(parsed.stdout)["findings"]
    assert {
        "rule",
        "family",
        "level",
        "what",
        "step",
        "since",
        "metric",
        "value",
        "threshold",
        "why",
        "try",
        "source",
    } <= finding.keys()
    assert "Traceback" not in parsed.stderr


def test_the_command_on_a_healthy_run_on_none_and_its_thresholds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lab.commands.diagnose import main

    make_run(tmp_path, healthy())
    assert main(["run", "--root", str(tmp_path)]) == 0
    assert "nothing to say" in capsys.readouterr().out
    assert main(["nobody", "--root", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["--thresholds"]) == 0
    assert "McCandlish" in capsys.readouterr().out


def test_facts_of_a_run_that_says_nothing() -> None:
    empty = Facts()
    assert empty.epochs(10) is None
    assert empty.tokens_per_parameter is None
    assert empty.baseline("unigram") is None
