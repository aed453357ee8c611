"""The loss on one fixed text in fp32, by which weights are recognised."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.model.gpt import GPT


def reference_loss(model: GPT, tokens: Tensor) -> float:
    """Mean loss of predicting `tokens[1:]` `[pos]` from what precedes each, in nats per token.

    Cut to the model's context, computed in fp32 and evaluation mode whatever the training does. Recorded beside every
    checkpoint and snapshot: weights that are opened later and give the same within 1e-4 are those that were written.
    """
    tokens = tokens[: model.config.context_length + 1].to(next(model.parameters()).device)
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(tokens.device.type, enabled=False):
            return float(model.loss(tokens[None, :-1], tokens[None, 1:]))
    finally:
        model.train(training)
