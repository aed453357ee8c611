"""The loss curve in sentences: verdicts are those of the diagnosis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.report.loss_curve import loss_spikes
from lab.report.run_record import RunRecord
from lab.report.sections.losses import draw, losses, overfits
from lab.runs.series import Columns
from tests.report.runs import curve, text_in, with_metrics

STEPS = np.arange(401)
FALL = np.array([curve(step, 400) for step in STEPS])


def test_the_curve_in_sentences(record: RunRecord) -> None:
    text = text_in(losses(record))
    assert "guessing evenly (4.605), as expected of an untrained model." in text
    assert "below uniform, unigram, bigram and xz alone." in text
    assert "Half of its fall was done by step" in text
    assert "predicts the text better than `xz -9` packs it alone" in text


@pytest.mark.parametrize(
    ("curves", "sentence"),
    [
        ({"train__loss": FALL + 4 * np.exp(-STEPS / 5)}, "which no well initialised model has"),
        ({"train__loss": np.where(STEPS < 250, 4.6, 2.2)}, "It fell late and at once"),
        ({"train__loss": np.where(STEPS < 250, 3.0, 2.0)}, "near the bigram loss (within 4 %)"),
        ({"val__loss": FALL * 1.2}, "it predicts its training text better"),
        ({"val__loss": FALL * 0.8}, "**below** training"),
        ({"train__loss": FALL + np.maximum(0, STEPS - 350) / 50}, "the training loss **rose** by"),
        ({"train__loss": 5 - STEPS / 200}, "It was still falling"),
        ({"val__loss": [], "val__bits_per_byte": []}, "There was no validation; the training loss ended at about 2.0"),
    ],
)
def test_other_curves(record: RunRecord, curves: dict[str, np.ndarray], sentence: str) -> None:
    shown = replace(with_metrics(record, **curves), data=record.data | {"steps_per_epoch": 50})
    assert sentence in text_in(losses(shown))


@pytest.mark.parametrize(("rise", "found"), [(0.015, False), (0.1, True)])
def test_overfitting_is_what_the_diagnosis_calls_so(record: RunRecord, rise: float, found: bool) -> None:
    """Its threshold is 2 %: a rise by 1.5 % is none."""
    val = np.where(STEPS < 200, 4.4 - STEPS / 100, 2.4 * (1 + rise * (STEPS - 200) / 200))
    shown = with_metrics(record, val__loss=val)
    assert overfits(shown) == ("overfitting" in shown.holds) == found
    assert ("from there on the model memorised its training text" in text_in(losses(shown))) == found


def test_spikes_have_a_table(record: RunRecord) -> None:
    values = FALL.copy()
    values[300:303] += 3
    text = text_in(losses(with_metrics(record, train__loss=values)))
    assert "1 spike of the training loss, the highest at step 300" in text
    assert "it recovered from all." in text
    assert "| 300 | 2.0" in text


def test_the_picture_names_events_and_phases(record: RunRecord) -> None:
    words = {text.get_text().strip() for text in draw(record, loss_spikes(record), False).axes[0].texts}
    assert "below xz alone" in words
    assert words & {"paused", "lr changed", "finding"}


def test_a_run_without_losses_has_no_curve(record: RunRecord) -> None:
    assert "there is no curve to show" in text_in(losses(replace(record, columns=Columns())))
