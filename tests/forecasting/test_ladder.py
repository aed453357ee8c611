"""The ladder: within a tenth of the target, of the same recipe, long enough to tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from lab.forecasting.ladder import FEWEST_STEPS, SHARE, computing_parameters, ladder, narrower, rate_factor
from lab.model import GPT, GPTConfig, count_parameters, flops_per_token

SWITCHES = {
    "positions": st.sampled_from(["learned", "rope", "none"]),
    "norm": st.sampled_from(["layernorm", "rmsnorm"]),
    "mlp": st.sampled_from(["gelu", "swiglu", "relu2"]),
    "qk_norm": st.booleans(),
    "tie_embeddings": st.booleans(),
    "bias": st.booleans(),
}


@st.composite
def configs(draw: st.DrawFn) -> GPTConfig:
    """Networks of any shape a person may ask for."""
    heads = draw(st.sampled_from([1, 2, 4, 6]))
    kv = draw(st.sampled_from([None, *(n for n in range(1, heads + 1) if heads % n == 0)]))
    shape = {
        "n_layers": draw(st.integers(1, 4)),
        "n_heads": heads,
        "n_kv_heads": kv,
        "d_model": heads * draw(st.sampled_from([8, 16, 32])),
        "d_mlp": draw(st.sampled_from([None, 72])),
        "context_length": draw(st.sampled_from([16, 32])),
        "vocab_size": draw(st.integers(2, 500)),
    }
    return GPTConfig(**shape, **{name: draw(choice) for name, choice in SWITCHES.items()})


@settings(max_examples=40, deadline=None)
@given(configs(), st.integers(1, 100_000))
def test_a_ladder_costs_a_tenth_at_most(config: GPTConfig, steps: int) -> None:
    rungs = ladder(config, steps)
    whole = steps * flops_per_token(config)
    assert sum(rung.steps * flops_per_token(rung.config) for rung in rungs) <= SHARE * whole
    for rung in rungs:
        assert rung.steps >= FEWEST_STEPS
        assert (
            replace(
                rung.config,
                d_model=config.d_model,
                n_heads=config.n_heads,
                n_kv_heads=config.n_kv_heads,
                d_mlp=config.d_mlp,
            )
            == config
        )


@settings(max_examples=40, deadline=None)
@given(configs(), st.sampled_from([0.25, 0.35, 0.5]))
def test_a_narrower_network_is_one(config: GPTConfig, part: float) -> None:
    smaller = narrower(config, part)  # its own checks passed: heads divide, rotary pairs are even
    assert smaller.d_model <= config.d_model
    assert computing_parameters(smaller) <= computing_parameters(config)


@settings(max_examples=10, deadline=None)
@given(configs())
def test_parameters_and_flops_are_pytorchs_own(config: GPTConfig) -> None:
    with torch.device("meta"):
        model = GPT(config)
        tokens = torch.zeros(2, config.context_length, dtype=torch.int64)
    model.set_attention_kernel("explicit")
    assert count_parameters(config)["total"] == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as counter:
        model(tokens).sum().backward()
    assert counter.get_total_flops() == pytest.approx(flops_per_token(config) * tokens.numel(), rel=0.01)


@settings(max_examples=20, deadline=None)
@given(configs(), st.integers(20_000, 100_000))
def test_narrower_rungs_learn_at_a_higher_rate(config: GPTConfig, steps: int) -> None:
    factors = {rung.config.d_model: rate_factor(rung.config, config) for rung in ladder(config, steps)}
    by_width = [factors[width] for width in sorted(factors)]
    assert by_width == sorted(by_width, reverse=True)
    assert all(factor >= 1 for factor in by_width)


def test_a_run_too_short_for_a_ladder_has_none() -> None:
    assert ladder(GPTConfig(vocab_size=65), 300) == []
    assert len(ladder(GPTConfig(vocab_size=65), 5000)) == 4
