from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lab.model import GPT, GPTConfig, KVCache
from tests.variants import TINY, all_pairs_configs, describe

VARIANTS = all_pairs_configs(dropout=0.0, zero_init=False)


def tokens_for(config: GPTConfig, batch: int = 2) -> Tensor:
    return torch.randint(0, config.vocab_size, (batch, config.context_length))


@pytest.mark.parametrize("config", VARIANTS, ids=describe)
def test_decoding_with_a_cache_gives_the_same_logits(config: GPTConfig) -> None:
    model, tokens = GPT(config), tokens_for(config)
    for kernel in ("sdpa", "explicit"):
        model.set_attention_kernel(kernel)
        with torch.no_grad():
            whole, cache = model(tokens), model.new_cache(2)
            # A prompt, a second piece of several tokens, then one by one.
            parts = [model(tokens[:, :5], cache=cache), model(tokens[:, 5:9], cache=cache)]
            parts += [model(tokens[:, i : i + 1], cache=cache) for i in range(9, config.context_length)]
        assert cache.length == config.context_length
        torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-4, rtol=0)


def test_a_rewound_cache_forgets() -> None:
    model = GPT(GPTConfig(**TINY, positions="rope"))
    tokens = tokens_for(model.config, batch=1)
    with torch.no_grad():
        cache = model.new_cache(1)
        model(tokens, cache=cache)
        cache.rewind(4)
        other = tokens.flip(1)[:, 4:8]
        continued = model(other, cache=cache)
        fresh = model(torch.cat((tokens[:, :4], other), 1))[:, 4:]
    assert cache.length == 8
    torch.testing.assert_close(continued, fresh, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="rewind the cache to 9: it holds 8"):
        cache.rewind(9)


def test_a_full_or_foreign_cache_is_refused_and_left_as_it_was() -> None:
    model = GPT(GPTConfig(**TINY))
    tokens = tokens_for(model.config)
    with torch.no_grad():
        cache = model.new_cache(2, capacity=8)
        model(tokens[:, :6], cache=cache)
        with pytest.raises(ValueError, match="cache is full: it holds 8 positions, 6 are taken and 3 more"):
            model(tokens[:, :3], cache=cache)
        with pytest.raises(ValueError, match="batch of 2 sequences, the tokens are a batch of 1"):
            model(tokens[:1, :1], cache=cache)
    assert cache.length == 6
    for capacity in (0, 17):
        with pytest.raises(ValueError, match=f"capacity={capacity}.*context_length=16"):
            model.new_cache(1, capacity=capacity)


def test_the_cache_is_in_what_the_model_computes_in() -> None:
    model = GPT(GPTConfig(**TINY, n_kv_heads=2))
    assert model.new_cache(1).keys.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        cache = model.new_cache(3, capacity=5)
    assert isinstance(cache, KVCache)
    assert cache.keys.dtype == torch.bfloat16
    assert cache.keys.numel() == cache.values.numel() == 2 * 3 * 2 * 5 * 8
