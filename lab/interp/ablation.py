"""Ablation: replace the output of one head or MLP by a constant and measure how much the loss rises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from lab.checks import check_choice
from lab.interp.arrays import Array
from lab.interp.cache import run_with_cache
from lab.interp.forward import Tokens, check_tokens, forward, plain
from lab.interp.taps import Edit, Site
from lab.model import GPT, cross_entropy

Mode = Literal["mean", "zero"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Ablation:
    """How much the loss rises without each part; see `ablate`."""

    mode: Mode
    loss: float  # nats per token with everything in place
    heads: Array  # [layer, head] nats per token more without it
    mlps: Array  # [layer]


def ablate(model: GPT, tokens: Tokens, mode: Mode = "mean", progress: Progress | None = None) -> Ablation:
    """The rise in loss, in nats per token, when one head or one MLP at a time is replaced by a constant: heads `[layer,
    head]`, MLPs `[layer]`.

    "mean" puts the part's mean over all of `tokens` `[batch, pos]` in its place, so that what it computes for this text
    is lost but later layers see usual values; "zero" puts zeros, which may raise the loss by more than the part ever
    lowered it (Wang et al. 2022, §2.1). Below 0: this text is predicted better without it. Of parts that do the same,
    each alone shows little.

    Costs 1 + n_layers · (n_heads + 1) forward passes; `progress(done, of)` is called after each. Raises ValueError for
    bad tokens and texts of one token.
    """
    check_choice("mode", mode, get_args(Mode))
    model = plain(model)
    config = model.config
    checked = check_tokens(config, tokens, at_least=2)
    cache = run_with_cache(model, checked, ("z", "mlp_out", "logits"))
    device = cache.tokens.device
    targets = checked[:, 1:].to(device)
    baseline = float(cross_entropy(cache.logits[:, :-1], targets))
    z_means = cache.stack("z").mean(dim=(1, 2))
    mlp_means = cache.stack("mlp_out").mean(dim=(1, 2))
    del cache
    if mode == "zero":
        z_means, mlp_means = torch.zeros_like(z_means), torch.zeros_like(mlp_means)
    heads = np.zeros((config.n_layers, config.n_heads), dtype=np.float32)
    mlps = np.zeros(config.n_layers, dtype=np.float32)
    total = 1 + config.n_layers * (config.n_heads + 1)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    def rise(site: Site, edit: Callable[[Tensor], Tensor]) -> float:
        logits = forward(model, checked, Edit(model, {site: edit}))
        step()
        return float(cross_entropy(logits[:, :-1], targets)) - baseline

    step()
    for layer in range(config.n_layers):
        for head in range(config.n_heads):
            heads[layer, head] = rise(("z", layer), _replace_head(head, z_means[layer, head]))
        mlps[layer] = rise(("mlp_out", layer), mlp_means[layer].expand_as)
    return Ablation(mode, baseline, heads, mlps)


def _replace_head(head: int, value: Tensor) -> Callable[[Tensor], Tensor]:
    def edit(z: Tensor) -> Tensor:
        z[:, :, head] = value
        return z

    return edit
