"""Overfitting and memorisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.diagnosis.evidence import Evidence, unbroken_since
from lab.diagnosis.finding import Family, Found, Level
from lab.runs import metrics

GENERALISATION = Family("generalisation")


def gap(evidence: Evidence, step: int) -> float | None:
    """How far the training loss around `step` lies below the validation loss there, relative to the latter."""
    val = evidence[evidence.validation_metric].at(step)
    train = evidence[metrics.TRAIN_LOSS].near(step, evidence.span(0.02, 5))
    return None if val is None or train is None or val <= 0 else 1 - train / val


@GENERALISATION.rule(
    "Training loss falls while validation loss rises: the model memorises its training text, and its predictions for "
    "new text get worse.",
    "stop here: checkpoints/best is the model to keep",
    "more text, a smaller model, model.config.dropout: 0.2, or fewer epochs",
)
def overfitting(evidence: Evidence, limits: Any) -> Found | None:
    """Validation loss rises while training loss falls."""
    steps, values = evidence.validation.steps, evidence.validation.values
    if len(values) < 3:
        return None
    best = int(np.argmin(values))
    begin = unbroken_since(values[best:] > (1 + limits.overfit_rise) * values[best], int(limits.overfit_looks))
    apart = gap(evidence, int(steps[-1]))
    if begin is None or apart is None or apart < limits.overfit_gap:
        return None
    if values[-1] - values[best] < limits.overfit_nats:  # of a loss near 0, a rise by half is nothing
        return None
    width = evidence.span(0.02, 5)
    then, now = (evidence[metrics.TRAIN_LOSS].near(int(steps[i]), width) for i in (best, -1))
    if then is None or now is None or now >= then:  # both rise: that is no overfitting
        return None
    rise = float(values[-1] / values[best] - 1)
    level: Level = "alarm" if rise > limits.overfit_far else "warning"
    epochs = evidence.facts.epochs(int(steps[best]))
    after = f" (after {epochs:.1f} epochs)" if epochs else ""
    metric = evidence.validation_metric
    what = f"{metric} has risen from {values[best]:.2f} at step {int(steps[best])}{after} to {values[-1]:.2f}"
    bar = float((1 + limits.overfit_rise) * values[best])
    return Found(level, what, int(steps[best]), metric, float(values[-1]), bar)


@GENERALISATION.rule(
    "The model reproduces training text instead of writing new text: its training loss is far below its loss on new "
    "text.",
    "more text, a smaller model, fewer epochs",
    "read the samples: samples.jsonl has what was copied beside each",
)
def memorised(evidence: Evidence, limits: Any) -> Found | None:
    """Samples are copied from the training text."""
    curve = evidence[metrics.STATS_LONGEST_COPY]
    length = evidence.facts.number("samples.tokens") or 32
    per_token = evidence.facts.of_data("bytes_per_token") or 1.0
    if not len(curve) or curve.values[-1] < limits.copied_share * length:
        return None
    copied = float(curve.values[-1])
    vals = evidence[evidence.validation_metric]
    apart = gap(evidence, int(vals.steps[-1])) if len(vals) else None
    if copied * per_token < limits.copied_bytes or apart is None or apart < limits.copied_gap:
        return None
    bar = limits.copied_share * length
    begin = unbroken_since(curve.values >= bar, 1) or 0
    what = f"{copied:.0f} of {length:.0f} tokens of a sample are a verbatim copy of training text"
    return Found("warning", what, int(curve.steps[begin]), metrics.STATS_LONGEST_COPY, copied, bar)
