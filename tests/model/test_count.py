from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lab.model import GPT, GPTConfig, count_parameters, flops_per_token, forward_flops_per_token
from tests.variants import all_pairs_configs, describe

COMPONENTS = {
    "token_embedding": ("token_embedding.",),
    "position_embedding": ("position_embedding.",),
    "attention": (".attn.qkv.", ".attn.out."),
    "mlp": (".mlp.",),
    "norms": (".ln1.", ".ln2.", "ln_final.", "_norm."),
    "unembedding": ("unembedding.",),
}


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_the_count_equals_the_models_by_component(config: GPTConfig) -> None:
    with torch.device("meta"):
        model = GPT(config)
    counted = dict.fromkeys(COMPONENTS, 0)
    for name, parameter in model.named_parameters():
        (component,) = [c for c, parts in COMPONENTS.items() if any(part in name for part in parts)]
        counted[component] += parameter.numel()
    assert count_parameters(config) == counted | {"total": sum(counted.values())}


@pytest.mark.parametrize("config", all_pairs_configs(dropout=0.0), ids=describe)
def test_flops_equal_what_pytorch_counts(config: GPTConfig) -> None:
    model = GPT(config)
    # PyTorch counts the fused backward's recomputed scores too: the explicit kernel computes nothing twice.
    model.set_attention_kernel("explicit")
    for context in (config.context_length, 4):
        tokens = torch.randint(0, config.vocab_size, (3, context))
        with FlopCounterMode(display=False) as forward:
            loss = model.loss(tokens, tokens)
        with FlopCounterMode(display=False) as backward:
            loss.backward()
        counted = forward.get_total_flops()
        assert forward_flops_per_token(config, context) * tokens.numel() == pytest.approx(counted, rel=0.01)
        counted += backward.get_total_flops()
        assert flops_per_token(config, context) * tokens.numel() == pytest.approx(counted, rel=0.01)


def test_flops_of_gpt2_small_are_the_papers() -> None:
    config = GPTConfig(n_layers=12, n_heads=12, d_model=768, context_length=1024)
    matrices = 12 * 12 * 768**2 + 50257 * 768
    assert flops_per_token(config) == 6 * matrices + 12 * 12 * 768 * 1024  # PaLM, appendix B: 6N + 12LHQT
    assert flops_per_token(config, context=1) < flops_per_token(config)
