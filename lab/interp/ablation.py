"""Ablation: replace the output of one head or MLP by a constant and measure how much the loss rises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.interp.arrays import Array, to_array
from lab.interp.cache import run_with_cache
from lab.interp.forward import Tokens, check_tokens, forward, plain
from lab.interp.taps import Edit, Site
from lab.model import GPT, cross_entropy

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PartMeans:
    """The mean output of every head and MLP over some text; see `part_means`."""

    heads: Array  # [layer, head, d_head] of z
    mlps: Array  # [layer, d_model]
    tokens: int  # over how many


@dataclass(frozen=True)
class Ablation:
    """How much the loss rises without each part; see `ablate`."""

    mean_over: int  # tokens over which the means were taken that replaced the parts; 0: zeros replaced them
    loss: float  # nats per token with everything in place
    heads: Array  # [layer, head] nats per token more without it
    mlps: Array  # [layer]
    head_errors: Array  # [layer, head] standard error of that rise over the texts; NaN for a single text
    mlp_errors: Array  # [layer]


def part_means(model: GPT, tokens: Tokens) -> PartMeans:
    """The mean output of every head and MLP over all positions of `tokens` `[batch, pos]`: what `ablate` puts in a
    part's place. Take a text other than the one that is scored, some thousand tokens of the validation split.
    """
    model = plain(model)
    checked = check_tokens(model.config, tokens, at_least=1)
    # One text after the other: a cache of all of them could fill the memory.
    caches = (run_with_cache(model, text.unsqueeze(0), ("z", "mlp_out")) for text in checked)
    sums = [[cache.stack(site).double().sum(dim=(1, 2)) for site in ("z", "mlp_out")] for cache in caches]
    heads, mlps = (torch.stack(part).sum(0).float() / checked.numel() for part in zip(*sums, strict=True))
    return PartMeans(to_array(heads), to_array(mlps), checked.numel())


def ablate(model: GPT, tokens: Tokens, means: PartMeans | None = None, progress: Progress | None = None) -> Ablation:
    """The rise in loss on `tokens` `[batch, pos]`, in nats per token, when one head or one MLP at a time is replaced by
    a constant: heads `[layer, head]`, MLPs `[layer]`.

    With `means` the part's mean over another text takes its place, so that what it computes for this text is lost but
    later layers see usual values; without, zeros do, which may raise the loss by more than the part ever lowered it
    (Wang et al. 2022, §2.1). Means of the very text that is scored would hold what comes later in it. Below 0: this
    text is predicted better without the part. Of parts that do the same, each alone shows little. The standard error is
    that of the mean over texts of the paired difference.

    Costs 1 + n_layers · (n_heads + 1) forward passes; `progress(done, of)` is called after each. Raises ValueError for
    bad tokens and texts of one token.
    """
    model = plain(model)
    config = model.config
    checked = check_tokens(config, tokens, at_least=2)
    total, done = 1 + config.n_layers * (config.n_heads + 1), 0

    def losses(edits: dict[Site, Callable[[Tensor], Tensor]]) -> Tensor:
        nonlocal done
        logits = forward(model, checked, Edit(model, edits))[:, :-1]
        done += 1
        if progress is not None:
            progress(done, total)
        return cross_entropy(logits, checked[:, 1:].to(logits.device), "none").double().mean(-1)

    whole = losses({})
    rises = []
    for layer in range(config.n_layers):
        for head in range(config.n_heads):
            value = None if means is None else means.heads[layer, head]
            rises.append(losses({("z", layer): _replace_head(head, value)}) - whole)
        value = None if means is None else means.mlps[layer]
        rises.append(losses({("mlp_out", layer): _replace(value)}) - whole)
    found = torch.stack(rises).view(config.n_layers, config.n_heads + 1, -1)  # [layer, part, batch]
    error = found.std(-1) / len(whole) ** 0.5 if len(whole) > 1 else torch.full(found.shape[:-1], torch.nan)
    rise = found.mean(-1)
    arrays = (to_array(part) for part in (rise[:, :-1], rise[:, -1], error[:, :-1], error[:, -1]))
    return Ablation(0 if means is None else means.tokens, float(whole.mean()), *arrays)


def _replace(value: Array | None) -> Callable[[Tensor], Tensor]:
    def edit(out: Tensor) -> Tensor:
        return torch.zeros_like(out) if value is None else torch.from_numpy(value).to(out).expand_as(out)

    return edit


def _replace_head(head: int, value: Array | None) -> Callable[[Tensor], Tensor]:
    replace = _replace(value)

    def edit(z: Tensor) -> Tensor:
        z[:, :, head] = replace(z[:, :, head])
        return z

    return edit
