"""The activations of one forward pass."""

from __future__ import annotations

import pytest
import torch

from lab.interp import estimate_bytes, run_with_cache
from lab.interp.cache import site_shape
from lab.model import GPT, GPTConfig
from tests.interp.models import lively, random_tokens
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)
VARIANTS = pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)


@VARIANTS
def test_what_it_will_take_is_known_beforehand(config: GPTConfig) -> None:
    model = lively(config)
    cache = run_with_cache(model, random_tokens(config))
    assert cache.names == [*model.hook_names(), "logits"]
    assert {name: tuple(cache[name].shape) for name in cache.names} == {
        name: site_shape(config, name, 2, 12) for name in cache.names
    }
    assert cache.nbytes == estimate_bytes(model, 2, 12)


def test_a_cache_over_its_budget_is_refused_before_running(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lively(CONFIG)
    tokens = random_tokens(CONFIG)

    def forward(*args: object) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(GPT, "forward", forward)
    size = estimate_bytes(model, 2, 12)
    with pytest.raises(ValueError, match=rf"2 x 12 tokens would take {size / 1e6:.1f} MB.*Leave those out") as caught:
        run_with_cache(model, tokens, budget_bytes=size - 1)
    assert "hook_pre" in str(caught.value)  # among the largest
    with pytest.raises(AssertionError):
        run_with_cache(model, tokens, budget_bytes=size)


def test_the_largest_are_named_to_be_left_out() -> None:
    model = GPT(GPTConfig(n_layers=2, n_heads=8, d_model=16, context_length=256, vocab_size=65))
    tokens = torch.zeros(8, 256, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"Largest: hook_attn_scores 33.6 MB, hook_pattern 33.6 MB"):
        run_with_cache(model, tokens, budget_bytes=2**24)
    assert run_with_cache(model, tokens, "resid_post", budget_bytes=2**24).names


def test_the_default_budget_refuses_what_would_fill_a_laptop() -> None:
    model = GPT(GPTConfig(n_layers=12, n_heads=12, d_model=24, context_length=1024, vocab_size=65))
    with pytest.raises(ValueError, match=r"the budget is 1,073.7 MB"):
        run_with_cache(model, torch.zeros(1, 1024, dtype=torch.int64))


def test_sites_are_had_by_any_of_their_names() -> None:
    cache = run_with_cache(lively(CONFIG), random_tokens(CONFIG))
    pattern = cache["blocks.1.attn.hook_pattern"]
    for site in (("pattern", 1), ("pattern", -1), ("attn.hook_pattern", 1), "blocks.-1.attn.hook_pattern"):
        assert torch.equal(cache[site], pattern)  # type: ignore[index]
        assert site in cache
    assert torch.equal(cache.stack("pattern")[1], pattern)
    assert torch.equal(cache.logits, cache["logits"])


@pytest.mark.parametrize(
    ("site", "said"),
    [
        (("pattern", 3), "layer 3: there are 2, from 0 to 1"),
        (("patern", 0), "did you mean pattern"),
        (("q", 0), r"blocks.0.attn.hook_q was not recorded \(this cache has blocks.0.attn.hook_pattern"),
        ("logits", "logits was not recorded"),
    ],
)
def test_what_is_not_there_is_refused(site: object, said: str) -> None:
    cache = run_with_cache(lively(CONFIG), random_tokens(CONFIG), "pattern")
    with pytest.raises(ValueError, match=said):
        cache[site]  # type: ignore[index]
    assert site not in cache


def test_nobody_can_write_into_a_cache() -> None:
    mine = random_tokens(CONFIG)
    cache = run_with_cache(lively(CONFIG), mine)
    before = {name: cache[name].clone() for name in cache.names}
    tokens = cache.tokens.clone()
    part = cache.select(slice(0, 1), 5)
    for handed_out in (*(cache[name] for name in cache.names), *(part[name] for name in part.names)):
        handed_out.fill_(7)
    cache.stack("z").fill_(7)
    cache.tokens.fill_(7)
    mine.fill_(7)
    assert all(torch.equal(cache[name], before[name]) for name in cache.names)
    assert torch.equal(cache.tokens, tokens)


@VARIANTS
def test_the_first_positions_of_a_cache_are_those_of_a_shorter_text(config: GPTConfig) -> None:
    model = lively(config)
    tokens = random_tokens(config, batch=3)
    part = run_with_cache(model, tokens).select(slice(1, None), 7)
    alone = run_with_cache(model, tokens[1:, :7])
    assert part.shape == (2, 7)
    assert torch.equal(part.tokens, alone.tokens)
    for name in alone.names:
        torch.testing.assert_close(part[name], alone[name], atol=1e-4, rtol=1e-4)


def test_selecting_nothing_is_refused() -> None:
    cache = run_with_cache(lively(CONFIG), random_tokens(CONFIG))
    for sequences, n_pos in ((slice(5, 6), 3), (slice(None), 13), (slice(None), 0)):
        with pytest.raises(ValueError, match="2 sequences of 12 positions"):
            cache.select(sequences, n_pos)
