"""`predictions.json`: what was predicted before a run began, sealed then, and scored against the outcome.

    {"format": 1, "sealed": Unix time or null,
     "predictions": [{"by": "lab" or "person", "quantity", "value", "low", "high", "coverage": 0.8, "method",
                      "outcome": null until the run is complete, "inside": null where there is no interval}],
     "mental_model": {"before": text or null},
     "closed": null, or {"step", "why"}: scored there, or the run was changed and is not the one that was meant}

An interval that is meant to hold in 80 of 100 cases and holds in 60 is too narrow, in 100 too wide: that is what
`calibration` counts, over all runs. Whoever says "between 0 and 100" is right every time and has said nothing, so the
intervals' width and a score of both stand beside it (`interval_score`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from statistics import mean, median
from typing import Any, Literal

from lab.files import read_json, write_json
from lab.runs import metrics
from lab.runs.lines import now
from lab.runs.metrics_log import MetricsHistory
from lab.runs.paths import RunPaths
from lab.runs.validation import curve_metric

FORMAT = 1
COVERAGE = 0.8
SCORED = "scored"

By = Literal["lab", "person"]
BY = {"lab": ("the lab", "the lab's"), "person": ("you", "your")}
"""Who predicted, as it is told, and whose prediction it is."""
OVERFIT_RISE = 0.01  # of the lowest validation loss; the definition that `predict.overfit` states


@dataclass(frozen=True)
class Quantity:
    """Something that can be predicted.

    `setting` is its name in the group `predict`, `scale` one of the setting's units in the stored unit; `meaning` says
    how the outcome is measured; a `question` is asked where `predict.ask` is set.
    """

    setting: str
    label: str
    meaning: str
    show: Callable[[float], str]
    question: str | None = None
    scale: float = 1.0


QUANTITIES: dict[str, Quantity] = {
    "final_val_loss": Quantity(
        "final_loss",
        "final validation loss",
        "nats per token on the validation split after the last step",
        "{:.3f}".format,
        "final validation loss, nats per token",
    ),
    "minutes": Quantity(
        "minutes",
        "minutes of training",
        "wall-clock from the first step to the end, as horizon.minutes counts it: looks, samples, checkpoints and"
        " compilation included, pauses left out",
        "{:.2f}".format,
        "minutes of training",
    ),
    "peak_memory_bytes": Quantity(
        "memory_gb",
        "peak memory",
        "the process's largest resident set, or the most that PyTorch held on a GPU",
        lambda n_bytes: f"{n_bytes / 1e9:.2f} GB",
        scale=1e9,
    ),
    "overfit": Quantity(
        "overfit",
        "overfitting",
        "1 if the validation loss ends more than 1 % above its lowest, else 0",
        lambda chance: "yes" if chance >= 0.5 else "no",
        "will it overfit (end 1 % above its lowest validation loss)? y/n",
    ),
    "sample_quality": Quantity(
        "sample_quality",
        "words in its samples that are words",
        "percentage of the words in the last samples that are words of the training text",
        "{:.0f} %".format,
        "per cent of the words in its last samples that are real words",
    ),
}
"""By the name that predictions.json and `calibration` use."""


@dataclass
class Prediction:
    """One prediction. `low` and `high` bound the interval that holds with probability `coverage`; None: a point."""

    by: By
    quantity: str
    value: float
    low: float | None = None
    high: float | None = None
    coverage: float = COVERAGE
    method: str = ""
    outcome: float | None = None
    inside: bool | None = None

    def scored(self, outcome: float | None) -> Prediction:
        """The same with its outcome, and whether that lies inside of the interval."""
        known = outcome is not None and self.low is not None and self.high is not None
        inside = self.low <= outcome <= self.high if known else None  # type: ignore[operator]
        return Prediction(**asdict(self) | {"outcome": outcome, "inside": inside})


@dataclass
class Predictions:
    """All that was predicted of one run."""

    predictions: list[Prediction]
    sealed: float | None = None
    mental_model: str | None = None
    closed: dict[str, Any] | None = None

    @property
    def scored(self) -> bool:
        """Whether any was held against its outcome."""
        return any(p.outcome is not None for p in self.predictions)

    def of(self, by: By, quantity: str) -> Prediction | None:
        """The prediction of `quantity` by the lab or the user; None where there is none."""
        return next((p for p in self.predictions if (p.by, p.quantity) == (by, quantity)), None)


def seal(run: RunPaths, predictions: Iterable[Prediction], mental_model: str | None = None) -> Predictions:
    """Write predictions.json, once: sealed predictions stay as they are. Raises `ValueError` where they exist."""
    if run.predictions_path.exists():
        raise ValueError(f"the predictions of run {run.name!r} are sealed already")
    sealed = Predictions(list(predictions), now(), mental_model)
    _write(run, sealed)
    return sealed


def score(run: RunPaths, outcomes: Mapping[str, float | None], step: int | None = None) -> Predictions | None:
    """Score what was sealed against `{quantity: outcome}`, and store the result; None without predictions.

    Once: predictions are about the run as it was when they were sealed, so they stay as they are where they were scored
    before, or the run was changed. `step`: at which it ended. Raises `ValueError` for a damaged file.
    """
    found = read_predictions(run)
    if found is None or found.closed or found.scored:
        return found
    found.predictions = [p.scored(_finite(outcomes.get(p.quantity))) for p in found.predictions]
    found.closed = {"step": step, "why": SCORED}
    _write(run, found)
    return found


def close(run: RunPaths, step: int, why: str) -> None:
    """The run was changed at `step`: what was sealed is about another, and is not scored any more.

    Raises `ValueError` for a damaged file.
    """
    found = read_predictions(run)
    if found is not None and not found.closed and not found.scored:
        found.closed = {"step": step, "why": why}
        _write(run, found)


def read_predictions(run: RunPaths) -> Predictions | None:
    """predictions.json, None where there is none. Raises `ValueError` for one that is damaged or of a later format."""
    content = read_json(run.predictions_path)
    if content is None:
        return None
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"{run.predictions_path} is of format {content['format']!r}; this version reads {FORMAT}")
        known = Prediction.__dataclass_fields__
        rows = [Prediction(**{k: v for k, v in row.items() if k in known}) for row in content["predictions"]]
        if not all(isinstance(p.value, int | float) and isinstance(p.quantity, str) and p.by in BY for p in rows):
            raise TypeError
        mental = content.get("mental_model") or {}
        closed = content.get("closed")
        return Predictions(
            rows, content.get("sealed"), mental.get("before"), closed if isinstance(closed, dict) else None
        )
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"{run.predictions_path} is damaged: it holds no predictions") from None


def outcomes(history: MetricsHistory, *, sample_quality: float | None = None) -> dict[str, float | None]:
    """The outcomes by quantity, from the metrics of a complete run; None where they lack one."""
    steps, losses = history.series(curve_metric(history))
    ends, whole = history.series(metrics.VAL_LOSS)
    final = whole if ends and (not steps or ends[-1] >= steps[-1]) else losses
    seconds = max(history.series("time")[1], default=None)
    memory = history.series(metrics.PERF_MEMORY_BYTES)[1]
    return {
        "final_val_loss": final[-1] if final else None,
        "minutes": None if seconds is None else seconds / 60,
        "peak_memory_bytes": max(memory, default=None),
        "overfit": float(losses[-1] > (1 + OVERFIT_RISE) * min(losses)) if losses else None,
        "sample_quality": sample_quality,
    }


@dataclass(frozen=True)
class Calibration:
    """How often the intervals of one predictor held, how wide they were, and how far the values were off.

    In shares of |outcome|: `error` is the median of |value - outcome|, `width` the mean of high - low (the narrower,
    the sharper), `score` the mean `interval_score`, which rewards both and is best for the narrowest interval that
    holds as often as it says. None where no outcome is known (or all are 0), of a yes or no, and over several
    quantities.
    """

    by: str
    quantity: str
    intervals: int
    inside: int
    scored: int
    error: float | None
    width: float | None = None
    score: float | None = None
    coverage: float = COVERAGE

    @property
    def sentence(self) -> str:
        """In words: `your intervals contained the truth 6 of 10 times (80 % were meant to)`."""
        whose = BY[self.by][1]
        if not self.intervals:
            return f"{whose} predictions of {self.quantity} had no intervals"
        times = "time" if self.intervals == 1 else "times"
        held = f"{whose} intervals contained the truth {self.inside} of {self.intervals} {times}"
        return f"{held} ({self.coverage:.0%} were meant to)"


def calibration(predictions: Iterable[Predictions]) -> list[Calibration]:
    """One line for each predictor and quantity that has been scored, and one over all quantities, `all`, for each."""
    rows = [p for found in predictions for p in found.predictions if p.outcome is not None]
    table = []
    for by in ("lab", "person"):
        mine = [p for p in rows if p.by == by]
        groups = {q: [p for p in mine if p.quantity == q] for q in QUANTITIES}
        table += [_line(by, name, group) for name, group in (groups | {"all": mine}).items() if group]
    return table


def interval_score(low: float, high: float, outcome: float, coverage: float) -> float:
    """How good an interval was once the outcome is known, in its unit, 0 the best: its width, and for an outcome
    outside 2/(1 - coverage) times the distance to it (Gneiting and Raftery 2007, "Strictly Proper Scoring
    Rules", eq. 43).

    >>> interval_score(1.0, 2.0, 1.5, 0.8), round(interval_score(1.0, 2.0, 2.5, 0.8), 6)
    (1.0, 6.0)
    """
    return high - low + 2 / (1 - coverage) * (max(0.0, low - outcome) + max(0.0, outcome - high))


def _line(by: str, quantity: str, group: list[Prediction]) -> Calibration:
    bounded = [p for p in group if p.inside is not None]
    found = Calibration(by, quantity, len(bounded), sum(bool(p.inside) for p in bounded), len(group), None)
    # A yes or no has no distance in per cent, and neither has a mixture of quantities.
    if quantity in ("overfit", "all"):
        return found
    off = [abs(p.value - p.outcome) / abs(p.outcome) for p in group if p.outcome]
    widths, scores = [], []
    for p in bounded:
        if p.low is not None and p.high is not None and p.outcome:
            widths.append((p.high - p.low) / abs(p.outcome))
            scores.append(interval_score(p.low, p.high, p.outcome, p.coverage) / abs(p.outcome))
    error, width, score = (
        median(off) if off else None,
        mean(widths) if widths else None,
        mean(scores) if scores else None,
    )
    return replace(found, error=error, width=width, score=score)


def _write(run: RunPaths, found: Predictions) -> None:
    write_json(
        run.predictions_path,
        {
            "format": FORMAT,
            "sealed": found.sealed,
            "predictions": [asdict(p) for p in found.predictions],
            "mental_model": {"before": found.mental_model},
            "closed": found.closed,
        },
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
