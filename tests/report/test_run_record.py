"""What a run's files say, and what is said of a run whose files do not."""

from __future__ import annotations

import json

import pytest

from lab.callbacks.reference_texts import induction_finding
from lab.report.run_record import RunRecord, parent_of, read_record
from lab.runs import EventWriter, Run, create_run
from lab.runs.events import Failed
from lab.runs.seams import Seam, Seams, write_seams
from tests.report.runs import MODEL, make_run, text_of


def test_the_numbers_are_the_runs_own(record: RunRecord) -> None:
    assert (record.steps, record.tokens, record.tokens_per_step, record.parameters) == (400, 25_600, 64, 20_000)
    assert (record.rows, record.problems, record.ended_well, record.whole) == (401, [], True, True)
    assert record.model == MODEL
    assert list(record.baselines) == ["uniform", "unigram", "bigram", "xz"]
    assert record.best is not None
    assert record.best[0] == 400
    assert list(record.layers("stats/entropy")) == [0, 1]
    assert record.last_of_layers("stats/previous_token") == {0: 1.0, 1: 1.0}
    assert int(record.bundle["tokens"]) == 64 * 400


def test_the_lowest_loss_is_of_what_is_held_out_now(run: Run) -> None:
    seams = [Seam(0, 0, 0, 64, 16, held_out="was"), Seam(100, 6400, 400, 64, 16, held_out="is")]
    write_seams(run, Seams(seams))
    record = read_record(run)
    record.val.values[0] = 0.0  # on the other text
    assert record.best is not None
    assert record.best[0] >= 100
    write_seams(run, Seams(seams[:1]))
    assert (again := read_record(run)).best is not None
    assert again.val.steps[0] == 0


def test_what_is_missing_is_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    record = read_record(create_run(tmp_path_factory.mktemp("empty"), "run"))
    assert [sentence.partition(":")[0] for sentence in record.problems] == [
        "it has no run.json", "there is no config.yaml", "there is no data.json", "there are no metrics",
    ]  # fmt: skip
    assert (record.best, record.seconds, record.bundle, record.findings, record.holds) == (None, None, {}, [], {})


def test_findings_are_those_of_the_training_or_else_found_now(record: RunRecord, run: Run) -> None:
    assert (record.watched, [finding.rule for finding in record.findings]) == (True, ["lr_too_high"])
    run.events_path.unlink()
    assert not read_record(run).watched
    config = (run.config() or {}) | {"doctor": {"thresholds": {"update_ratio_low": 0.5, "none": 1}}}
    run.config_path.write_text(json.dumps(config))
    assert read_record(run).limits.update_ratio_low == 0.5


def test_a_milestone_is_told_and_hides_no_alarm_of_a_run_that_was_not_watched(run: Run) -> None:
    config = (run.config() or {}) | {"doctor": {"every": 0}}
    run.config_path.write_text(json.dumps(config))
    run.events_path.unlink()
    with EventWriter(run) as events:
        events.write(induction_finding(1, 0, score=0.71, chance=0.05, step=200))
        events.write(Failed(step=400, message="train/loss is nan at step 400"))
    record = read_record(run)
    assert not record.watched
    assert "non_finite" in [finding.rule for finding in record.findings]
    text = text_of(run)
    assert "train/loss is nan at step 400" in text.partition("## Findings")[2]
    assert text.count("became an induction head") == 1
    assert "Step 200: layer 1 head 0 became an induction head, score 0.71." in text
    run.config_path.write_text(json.dumps(config | {"doctor": {"every": None}}))
    record = read_record(run)
    assert (record.watched, record.findings, len(record.milestones)) == (True, [], 1)


def test_the_parent_is_found_beside_the_run(run: Run) -> None:
    assert parent_of(read_record(run)) is None
    make_run(run.path.parent, "mother", steps=10)
    status = json.loads(run.status_path.read_text()) | {"parent": {"run": "mother", "step": 5}}
    run.status_path.write_text(json.dumps(status))
    name, step, mother = parent_of(read_record(run)) or ("", None, None)
    assert (name, step, mother and mother.name) == ("mother", 5, "mother")
    run.status_path.write_text(json.dumps(status | {"parent": {"run": "gone", "step": None}}))
    assert parent_of(read_record(run)) == ("gone", None, None)
