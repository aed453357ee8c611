"""Reproduction: whether weights still give the loss that was recorded when they were written."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from analysis_app.analyses.declaration import WeightsRequest, analysis
from analysis_app.analyses.text import probe_ids
from analysis_app.library import Opened
from lab.model.reference import reference_loss

REPRODUCES_WITHIN = 1e-4  # nats: fp32 on another machine stays far below it, other weights far above


@dataclass(frozen=True)
class Reproduction:
    """The recorded and the recomputed loss on the run's probe text, in nats per token."""

    run: str
    step: int | None
    recorded: float | None
    computed: float | None
    reproduces: bool | None  # None: nothing was recorded, or the probe text is gone
    explanation: str


@analysis("reproduction", WeightsRequest)
def reproduction(opened: Opened) -> Reproduction:
    """Whether the weights still give the loss that was recorded with them."""
    loaded = opened.loaded
    recorded = None if loaded.info is None else loaded.info.probe_loss
    ids = probe_ids(opened)
    if recorded is None or not ids:
        why = "no probe loss was recorded with these weights" if recorded is None else "data.json has no probe text"
        return Reproduction(loaded.name, loaded.step, recorded, None, None, why)
    with opened.lock:
        computed = reference_loss(opened.model, torch.tensor(ids))
    same = abs(computed - recorded) <= REPRODUCES_WITHIN
    why = f"recorded {recorded:.4f}, computed {computed:.4f}: {'the same' if same else 'not the same'} weights"
    return Reproduction(loaded.name, loaded.step, recorded, computed, same, why)
