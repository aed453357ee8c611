"""Reproduction: whether weights still give the loss that was recorded when they were written."""

from __future__ import annotations

import torch

from analysis_app.analyses.declaration import Answer, WeightsRequest, analysis
from analysis_app.analyses.text import probe_ids
from analysis_app.library import Opened
from lab.model.reference import reference_loss

REPRODUCES_WITHIN = 1e-4  # nats: fp32 on another machine stays far below it, other weights far above


@analysis("reproduction", WeightsRequest)
def reproduction(opened: Opened) -> Answer:
    """Whether the weights still give the loss that was recorded with them."""
    ids, info = probe_ids(opened), opened.loaded.info
    recorded = None if info is None else info.probe_loss
    computed = same = None
    if recorded is None:
        why = "no probe loss was recorded with these weights"
    elif not ids:
        why = "data.json has no probe text"
    else:
        with opened.lock:
            computed = reference_loss(opened.model, torch.tensor(ids))
        same = abs(computed - recorded) <= REPRODUCES_WITHIN
        why = f"recorded {recorded:.4f}, computed {computed:.4f}: {'the same' if same else 'not the same'} weights"
    return {
        "run": opened.loaded.name,
        "step": opened.loaded.step,
        "recorded": recorded,  # loss on the run's probe text, nats per token
        "computed": computed,
        "reproduces": same,  # None: nothing was recorded, or the probe text is gone
        "explanation": why,
    }
