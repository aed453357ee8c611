"""The whole model: against implementations no one here wrote, and what a tap sees and can change."""

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


def qwen3_weights(model: GPT) -> dict[str, Tensor]:
    """Our weights under the names of Llama and its kin."""
    config, ours = model.config, model.state_dict()
    theirs = {
        "model.embed_tokens.weight": ours["token_embedding.weight"],
        "lm_head.weight": ours["unembedding.weight"],
        "model.norm.weight": ours["ln_final.weight"],
    }
    sizes = [heads * config.d_head for heads in (config.n_heads, config.kv_heads, config.kv_heads)]
    for i in range(config.n_layers):
        our, their = f"blocks.{i}.", f"model.layers.{i}."
        q, k, v = ours[our + "attn.qkv.weight"].split(sizes)
        gate, up = ours[our + "mlp.gate_up.weight"].chunk(2)
        parts = {
            "self_attn.q_proj": q,
            "self_attn.k_proj": k,
            "self_attn.v_proj": v,
            "self_attn.o_proj": ours[our + "attn.out.weight"],
            "mlp.gate_proj": gate,
            "mlp.up_proj": up,
            "mlp.down_proj": ours[our + "mlp.down.weight"],
            "input_layernorm": ours[our + "ln1.weight"],
            "post_attention_layernorm": ours[our + "ln2.weight"],
        }
        if config.qk_norm:
            parts["self_attn.q_norm"] = ours[our + "attn.q_norm.weight"]
            parts["self_attn.k_norm"] = ours[our + "attn.k_norm.weight"]
        theirs |= {f"{their}{name}.weight": weight for name, weight in parts.items()}
    return theirs


@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("n_kv_heads", [4, 2, 1])
def test_the_modern_switches_together_are_llama_and_qwen3(qk_norm: bool, n_kv_heads: int) -> None:
    transformers = pytest.importorskip("transformers")
    config = GPTConfig(
        **TINY,
        n_kv_heads=n_kv_heads,
        positions="rope",
        norm="rmsnorm",
        mlp="swiglu",
        qk_norm=qk_norm,
        tie_embeddings=False,
        bias=False,
    )
    kinds: dict[bool, Any] = {
        False: (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        True: (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
    }
    make_config, make_model = kinds[qk_norm]
    theirs = make_model(
        make_config(
            hidden_size=config.d_model,
            intermediate_size=config.mlp_width,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=n_kv_heads,
            head_dim=config.d_head,
            vocab_size=config.vocab_size,
            max_position_embeddings=config.context_length,
            rms_norm_eps=1e-5,
            tie_word_embeddings=False,
        )
    ).eval()
    ours, tokens = with_random_weights(config), tokens_for(config)
    theirs.load_state_dict(qwen3_weights(ours))
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), theirs(tokens).logits, atol=1e-4, rtol=0)


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


def test_dropout_is_at_work_in_training_only() -> None:
    model = GPT(GPTConfig(**TINY, dropout=0.3))
    tokens = tokens_for(model.config)
    assert not torch.equal(model(tokens), model(tokens))
    torch.manual_seed(0)
    once = model(tokens)
    torch.manual_seed(0)
    assert torch.equal(model(tokens), once)
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


def test_dropout_is_at_work_on_embeddings_and_both_branches() -> None:
    model, seen = GPT(GPTConfig(**TINY, dropout=0.3)), Seen()
    model(torch.randint(0, 65, (32, 16)), seen)
    for name in ("hook_resid_pre", "hook_attn_out", "hook_mlp_out"):
        dropped = (seen[f"blocks.0.{name}"] == 0).float().mean().item()
        assert dropped == pytest.approx(0.3, abs=0.02), name


def test_padded_rows_are_never_seen() -> None:
    torch.manual_seed(0)
    padded = with_random_weights(GPTConfig(**TINY, pad_vocab_to=64))
    plain = GPT(GPTConfig(**TINY))
    weights = padded.state_dict()
    assert len(weights["token_embedding.weight"]) == 128
    plain.load_state_dict(weights | {"token_embedding.weight": weights["token_embedding.weight"][:65]})
    tokens = tokens_for(plain.config)
    assert padded(tokens).shape == (2, 16, 65)
    torch.testing.assert_close(padded(tokens), plain(tokens), atol=1e-5, rtol=0)
    torch.testing.assert_close(padded.loss(tokens, tokens), plain.loss(tokens, tokens))


def test_soft_capped_logits_stay_below_the_cap() -> None:
    model = with_random_weights(GPTConfig(**TINY, logit_softcap=1.5))
    with torch.no_grad():
        model.token_embedding.weight.mul_(20)
        capped = model(tokens_for(model.config))
    assert 1.4 < capped.abs().max() <= 1.5


def test_more_tokens_than_the_context_are_refused() -> None:
    for positions in ("learned", "rope", "none"):
        model = GPT(GPTConfig(**TINY, positions=positions))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="17 tokens are more than context_length=16"):
            model(torch.zeros(1, 17, dtype=torch.long))


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_bf16_gives_nearly_the_same_loss_and_gradients(config: GPTConfig) -> None:
    model, tokens = GPT(config).eval(), tokens_for(config)
    exact = model.loss(tokens, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.loss(tokens, tokens)
    rough.backward()
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.02, rtol=0)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.bfloat16()(tokens).dtype == torch.bfloat16


@pytest.mark.slow
def test_it_compiles_whole_with_and_without_dropout() -> None:
    torch.compiler.reset()  # after compilations with other lengths in this process lengths would be symbols
    for config in (
        GPTConfig(**TINY, dropout=0.1),
        GPTConfig(**TINY, positions="rope", norm="rmsnorm", mlp="swiglu", qk_norm=True, n_kv_heads=2),
    ):
        model = GPT(config).eval()
        tokens = tokens_for(config)
        expected = model.loss(tokens, tokens)
        names = list(model.state_dict())
        model.compile(fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(model.loss(tokens, tokens), expected)
        model.train().loss(tokens, tokens).backward()
        assert list(model.state_dict()) == names
