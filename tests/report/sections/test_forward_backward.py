"""Activations, gradients and updates in sentences."""

from __future__ import annotations

from dataclasses import replace

from lab.report.run_record import RunRecord
from lab.report.sections.forward_backward import forward_backward
from lab.runs.series import Columns
from tests.report.runs import text_in, with_metrics


def test_the_numbers_in_sentences(record: RunRecord) -> None:
    text = text_in(forward_backward(record))
    assert "At the peak learning rate one step changed the matrices by 0.001 of their norm." in text
    assert "At the end layer 0 had 1 times the gradient of layer 1: it reached the first layer." in text
    assert "The norm of the residual stream after the last layer was 1 at the start and 2 at the end." in text
    assert "25 % of the MLP units of layer 0 were never active on the reference texts (0 % at the start)" in text
    assert "The norms of the matrices ended at 2 times their initial values." in text


def test_a_gradient_that_vanishes_is_said(record: RunRecord) -> None:
    curves = {"stats__grad_norm__layer0": [1, 0.01], "stats__grad_norm__layer1": [1, 1]}
    assert "little of it reached the first layer" in text_in(forward_backward(with_metrics(record, **curves)))


def test_nothing_recorded_is_said(record: RunRecord) -> None:
    assert "Nothing was recorded of activations" in text_in(forward_backward(replace(record, columns=Columns())))
