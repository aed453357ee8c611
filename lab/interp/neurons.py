"""The MLP's neurons: which never fire, which always do, and at which tokens each is most active."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lab.interp.ablation import Progress
from lab.interp.arrays import Array, IntArray, to_array, to_integers
from lab.interp.cache import ActivationCache, estimate_bytes, run_with_cache
from lab.interp.forward import Tokens, check_tokens, plain
from lab.model import GPT

NEURON_SITES = ("mlp.pre",)
EXAMPLE_SITES = ("mlp.pre", "mlp.post")
BYTES_AT_ONCE = 2**24  # of activations a forward pass, while looking for examples


@dataclass(frozen=True)
class NeuronActivity:
    """How often each MLP neuron is on; see `neuron_activity`."""

    on_rate: Array  # [layer, neuron]: share of tokens at which the neuron is on
    dead_share: Array  # [layer]: share of neurons that were never on
    saturated_share: Array  # [layer]: share of neurons that were never off
    n_tokens: int  # over which this was counted: a neuron that is on once in 1000 tokens looks dead in 100


def neuron_activity(cache: ActivationCache) -> NeuronActivity:
    """Dead and saturated neurons of each layer's MLP.

    A neuron is on where its activation function's input (`mlp.hook_pre`; with swiglu the gate's) is above 0. A dead one
    is on at no token: of ReLU² it passes on nothing and no gradient comes back to it, of GELU and SiLU at most a
    trickle. A saturated one is on at every token: it no longer chooses, which leaves it all but linear. On a short text
    some look like either by chance: compare over training rather than with 0.
    """
    on = cache.stack("mlp.pre") > 0
    rate = on.float().mean(dim=(1, 2))
    n_tokens = on.shape[1] * on.shape[2]
    flat = on.flatten(1, 2)
    dead, saturated = (~flat.any(dim=1)).float(), flat.all(dim=1).float()
    return NeuronActivity(to_array(rate), to_array(dead.mean(1)), to_array(saturated.mean(1)), n_tokens)


@dataclass(frozen=True)
class NeuronExamples:
    """Where in some text each MLP neuron is most active; see `neuron_examples`."""

    values: Array  # [layer, neuron, k] its activation there, the largest first
    sequences: IntArray  # [layer, neuron, k] which sequence
    positions: IntArray  # [layer, neuron, k] and where in it
    on_rate: Array  # [layer, neuron] share of all tokens at which the neuron is on
    n_tokens: int  # that were read


def neuron_examples(model: GPT, tokens: Tokens, k: int = 10, progress: Progress | None = None) -> NeuronExamples:
    """The `k` tokens of `tokens` `[sequence, pos]` at which each neuron of each MLP is most active: what it seems to
    look for (Zeiler and Fergus 2014, §4; Geva et al. 2021, §3).

    The activation is `mlp.hook_post`, what the neuron hands on; on as in `neuron_activity`. The largest values show one
    end of what a neuron does: look at ordinary ones too before naming it. Reads the text once, some sequences a forward
    pass, after each of which `progress(done, of)` is called.
    """
    if k < 1:
        raise ValueError(f"k={k}: ask for at least 1 example")
    model = plain(model)
    checked = check_tokens(model.config, tokens)
    n_sequences, n_pos = checked.shape
    k = min(k, n_sequences * n_pos)
    batches = checked.split(max(1, BYTES_AT_ONCE // estimate_bytes(model, 1, n_pos, EXAMPLE_SITES)))
    best = places = on = torch.zeros(0)
    for i, batch in enumerate(batches):
        cache = run_with_cache(model, batch, EXAMPLE_SITES)
        active = (cache.stack("mlp.pre") > 0).sum(dim=(1, 2))
        values = cache.stack("mlp.post").float().flatten(1, 2).transpose(1, 2)  # [layer, neuron, token]
        here = torch.arange(values.shape[-1], device=values.device) + i * len(batches[0]) * n_pos
        where = here.expand_as(values)
        if i:
            values, where, active = torch.cat([best, values], -1), torch.cat([places, where], -1), on + active
        best, order = values.topk(min(k, values.shape[-1]), dim=-1)
        places, on = where.gather(-1, order), active
        if progress is not None:
            progress(i + 1, len(batches))
    return NeuronExamples(
        values=to_array(best),
        sequences=to_integers(places // n_pos),
        positions=to_integers(places % n_pos),
        on_rate=to_array(on.float() / checked.numel()),
        n_tokens=checked.numel(),
    )
