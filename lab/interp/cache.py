"""The recorded activations of one forward pass.

`run_with_cache` says what they would take before it runs, and refuses what doesn't fit its budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from lab.interp.forward import Tokens, check_tokens, forward, plain
from lab.interp.taps import LOGITS, Chain, Names, Recorder, Site, Sites
from lab.model import GPT, GPTConfig, Tap

DEFAULT_BUDGET_BYTES = 2**30


class ActivationCache:
    """The recorded activations of one batch.

    `cache["pattern", 0]` or `cache["blocks.0.attn.hook_pattern"]` is one of them as a tensor on the model's device,
    layers also counted from the end (-1 is the last); `cache.stack("pattern")` is those of all layers. Each is a copy:
    write into it as you like. `cache.tokens` `[batch, pos]`, `cache.logits` `[batch, pos, vocab_size]`. Asking for what
    is not there raises ValueError saying why: never recorded, no such site, no such layer.
    """

    def __init__(self, sites: Sites, tokens: Tensor, activations: Mapping[str, Tensor]) -> None:
        self.sites = sites
        self._tokens = tokens
        self._activations = dict(activations)

    @property
    def config(self) -> GPTConfig:
        """The model's configuration."""
        return self.sites.config

    @property
    def tokens(self) -> Tensor:
        """What was read: int64 `[batch, pos]`, on the device of the activations."""
        return self._tokens.clone()

    @property
    def logits(self) -> Tensor:
        """What came out: `[batch, pos, vocab_size]`."""
        return self[LOGITS]

    @property
    def shape(self) -> tuple[int, int]:
        """Sequences and positions."""
        return self._tokens.shape[0], self._tokens.shape[1]

    @property
    def names(self) -> list[str]:
        """Full names of what was recorded, in the order of computation."""
        return [name for name in self.sites.names if name in self._activations]

    @property
    def nbytes(self) -> int:
        """Memory that the activations take, in bytes."""
        return sum(x.numel() * x.element_size() for x in self._activations.values())

    def __contains__(self, site: object) -> bool:
        try:
            return self.sites.one(site) in self._activations  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return False

    def __getitem__(self, site: Site) -> Tensor:
        return self._recorded(self.sites.one(site)).clone()

    def stack(self, name: str) -> Tensor:
        """One kind of activation in all layers, `[layer, …]`."""
        return torch.stack([self._recorded(self.sites.one((name, i))) for i in range(self.config.n_layers)])

    def select(self, sequences: slice = slice(None), n_pos: int | None = None) -> ActivationCache:
        """The cache of some of the sequences, or of their first `n_pos` positions alone.

        Exact, as no position depends on a later one. Shares the memory, which no caller can write to.
        """
        n_pos = self.shape[1] if n_pos is None else n_pos
        tokens = self._tokens[sequences, :n_pos]
        if not 1 <= n_pos <= self.shape[1] or not len(tokens):
            raise ValueError(
                f"the cache holds {self.shape[0]} sequences of {self.shape[1]} positions: {sequences} and "
                f"{n_pos} positions select none, or more"
            )
        kept = {}
        for name, x in self._activations.items():
            square = name.endswith(("hook_attn_scores", "hook_pattern"))
            kept[name] = x[sequences, :, :n_pos, :n_pos] if square else x[sequences, :n_pos]
        return ActivationCache(self.sites, tokens, kept)

    def _recorded(self, name: str) -> Tensor:
        if name not in self._activations:
            kept = ", ".join(self.names[:4]) + (", …" if len(self._activations) > 4 else "")
            raise ValueError(f"{name} was not recorded (this cache has {kept}): add it to names")
        return self._activations[name]


def refuse_post_norm(config: GPTConfig, what: str) -> None:
    """Raise ValueError where norms on the stream itself keep it from being a sum."""
    if config.norm_position == "post":
        raise ValueError(
            f"{what} does not apply to norm_position='post': each sum there is normalised before the next "
            f"part adds to it, so the final stream is no sum of parts. It applies to norm_position='pre'"
        )


def run_with_cache(
    model: GPT,
    tokens: Tokens,
    names: Names | None = None,
    budget_bytes: int = DEFAULT_BUDGET_BYTES,
    edit: Tap | None = None,
) -> ActivationCache:
    """Run the model once over `tokens` `[batch, pos]` (or one sequence `[pos]`) and keep what `names` ask for: by
    default every site and the logits.

    `names` as in `Sites.select`: `("pattern", "resid_post")`, `"blocks.0.*"`, a function. `edit` is a tap whose changes
    flow on and are seen. The model runs in evaluation mode, without gradients, and is left as it was.

    Raises ValueError for bad tokens, for a name that doesn't exist, before running where the activations would take
    more than `budget_bytes`, and where the model computes NaN.
    """
    model = plain(model)
    checked = check_tokens(model.config, tokens)
    sites = Sites(model)
    chosen = sites.select(names)
    _check_budget(model, chosen, checked, budget_bytes)
    device = model.token_embedding.weight.device
    recorder = Recorder(model, chosen)
    try:
        logits = forward(model, checked, recorder if edit is None else Chain(edit, recorder))
    except ValueError as error:
        if place := _first_broken(recorder.activations):
            raise ValueError(f"{error}\n{place}") from None
        raise
    activations = recorder.activations | ({LOGITS: logits} if LOGITS in chosen else {})
    return ActivationCache(sites, checked.to(device), activations)


def site_shape(config: GPTConfig, name: str, batch: int, n_pos: int) -> tuple[int, ...]:
    """The shape of the activation at a site (full name), from the configuration alone."""
    kind = name.rsplit(".", 1)[-1].removeprefix("hook_")
    if kind in ("attn_scores", "pattern"):
        return batch, config.n_heads, n_pos, n_pos
    if kind in ("q", "z", "rot_q"):
        return batch, n_pos, config.n_heads, config.d_head
    if kind in ("k", "v", "rot_k"):
        return batch, n_pos, config.kv_heads, config.d_head
    if ".mlp." in name:
        return batch, n_pos, config.mlp_width
    return batch, n_pos, config.vocab_size if name == LOGITS else config.d_model


def estimate_bytes(model: GPT, batch: int, n_pos: int, names: Names | None = None) -> int:
    """Memory that a cache of `batch` sequences of `n_pos` tokens would take, in bytes; nothing is run."""
    return sum(_bytes_by_name(model, Sites(model).select(names), batch, n_pos).values())


def _bytes_by_name(model: GPT, names: list[str], batch: int, n_pos: int) -> dict[str, int]:
    width = next(model.parameters()).element_size()
    return {name: width * math.prod(site_shape(model.config, name, batch, n_pos)) for name in names}


def _check_budget(model: GPT, names: list[str], tokens: Tensor, budget: int) -> None:
    batch, n_pos = tokens.shape
    n_bytes = _bytes_by_name(model, names, batch, n_pos)
    total = sum(n_bytes.values())
    if total <= budget:
        return
    kinds: dict[str, int] = {}
    for name, taken in n_bytes.items():
        kind = name.rsplit(".", 1)[-1]
        kinds[kind] = kinds.get(kind, 0) + taken
    largest = sorted(kinds, key=lambda kind: -kinds[kind])[:3]
    told = ", ".join(f"{kind} {_megabytes(kinds[kind])}" for kind in largest)
    raise ValueError(
        f"the activations of {batch} x {n_pos} tokens would take {_megabytes(total)}, the budget is "
        f"{_megabytes(budget)}. Largest: {told}. Leave those out with names=…, give fewer or shorter "
        f"sequences, or a larger budget_bytes"
    )


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


def _first_broken(activations: Mapping[str, Tensor]) -> str | None:
    for name, x in activations.items():
        # Masked scores are -inf by design.
        broken = x.isnan() if name.endswith("hook_attn_scores") else ~x.isfinite()
        if broken.any():
            where = broken.nonzero()[0].tolist()
            return f"the first broken activation among those recorded is {name}, at index {where}"
    return None
