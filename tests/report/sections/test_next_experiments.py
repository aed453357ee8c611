"""Open questions, each with a command that exists."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest

from lab.report.run_record import RunRecord, read_record
from lab.report.sections.next_experiments import next_experiments, questions
from lab.runs import Run
from lab.settings.parse import build_parser, known_keys
from tests.report.runs import make_run, text_in, with_metrics


def asked(record: RunRecord) -> dict[str, str]:
    return {question.question: question.command for question in questions(record)}


def test_the_commands_name_settings_that_exist(record: RunRecord) -> None:
    found = questions(record)
    assert {question.when for question in found} == {"soon", "later"}
    flags = {flag for question in found for flag in re.findall(r"--([a-z_.]+)", question.command)}
    assert flags <= set(known_keys(build_parser("fit"))) | {"config", "root", "runs"}
    text = text_in(next_experiments(record))
    assert all(question.command in text for question in found)


@pytest.mark.parametrize(
    ("advice", "command"),
    [
        ("a lower rate", ["diagnose", "whole"]),
        ("stop and resume: python -m lab fit --resume RUN loses nothing", ["diagnose", "whole"]),
        ("a longer horizon: --horizon.tokens_per_parameter 20", ["--horizon.tokens_per_parameter", "20"]),
    ],
)
def test_advice_that_is_a_setting_becomes_a_run(record: RunRecord, advice: str, command: list[str]) -> None:
    (finding,) = record.findings
    advised = replace(record, events=[replace(finding, tries=(advice,))])
    words = shlex.split(asked(advised)[f"Does this help: {advice}?"])
    assert words[3:5] == command or words[-2:] == command


def test_an_unfinished_run_is_resumed_first(run: Run) -> None:
    status = json.loads(run.status_path.read_text()) | {"state": "stopped", "step": 200, "total_steps": 400}
    run.status_path.write_text(json.dumps(status))
    first = questions(read_record(run))[0]
    assert (first.when, first.because) == ("now", "it is stopped at step 200 of 400")
    assert shlex.split(first.command)[3:6] == ["fit", "--resume", "run"]
    assert first.seconds == 8.0


def test_seeds_are_compared_once_there_are_several(run: Run) -> None:
    assert "How much of its final loss is due to the seed?" in asked(read_record(run))
    make_run(run.path.parent, "other", seed=2)
    command = asked(read_record(run))["How far do seeds of this configuration spread?"]
    assert shlex.split(command)[3:6] == ["compare", "run", "other"]


def test_overfitting_and_clipping_raise_questions(record: RunRecord) -> None:
    steps = np.arange(401)
    val = np.where(steps < 200, 4.4 - steps / 100, 2.4 + (steps - 200) / 200)
    found = asked(with_metrics(record, val__loss=val, train__clipped=np.ones(401)))
    assert found["Does dropout reduce the overfitting?"].endswith("--model.config.dropout 0.1")
    assert found["What does the clipping threshold change here?"].endswith("--model.optimizer.clip 3.8")
    assert "How much lower does twice the length bring the loss?" not in found


def test_without_a_configuration_no_experiment_is_proposed(record: RunRecord) -> None:
    assert not [command for command in asked(replace(record, config={})).values() if "--config /" in command]
