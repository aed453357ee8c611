"""Predictions around a run: the lab's and the user's, sealed before the first step and scored after the last."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from lab.data.dataset import LabData
from lab.errors import NotEnough
from lab.forecasting.ladder import computing_parameters
from lab.forecasting.law import Floor, Forecast, Trained, forecast_loss
from lab.runs import Run, list_runs
from lab.runs.predictions import QUANTITIES, Prediction, Predictions, outcomes, read_predictions, score

WORD = re.compile(r"\w+")
TEXT_TOKENS = 1_000_000  # of the training text whose words count as real words


def lab_says(
    kept: Mapping[str, Forecast], earlier: list[Trained], config: Any, tokens: int, baselines: Mapping[str, Any]
) -> list[Prediction]:
    """The lab's predictions: those of the plan that was made of this configuration, else what finished runs tell."""
    found = {name: forecast for name, forecast in kept.items() if name in QUANTITIES}
    if "final_val_loss" not in found:
        with suppress(NotEnough):
            floor = Floor.of(baselines)
            found["final_val_loss"] = forecast_loss(
                earlier, computing_parameters(config), tokens, "finished runs", floor
            )
    return [Prediction("lab", name, f.value, f.low, f.high, method=f.method) for name, f in found.items()]


def final_loss_of(sealed: Predictions | None) -> Forecast | None:
    """What the lab has sealed of the final validation loss; None where it said nothing, no interval, or of what the
    run was before it was changed."""
    open_still = sealed is not None and not sealed.closed and not sealed.scored
    found = sealed.of("lab", "final_val_loss") if sealed and open_still else None
    if found is None or found.low is None or found.high is None:
        return None
    return Forecast(found.value, found.low, found.high, found.method)


def any_mental_model(root: str) -> bool:
    """Whether a run under `root` holds the user's own explanation from before it."""
    for run in list_runs(root):
        with suppress(ValueError):
            found = read_predictions(run)
            if found is not None and found.mental_model:
                return True
    return False


def score_predictions(run: Run, data: LabData) -> Predictions | None:
    """Hold the sealed predictions of a completed run against what came; None where nothing was predicted."""
    found = read_predictions(run)
    if found is None:
        return None
    quality = sample_quality(run, data) if found.of("person", "sample_quality") else None
    return score(run, outcomes(run.metrics(), sample_quality=quality), run.status().step)


def sample_quality(run: Run, data: LabData) -> float | None:
    """Percentage of the words in the newest samples that occur in the training text; None without either."""
    samples = run.samples()
    if not samples or "train" not in getattr(data, "splits", {"train": 0}):
        return None
    last = samples[-1]["step"]
    words = [w for s in samples if s["step"] == last for w in WORD.findall(s["text"])]
    try:
        known = set(WORD.findall(data.tokenizer.decode(data.token_files["train"].array()[:TEXT_TOKENS].tolist())))
    except (AttributeError, TypeError):  # a made corpus has no text
        return None
    return 100 * sum(w in known for w in words) / len(words) if words else None
