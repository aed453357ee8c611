from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lab.model import GPT, GPTConfig, attention
from lab.model.attention import explicit_attention, sdpa_attention
from lab.model.layers import Dropout
from tests.variants import TINY, all_pairs_configs, describe

VARIANTS = all_pairs_configs(dropout=0.0, zero_init=False)


def tokens_for(config: GPTConfig, batch: int = 2) -> Tensor:
    return torch.randint(0, config.vocab_size, (batch, config.context_length))


@pytest.mark.parametrize("config", VARIANTS, ids=describe)
def test_the_kernels_are_equal_forward_and_backward(config: GPTConfig) -> None:
    model, tokens = GPT(config), tokens_for(config)
    results, gradients = [], []
    for kernel in ("sdpa", "explicit", "auto"):
        model.set_attention_kernel(kernel)
        assert model.attention_kernel == kernel
        results.append(model(tokens))
        model.zero_grad()
        results[-1].square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    for other in (1, 2):
        torch.testing.assert_close(results[other], results[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(gradients[other], gradients[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("config", VARIANTS, ids=describe)
def test_no_position_sees_what_comes_after_it(config: GPTConfig) -> None:
    model, tokens = GPT(config), tokens_for(config)
    changed = tokens.clone()
    changed[:, 10] = (changed[:, 10] + 1) % config.vocab_size
    for kernel in ("sdpa", "explicit"):
        model.set_attention_kernel(kernel)
        before, after = model(tokens), model(changed)
        torch.testing.assert_close(after[:, :10], before[:, :10], atol=1e-6, rtol=0)
        for later in range(10, config.context_length):
            assert (after[:, later] - before[:, later]).abs().max() > 1e-6


def test_auto_takes_the_explicit_kernel_where_the_fused_one_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    fused = []

    def spy(q: Tensor, k: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
        fused.append(q.dtype)
        return sdpa_attention(q, k, v, dropout)

    monkeypatch.setattr(attention, "sdpa_attention", spy)
    model = GPT(GPTConfig(**TINY, dropout=0.2))
    tokens = tokens_for(model.config)
    model(tokens)  # training, so with dropout
    with torch.autocast("cpu", torch.bfloat16):
        model.eval()(tokens)
    assert not fused
    model.eval()(tokens)
    assert fused == [torch.float32] * 2

    long = GPT(GPTConfig(**{**TINY, "context_length": 600}))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        long(tokens_for(long.config, batch=1))
    assert fused[2:] == [torch.bfloat16] * 2


def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="'flash': choose one of auto, sdpa, explicit"):
        GPT(GPTConfig(**TINY)).set_attention_kernel("flash")  # type: ignore[arg-type]


def test_attention_weights_are_dropped_in_training_by_both_kernels() -> None:
    torch.manual_seed(0)
    q = torch.randn(1, 4, 16, 8)
    v = torch.eye(16)[:, :8].expand(1, 4, 16, 8)
    for kernel in (explicit_attention, sdpa_attention):
        plain = kernel(q, q, v, Dropout(0.5).eval())
        mean = torch.stack([kernel(q, q, v, Dropout(0.5)) for _ in range(2000)]).mean(0)
        assert not torch.allclose(kernel(q, q, v, Dropout(0.5)), plain)
        torch.testing.assert_close(mean, plain, atol=0.08, rtol=0)
