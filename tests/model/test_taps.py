"""What a tap sees and can change."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lab.model import GPT, GPTConfig
from tests.variants import TINY, all_pairs_configs, describe

VARIANTS = all_pairs_configs(dropout=0.0, zero_init=False)


class Seen(dict[str, Tensor]):
    """A tap that keeps every activation."""

    def __call__(self, name: str, x: Tensor) -> Tensor:
        self[name] = x
        return x


def with_random_weights(config: GPTConfig) -> GPT:
    """Biases and gains too: what is 0 or 1 at the start hides faults."""
    model = GPT(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.ndim == 1) / 2, std=0.1)
    return model


def tokens_for(config: GPTConfig) -> Tensor:
    return torch.randint(0, config.vocab_size, (2, config.context_length))


@pytest.mark.parametrize("config", VARIANTS, ids=describe)
def test_a_tap_is_shown_every_site_in_order_and_disturbs_nothing(config: GPTConfig) -> None:
    model, tokens, seen = GPT(config), tokens_for(config), Seen()
    plain = model(tokens)
    torch.testing.assert_close(model(tokens, seen), plain, atol=1e-5, rtol=0)
    assert list(seen) == model.hook_names()

    batch, n_pos = tokens.shape
    stream = (batch, n_pos, config.d_model)
    shapes = {
        "hook_q": (batch, n_pos, config.n_heads, config.d_head),
        "hook_k": (batch, n_pos, config.kv_heads, config.d_head),
        "hook_v": (batch, n_pos, config.kv_heads, config.d_head),
        "hook_rot_q": (batch, n_pos, config.n_heads, config.d_head),
        "hook_rot_k": (batch, n_pos, config.kv_heads, config.d_head),
        "hook_z": (batch, n_pos, config.n_heads, config.d_head),
        "hook_attn_scores": (batch, config.n_heads, n_pos, n_pos),
        "hook_pattern": (batch, config.n_heads, n_pos, n_pos),
        "hook_pre": (batch, n_pos, config.mlp_width),
        "hook_pre_linear": (batch, n_pos, config.mlp_width),
        "hook_post": (batch, n_pos, config.mlp_width),
    }
    for name, activation in seen.items():
        assert activation.shape == shapes.get(name.split(".")[-1], stream), name


def test_what_a_variant_does_not_have_it_declares_absent() -> None:
    def names(**switches: Any) -> set[str]:
        return {name.split(".")[-1] for name in GPT(GPTConfig(**TINY, **switches)).hook_names()}

    plain = names()
    assert {"hook_embed", "hook_pos_embed", "hook_resid_mid", "hook_pattern", "hook_normalized"} <= plain
    assert names(positions="rope") - plain == {"hook_rot_q", "hook_rot_k"}
    assert plain - names(positions="none") == {"hook_pos_embed"}
    assert names(mlp="swiglu") - plain == {"hook_pre_linear"}
    assert "ln_final.hook_normalized" not in GPT(GPTConfig(**TINY, norm_position="post")).hook_names()


@pytest.mark.parametrize("config", VARIANTS, ids=describe)
def test_the_activations_mean_what_their_names_say(config: GPTConfig) -> None:
    model, seen = GPT(config), Seen()
    logits = model(tokens_for(config), seen)

    stream = seen["hook_embed"] + seen.get("hook_pos_embed", torch.zeros(()))
    for i in range(config.n_layers):
        block = f"blocks.{i}."
        torch.testing.assert_close(seen[block + "hook_resid_pre"], stream, atol=1e-5, rtol=0)
        pattern, scores = seen[block + "attn.hook_pattern"], seen[block + "attn.hook_attn_scores"]
        torch.testing.assert_close(pattern.sum(-1), torch.ones(pattern.shape[:-1]))
        above = torch.ones(pattern.shape[-2:]).triu(1).bool()
        assert (pattern[..., above] == 0).all()
        assert (scores[..., above] == -torch.inf).all()
        torch.testing.assert_close(pattern, scores.softmax(-1))
        if config.positions == "rope":
            q, k = seen[block + "attn.hook_rot_q"], seen[block + "attn.hook_rot_k"]
        else:
            q, k = seen[block + "attn.hook_q"], seen[block + "attn.hook_k"]
        group = config.n_heads // config.kv_heads
        if config.positions == "rope" or not config.qk_norm:
            product = torch.einsum("bqhd,bkhd->bhqk", q, k.repeat_interleave(group, 2)) / config.d_head**0.5
            torch.testing.assert_close(scores[..., ~above], product[..., ~above], atol=1e-4, rtol=1e-4)
        v = seen[block + "attn.hook_v"].repeat_interleave(group, 2)
        z = torch.einsum("bhqk,bkhd->bqhd", pattern, v)
        torch.testing.assert_close(seen[block + "attn.hook_z"], z, atol=1e-5, rtol=0)
        if config.norm_position == "pre":
            stream = stream + seen[block + "hook_attn_out"]
            torch.testing.assert_close(seen[block + "hook_resid_mid"], stream, atol=1e-5, rtol=0)
            stream = stream + seen[block + "hook_mlp_out"]
        else:
            stream = seen[block + "hook_resid_post"]
        torch.testing.assert_close(seen[block + "hook_resid_post"], stream, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.unembed(stream), logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("config", VARIANTS, ids=describe)
def test_what_a_tap_returns_flows_on_from_every_site(config: GPTConfig) -> None:
    model, tokens = with_random_weights(config), tokens_for(config)
    plain = model(tokens)
    for site in model.hook_names():

        def disturb(name: str, x: Tensor, site: str = site) -> Tensor:
            return x + torch.randn_like(x) if name == site else x

        difference = (model(tokens, disturb) - plain).abs().max()
        assert difference > 1e-5, f"a change at {site} has no effect"
        assert difference.isfinite()


def test_a_tap_is_asked_only_for_what_it_wants() -> None:
    class Picky(Seen):
        def wants(self, name: str) -> bool:
            return name.endswith("hook_pattern") and name.startswith("blocks.1")

    model = GPT(GPTConfig(**TINY))
    seen, everything, tokens = Picky(), Seen(), tokens_for(model.config)
    model(tokens, seen)
    model(tokens, everything)
    assert list(seen) == ["blocks.1.attn.hook_pattern"]
    torch.testing.assert_close(seen["blocks.1.attn.hook_pattern"], everything["blocks.1.attn.hook_pattern"])


def test_an_ablated_head_adds_nothing() -> None:
    model = with_random_weights(GPTConfig(**TINY, bias=False))
    tokens, seen = tokens_for(model.config), Seen()

    def without_head_2(name: str, x: Tensor) -> Tensor:
        x = seen(name, x)
        if name == "blocks.0.attn.hook_z":
            x = x.clone()
            x[:, :, 2] = 0
        return x

    model(tokens, without_head_2)
    columns = model.blocks[0].attn.out.weight.clone()  # type: ignore[union-attr, operator]
    columns[:, 16:24] = 0
    expected = seen["blocks.0.attn.hook_z"].flatten(2) @ columns.T
    torch.testing.assert_close(seen["blocks.0.hook_attn_out"], expected, atol=1e-5, rtol=0)


def test_a_tap_that_returns_no_activation_is_told_so() -> None:
    model = GPT(GPTConfig(**TINY))
    with pytest.raises(ValueError, match=r"returned None at hook_embed, .*\[2, 16, 32\]"):
        model(tokens_for(model.config), lambda name, x: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match=r"shape \[2, 16, 1\] at hook_embed"):
        model(tokens_for(model.config), lambda name, x: x[..., :1])


def test_the_weights_know_nothing_of_taps_and_kernels() -> None:
    for config in VARIANTS:
        model = GPT(config)
        before = {name: weight.clone() for name, weight in model.state_dict().items()}
        model(tokens_for(config), Seen())
        model.set_attention_kernel("explicit")
        after = model.state_dict()
        assert list(before) == list(after) == [name for name, _ in model.named_parameters()]
        assert all(torch.equal(before[name], after[name]) for name in before)
