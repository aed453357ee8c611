"""The report of a whole run, and of every run that is not whole: what is known, and a sentence on what is not."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.report import Writer, report_on
from lab.report.one_run import document_of
from lab.report.run_record import read_record
from lab.runs import Run, create_run
from tests.report.runs import lines, make_run, text_of

TITLES = (
    "In short", "Model and data", "Configuration", "Forecast and outcome", "The loss curve",
    "Learning rate and batch size", "Attention", "Forward and backward", "Samples over time", "Findings", "Hardware",
    "What the instruments showed", "Open questions and next experiments", "Further use",
    "Goals: explain, predict, diagnose, explore", "In your own words",
)  # fmt: skip
FILES = ("run.json", "config.yaml", "data.json", "metrics.jsonl", "events.jsonl", "samples.jsonl")


def test_every_section_is_in_it(report: str) -> None:
    assert [line[3:] for line in report.splitlines() if line.startswith("## ")] == list(TITLES)


def test_it_begins_with_the_outcome(report: str) -> None:
    short = report.partition("## In short")[2].partition("## ")[0]
    assert "Completed, 400 of 400 steps" in report
    assert re.search(r"The validation loss ended at \*\*2\.0\d\d\*\* nats per token \(the lowest of the run\)", short)
    assert "It is below uniform, unigram, bigram and xz alone, all known baselines." in short
    assert "The diagnosis found 1 problem, the worst: updates are large." in short
    assert "nan" not in re.findall(r"[a-z]+", report.lower())


def test_text_under_a_question_that_is_gone_is_shown(whole: Run) -> None:
    titles = [section.title for section in report_on(whole)({"answer-gone": "because", "notes": "x"}).sections]
    assert titles[-1] == "Kept from an earlier report"


# ---------------------------------------------------------------- runs that are not whole


def test_a_run_of_nothing(tmp_path: Path) -> None:
    run = create_run(tmp_path, "empty")
    text = text_of(run)
    assert "This run has no losses" in text
    for sentence in ("it has no run.json", "there is no config.yaml", "there is no data.json", "there are no metrics"):
        assert sentence in text
    writer = Writer(report_on(run))
    writer.markdown(run.report_path)
    assert (writer.not_drawn, "![" in run.report_path.read_text()) == ([], False)


NOT_A_NUMBER = lines(*({"step": i, "tokens": i, "time": i, "train/loss": None} for i in range(50)))
TORN = b'{"step": 0, "train/loss": 4.6}\nnot json\n{"step": 1, "train/l'


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("metrics.jsonl", NOT_A_NUMBER, "no curve"),
        ("metrics.jsonl", TORN, "1 damaged line of metrics"),
        ("metrics.jsonl", b"", "there are no metrics"),
        ("run.json", b'{"format": 99, "state": "running"}', "format 99, this lab reads format 1"),
        ("run.json", b'{"for', "run.json is damaged"),
        ("config.yaml", b"a: [", "config.yaml is damaged"),
        ("config.yaml", b"- a list", "config.yaml is damaged"),
        ("data.json", b"[]", "data.json is damaged"),
        ("events.jsonl", b'{"kind": 7}\n{"kind": "finding", "rule": 3}\n[]\n', ""),
        ("predictions.json", b"{{", "predictions.json is damaged"),
        ("predictions.json", b'{"format": 1, "predictions": [{"quantity": "x", "value": "?"}, 7]}', "no predictions"),
        ("probes/step-00000400.npz", b"PK\x03\x04torn", ""),
        ("checkpoints/step-00000400.json", b"{}", ""),
    ],
)  # fmt: skip
def test_one_file_that_is_not_what_it_should_be(run: Run, file: str, content: bytes, sentence: str) -> None:
    (run.path / file).write_bytes(content)
    text = text_of(run)
    assert sentence in text
    assert "could not be written" not in text


def test_without_the_inside(run: Run) -> None:
    for folder in (run.reference_texts_dir, run.snapshots_dir, run.checkpoints_dir):
        shutil.rmtree(folder)
    rows = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    kept = [{k: v for k, v in row.items() if not k.startswith(("stats/", "perf/", "val/"))} for row in rows]
    run.metrics_path.write_bytes(lines(*kept))
    text = text_of(run)
    assert "Nothing was recorded of the attention" in text
    assert "There was no validation" in text
    assert "could not be written" not in text


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.sampled_from((*FILES, "predictions.json")), cut=st.floats(0, 1), junk=st.binary(max_size=12))
def test_torn_anywhere(small: Run, file: str, cut: float, junk: bytes) -> None:
    path = small.path / file
    before = path.read_bytes()
    at = int(cut * len(before))
    try:
        path.write_bytes(before[:at] + junk)
        assert "could not be written" not in text_of(small)
    finally:
        path.write_bytes(before)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.sampled_from(("data.json", "predictions.json", "events.jsonl", "samples.jsonl")), data=st.data())
def test_a_value_of_another_kind(small: Run, file: str, data: st.DataObject) -> None:
    """Some value in a file is of another kind than it should be."""
    path = small.path / file
    before = path.read_bytes()
    rows = [orjson.loads(line) for line in before.splitlines()] if file.endswith("l") else [orjson.loads(before)]
    place = rows[data.draw(st.integers(0, len(rows) - 1))]
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not (isinstance(place[key], dict) and place[key] and data.draw(st.booleans())):
            break
        place = place[key]
    place[key] = data.draw(JSON)
    try:
        path.write_bytes(lines(*rows))
        assert "could not be written" not in text_of(small)
    finally:
        path.write_bytes(before)


@pytest.fixture(scope="module")
def small(whole: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_run(tmp_path_factory.mktemp("small"), steps=60)
    shutil.copy(whole.predictions_path, run.predictions_path)
    return run


@pytest.mark.slow
def test_a_hundred_thousand_steps(tmp_path: Path) -> None:
    run = make_run(tmp_path, steps=100_000)
    begun = time.process_time()
    Writer(report_on(run)).markdown(run.report_path)
    # 10 s is the bar, measured on a machine of its own; this is processor time, with room for a busy one.
    assert time.process_time() - begun < 30
    assert read_record(run).train.steps[-1] == 100_000


def test_a_section_that_fails_becomes_a_sentence(whole: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def built(_: object) -> None:
        raise KeyError("gone")

    monkeypatch.setattr("lab.report.one_run.SECTIONS", (built,))
    document = document_of(read_record(whole), {}, 0)
    assert "could not be written: KeyError" in document.sections[1].blocks[0].text  # type: ignore[union-attr]
