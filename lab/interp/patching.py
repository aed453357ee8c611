"""Activation patching: where in the model is the difference between two prompts?

Run the model on one prompt, put in what it computed for another at one place, and see whether the other's answer comes
back (Meng et al. 2022, §2.1, causal tracing; Heimersheim and Nanda 2024 on how to read it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from lab.checks import check_choice
from lab.interp.ablation import Progress
from lab.interp.arrays import Array, to_array
from lab.interp.cache import run_with_cache
from lab.interp.forward import Tokens, check_index, check_tokens, forward, plain
from lab.interp.taps import Edit
from lab.model import GPT, GPTConfig

PatchSite = Literal["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"]

ROWS_AT_ONCE = 32  # patched copies of the prompt run as one batch


@dataclass(frozen=True)
class Patching:
    """How the answer changes when one activation is exchanged; see `activation_patching`."""

    clean: float  # the metric on the clean prompt
    corrupt: float  # and on the corrupt one
    patched: Array  # [layer, pos] on the corrupt prompt with that one activation from the clean one
    metric: str  # what the metric is

    @property
    def restored(self) -> Array:
        """`[layer, pos]`: 0 where patching changes nothing, 1 where it alone brings the clean answer back.

        Raises ValueError where both prompts have the same metric, so that there is nothing to bring back.
        """
        difference = self.clean - self.corrupt
        if abs(difference) < 1e-6:
            raise ValueError(
                f"both prompts give the same {self.metric} ({self.clean:.4g}): nothing to restore; choose "
                f"prompts or answers that the model tells apart"
            )
        return (self.patched - np.float32(self.corrupt)) / np.float32(difference)


def activation_patching(
    model: GPT,
    clean: Tokens,
    corrupt: Tokens,
    answer: int,
    wrong: int | None = None,
    *,
    site: PatchSite = "resid_pre",
    position: int = -1,
    show: Callable[[int], str] = str,
    progress: Progress | None = None,
) -> Patching:
    """Put the clean prompt's activation at one layer and position into the run on the corrupt prompt, for each layer
    and position, `[layer, pos]`.

    The metric, at `position`: logit of `answer` less that of `wrong`, the two prompts' right answers; or without
    `wrong` the log-probability of `answer` in nats. `clean` and `corrupt` are one sequence each, of equal length and
    aligned token by token: else raises ValueError with both side by side (`show` turns an id into text there). Reads
    the prompt n_layers · pos times, up to 32 copies a forward pass, after each of which `progress(done, of)` is called:
    half a second for 64 tokens and 4 layers 128 wide on one CPU core, minutes for 256 tokens and 6 layers 384 wide.
    """
    check_choice("site", site, get_args(PatchSite))
    model = plain(model)
    config = model.config
    pair = [_one_sequence(config, name, x) for name, x in (("clean", clean), ("corrupt", corrupt))]
    if pair[0].shape != pair[1].shape:
        raise ValueError(_alignment(pair[0][0].tolist(), pair[1][0].tolist(), show))
    n_pos = pair[0].shape[1]
    position = check_index("position", position, n_pos)
    for token in (answer,) if wrong is None else (answer, wrong):
        if not 0 <= token < config.vocab_size:
            raise ValueError(f"answer {token} is outside the vocabulary of {config.vocab_size}")

    def metric(logits: Tensor) -> Tensor:
        at = logits[:, position].float()
        return at.log_softmax(-1)[:, answer] if wrong is None else at[:, answer] - at[:, wrong]

    cache = run_with_cache(model, pair[0], (site, "logits"))
    corrupt_metric = float(metric(forward(model, pair[1]))[0])
    batches = torch.arange(n_pos).split(ROWS_AT_ONCE)
    found = []
    for layer in range(config.n_layers):
        donor = cache[site, layer][0]
        for positions in batches:
            edit = Edit(model, {(site, layer): _put(donor, positions.to(donor.device))})
            found.append(metric(forward(model, pair[1].repeat(len(positions), 1), edit)))
            if progress is not None:
                progress(len(found), config.n_layers * len(batches))
    return Patching(
        clean=float(metric(cache.logits)[0]),
        corrupt=corrupt_metric,
        patched=to_array(torch.cat(found).view(config.n_layers, n_pos)),
        metric=f"log-probability of {answer}" if wrong is None else f"logit of {answer} less that of {wrong}",
    )


def _put(donor: Tensor, positions: Tensor) -> Callable[[Tensor], Tensor]:
    """In row i, replace the activation at positions[i] by the donor's."""

    def edit(x: Tensor) -> Tensor:
        x[torch.arange(len(positions), device=x.device), positions] = donor[positions]
        return x

    return edit


def _one_sequence(config: GPTConfig, name: str, tokens: Tokens) -> Tensor:
    checked = check_tokens(config, tokens)
    if len(checked) != 1:
        raise ValueError(f"{name} is a batch of {len(checked)} sequences: patching takes one of each")
    return checked


def _alignment(clean: list[int], corrupt: list[int], show: Callable[[int], str]) -> str:
    pairs = [("-" if a is None else show(a), "-" if b is None else show(b)) for a, b in zip_longest(clean, corrupt)]
    width = max(len("clean"), *(len(a) for a, _ in pairs))
    lines = [f"  {i:3d}  {a:{width}}  {b}{'' if a == b else '  <'}" for i, (a, b) in enumerate(pairs)]
    return "\n".join(
        [
            f"clean has {len(clean)} tokens, corrupt {len(corrupt)}: patching needs the same number, each "
            f"facing its counterpart",
            f"  pos  {'clean':{width}}  corrupt",
            *lines,
        ]
    )
