"""What instruments showed, and which showed it first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lab.report.run_record import RunRecord
from lab.report.sections.instruments import instruments, signs_of
from lab.runs.series import Columns
from tests.report.runs import text_in, with_metrics

STEPS = np.arange(401)


def test_every_sign_has_a_step(record: RunRecord) -> None:
    signs = signs_of(record)
    assert {sign.instrument for sign in signs} >= {"training loss", "reference texts", "diagnosis"}
    assert all(0 < sign.step <= 400 for sign in signs)
    text = text_in(instruments(record))
    assert "an induction head (layer 1 head 0) half formed, final score 0.95" in text
    assert "| 200 | diagnosis | warning: updates are large |" in text


def test_a_spike_announced_by_the_gradient(record: RunRecord) -> None:
    losses, norms = np.full(401, 3.0), np.full(401, 1.0)
    losses[300:303], norms[290] = 5, 9
    signs = signs_of(with_metrics(record, train__loss=losses, train__grad_norm=norms))
    assert [(s.step, s.instrument, s.what) for s in signs if "spike" in s.what] == [
        (290, "gradient norm", "a spike, 10 steps before that of the loss"),
        (300, "training loss", "a spike, from 3.000 to 5.000"),
    ]


def test_overfitting_is_dated_where_the_diagnosis_finds_it(record: RunRecord) -> None:
    val = np.where(STEPS < 250, 4.6 - STEPS / 100, 2.1 + (STEPS - 250) / 200)
    found = signs_of(with_metrics(record, val__loss=val))
    expected = [(250, "its lowest loss, 2.100: overfitting from here on")]
    assert [(s.step, s.what) for s in found if s.instrument == "validation"] == expected


def test_instruments_without_a_sign_are_named(record: RunRecord) -> None:
    silent = "Measured without showing anything first: gradient noise, validation and gradient norm."
    assert silent in text_in(instruments(record))
    assert instruments(replace(record, columns=Columns(), bundles=[], events=[])).blocks == []
