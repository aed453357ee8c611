"""The cache of keys and values for decoding."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.model.config import GPTConfig


class KVCache:
    """The keys and values of the positions seen so far, so that decoding computes each position once.

    `model.forward(tokens, cache=cache)` appends: first the prompt, then token by token. Costs 2 · n_layers · batch ·
    capacity · kv_heads · d_head numbers, allocated once.
    """

    def __init__(
        self, config: GPTConfig, batch_size: int, capacity: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        shape = (config.n_layers, batch_size, config.kv_heads, capacity, config.d_head)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.length = 0

    @property
    def capacity(self) -> int:
        """The most positions it can hold."""
        return self.keys.shape[3]

    def check_room(self, batch_size: int, n_new: int) -> None:
        """Raise ValueError where `n_new` positions of `batch_size` sequences can't be appended."""
        if batch_size != self.keys.shape[1]:
            raise ValueError(
                f"the cache was made for a batch of {self.keys.shape[1]} sequences, the tokens are a batch "
                f"of {batch_size}: make one with new_cache({batch_size})"
            )
        if self.length + n_new > self.capacity:
            raise ValueError(
                f"the cache is full: it holds {self.capacity} positions, {self.length} are taken and {n_new} "
                f"more were given. rewind() it and prefill with the last tokens, or make it larger (at most "
                f"context_length)"
            )

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store one layer's new keys and values `[batch, kv_head, new, d_head]` and return all so far."""
        end = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def advance(self, n_new: int) -> None:
        """Count `n_new` positions as seen; the model calls it when every layer has appended."""
        self.length += n_new

    def rewind(self, length: int = 0) -> None:
        """Forget all positions from `length` on. Raises ValueError where there are not that many."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot rewind the cache to {length}: it holds {self.length} positions")
        self.length = length
