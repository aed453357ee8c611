"""Everything worth a curve, from one forward pass over a few sequences: what training logs about the inside
of the model as it learns.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lab.interp.arrays import Array, to_array
from lab.interp.cache import ActivationCache, run_with_cache
from lab.interp.forward import Tokens, check_tokens, plain
from lab.interp.heads import (
    HeadScore,
    attention_distance,
    attention_entropy,
    duplicate_token_score,
    first_token_attention,
    induction_score,
    largest_score,
    previous_token_score,
)
from lab.interp.predictions import InductionLoss, induction_loss, token_losses
from lab.interp.residual import RESIDUAL_SITES
from lab.interp.units import unit_activity
from lab.model import GPT

PROBE_SITES = ("attn_scores", "pattern", *RESIDUAL_SITES, "mlp.pre", "logits")


@dataclass(frozen=True)
class Repetition:
    """What the model does on repeated random tokens."""

    previous_token: HeadScore
    duplicate_token: HeadScore
    induction: HeadScore
    loss: InductionLoss


@dataclass(frozen=True)
class Probe:
    """The inside of a model on a text, in few numbers; see `summarise`."""

    loss: float  # nats per token
    entropy: HeadScore
    first_token: HeadScore
    distance: HeadScore
    previous_token: HeadScore
    largest_score: Array  # [layer, head]
    norm_labels: list[str]
    norms: Array  # [quantity, layer] mean over batch and positions but the first
    dead_share: Array  # [layer]
    saturated_share: Array  # [layer]
    repetition: Repetition | None

    def scalars(self) -> dict[str, float]:
        """Each number by name, those of a layer as `entropy.layer0`: means over its heads, but the largest of
        a layer's induction, duplicate- and previous-token scores and of its attention scores, since one head
        is enough for those."""
        found = {"loss": self.loss}
        means = {"entropy": self.entropy, "first_token": self.first_token, "distance": self.distance}
        for name, score in means.items():
            found |= _by_layer(name, score.values.mean(axis=1))
        found |= _by_layer("largest_score", self.largest_score.max(axis=1))
        for label, norms in zip(self.norm_labels, self.norms, strict=True):
            found |= _by_layer(f"{label}_norm", norms)
        found |= _by_layer("dead_share", self.dead_share)
        found |= _by_layer("saturated_share", self.saturated_share)
        if self.repetition is None:
            return found | _by_layer("previous_token", self.previous_token.values.max(axis=1))
        repetition = self.repetition
        best = {
            "previous_token": repetition.previous_token,
            "duplicate_token": repetition.duplicate_token,
            "induction": repetition.induction,
        }
        for name, score in best.items():
            found |= {name: float(score.values.max())} | _by_layer(name, score.values.max(axis=1))
        return found | {"induction_loss_gap": repetition.loss.gap, "repeat_loss": repetition.loss.second}


def probe(model: GPT, text: Tokens, repeated: Tokens | None = None, period: int | None = None) -> Probe:
    """One forward pass over `text` and, where given, `repeated` random tokens of that `period`, summarised.

    For two sequences of 64 tokens and a model of 4 layers, 4 heads, 128 wide some 10 ms on one CPU core.
    """
    return summarise(*record_probe(model, text, repeated), period)


def record_probe(
    model: GPT, text: Tokens, repeated: Tokens | None = None
) -> tuple[ActivationCache, ActivationCache | None]:
    """The caches of both kinds of sequence, `PROBE_SITES` each, from one forward pass over all of them.

    The shorter kind is filled up at the end, which nothing before it can see, and cut off again.
    """
    config = plain(model).config
    first = check_tokens(config, text, at_least=2)
    if repeated is None:
        return run_with_cache(model, first, PROBE_SITES), None
    second = check_tokens(config, repeated, at_least=2)
    longest = max(first.shape[1], second.shape[1])
    batch = torch.zeros(len(first) + len(second), longest, dtype=torch.int64)
    batch[: len(first), : first.shape[1]] = first
    batch[len(first) :, : second.shape[1]] = second
    cache = run_with_cache(model, batch, PROBE_SITES)
    return (
        cache.select(slice(0, len(first)), first.shape[1]),
        cache.select(slice(len(first), None), second.shape[1]),
    )


def summarise(text: ActivationCache, repeated: ActivationCache | None = None, period: int | None = None) -> Probe:
    """The numbers of a `Probe` from the caches of `record_probe`. Raises ValueError where one of `repeated`
    and `period` is missing."""
    if (repeated is None) != (period is None):
        raise ValueError("repeated tokens and their period go together: give both or neither")
    # The first position is left out: as an attention sink it would outweigh all others.
    norms = [text.stack(name).float().norm(dim=-1)[..., 1:].mean(dim=(1, 2)) for name in RESIDUAL_SITES]
    units = unit_activity(text)
    repetition = None
    if repeated is not None and period is not None:
        repetition = Repetition(
            previous_token_score(repeated, period),
            duplicate_token_score(repeated, period),
            induction_score(repeated, period),
            induction_loss(repeated, period),
        )
    return Probe(
        loss=float(token_losses(text).mean()),
        entropy=attention_entropy(text),
        first_token=first_token_attention(text),
        distance=attention_distance(text),
        previous_token=previous_token_score(text),
        largest_score=largest_score(text),
        norm_labels=list(RESIDUAL_SITES),
        norms=to_array(torch.stack(norms)),
        dead_share=units.dead_share,
        saturated_share=units.saturated_share,
        repetition=repetition,
    )


def _by_layer(name: str, values: Array) -> dict[str, float]:
    return {f"{name}.layer{layer}": float(value) for layer, value in enumerate(values)}
