"""The whole model, against other implementations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lab.model import GPT, GPTConfig
from tests.variants import TINY, all_pairs_configs, describe

VARIANTS = all_pairs_configs(dropout=0.0, zero_init=False)


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
    model, seen = GPT(GPTConfig(**TINY, dropout=0.3)), dict[str, Tensor]()
    model(torch.randint(0, 65, (32, 16)), lambda name, x: seen.setdefault(name, x))
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
