"""Recognising weights by what they do: the loss on one fixed text, in fp32."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.model.gpt import GPT


def probe_loss(model: GPT, tokens: Tensor) -> float:
    """Mean loss of predicting `tokens[1:]` `[pos]` from what precedes each, in nats per token.

    Cut to the model's context, computed in fp32 and evaluation mode whatever the training does. Noted
    beside every checkpoint and snapshot; whoever opens the weights later computes it again, and within 1e-4
    they are the weights that were written.
    """
    tokens = tokens[: model.config.context_length + 1].to(next(model.parameters()).device)
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(tokens.device.type, enabled=False):
            return float(model.loss(tokens[None, :-1], tokens[None, 1:]))
    finally:
        model.train(training)
