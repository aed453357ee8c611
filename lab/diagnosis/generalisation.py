"""A text learned by heart."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.diagnosis.curves import near, run_of
from lab.diagnosis.finding import Family, Found
from lab.diagnosis.history import History

GENERALISATION = Family("generalisation")


def gap(history: History, step: int) -> float | None:
    """How far the training loss around `step` lies below the validation loss there, relative to the latter."""
    val = near(history["val/loss"], step, 0)
    train = near(history["train/loss"], step, history.span(0.02, 5))
    return None if val is None or train is None or val <= 0 else 1 - train / val


@GENERALISATION.rule(
    "Training loss falls, validation loss rises: what is learned now is this text and no longer the language in it. "
    "The best model lies behind.",
    "stop here: checkpoints/best is the model to keep",
    "more text, a smaller model, model.config.dropout: 0.2, or fewer epochs",
)
def overfitting(history: History, limits: Any) -> Found | None:
    """Validation loss rises while training loss falls."""
    steps, values = history["val/loss"].steps, history["val/loss"].values
    if len(values) < 3:
        return None
    best = int(np.argmin(values))
    begin = run_of(values[best:] > (1 + limits.overfit_rise) * values[best], int(limits.overfit_looks))
    apart = gap(history, int(steps[-1]))
    if begin is None or apart is None or apart < limits.overfit_gap:
        return None
    if values[-1] - values[best] < limits.overfit_nats:  # of a loss near 0, a rise by half is nothing
        return None
    width = history.span(0.02, 5)
    then, now = (near(history["train/loss"], int(steps[i]), width) for i in (best, -1))
    if then is None or now is None or now >= then:  # both rise: that is another disease
        return None
    rise = float(values[-1] / values[best] - 1)
    level = "alarm" if rise > limits.overfit_far else "warning"
    epochs = history.facts.epochs(int(steps[best]))
    after = f" (after {epochs:.1f} epochs)" if epochs else ""
    what = f"val/loss has risen from {values[best]:.2f} at step {int(steps[best])}{after} to {values[-1]:.2f}"
    bar = float((1 + limits.overfit_rise) * values[best])
    return Found(level, what, int(steps[best]), "val/loss", float(values[-1]), bar)


@GENERALISATION.rule(
    "Samples that stand in the training text word for word are quotations. With a loss far below that of new text "
    "it is memory that speaks.",
    "more text, a smaller model, fewer epochs",
    "read the samples: samples.jsonl has what was copied beside each",
)
def memorised(history: History, limits: Any) -> Found | None:
    """Whole samples stand in the training text."""
    curve = history["stats/longest_copy"]
    length = history.facts.number("samples.tokens") or 32
    per_token = history.facts.of_data("bytes_per_token") or 1.0
    if not len(curve) or curve.values[-1] < limits.copied_share * length:
        return None
    copied = float(curve.values[-1])
    vals = history["val/loss"]
    apart = gap(history, int(vals.steps[-1])) if len(vals) else None
    if copied * per_token < limits.copied_bytes or apart is None or apart < limits.copied_gap:
        return None
    bar = limits.copied_share * length
    begin = run_of(curve.values >= bar, 1) or 0
    what = f"{copied:.0f} of {length:.0f} tokens of a sample stand in the training text, verbatim"
    return Found("warning", what, int(curve.steps[begin]), "stats/longest_copy", copied, bar)
