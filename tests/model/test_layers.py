from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lab.model import GPTConfig
from lab.model.layers import MLP, Dropout, LayerNorm, RMSNorm, Rotary, SwiGLU, rotate
from lab.model.taps import Scope

X = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0)) * 3 + 1


def randomise(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (LayerNorm(32), nn.LayerNorm(32)),
        (LayerNorm(32, bias=False), nn.LayerNorm(32, bias=False)),
        (RMSNorm(32), nn.RMSNorm(32, eps=1e-5)),
    ],
)
def test_norms_equal_pytorchs_with_and_without_a_tap(ours: nn.Module, theirs: nn.Module) -> None:
    randomise(ours)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(X), theirs(X))
    torch.testing.assert_close(ours(X, Scope(lambda name, x: x)), theirs(X))


def test_normalized_is_seen_before_the_gain() -> None:
    seen: dict[str, Tensor] = {}

    def tap(name: str, x: Tensor) -> Tensor:
        seen[name] = x
        return x

    for name, norm in (("layer", LayerNorm(32)), ("rms", RMSNorm(32))):
        randomise(norm)(X, Scope(tap, f"{name}."))
    layer, rms = seen["layer.hook_normalized"], seen["rms.hook_normalized"]
    torch.testing.assert_close(layer.mean(-1), torch.zeros(2, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(layer.var(-1, correction=0), torch.ones(2, 5), atol=1e-4, rtol=0)
    torch.testing.assert_close(rms.square().mean(-1), torch.ones(2, 5), atol=1e-4, rtol=0)


def test_rotation_equals_transformers() -> None:
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    from transformers import LlamaConfig

    config = GPTConfig(n_heads=2, d_model=32, context_length=64, positions="rope", rope_base=5000.0)
    theirs = LlamaConfig(
        hidden_size=32,
        num_attention_heads=2,
        max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
    )
    q = torch.randn(1, 10, 2, 16)
    cos, sin = llama.LlamaRotaryEmbedding(theirs)(q, torch.arange(20, 30)[None])
    expected, _ = llama.apply_rotary_pos_emb(q.transpose(1, 2), q.transpose(1, 2), cos, sin)
    torch.testing.assert_close(
        rotate(q, *Rotary(config)(20, 10)), expected.transpose(1, 2), atol=1e-5, rtol=0
    )


def test_turned_products_depend_on_the_distance_alone() -> None:
    table = Rotary(GPTConfig(d_model=128, context_length=1000, positions="rope"))
    q, k = torch.randn(2, 1, 1, 4, 32)

    def product(query_position: int, key_position: int) -> Tensor:
        turned_q, turned_k = rotate(q, *table(query_position, 1)), rotate(k, *table(key_position, 1))
        return (turned_q * turned_k).sum(-1)

    torch.testing.assert_close(product(7, 3), product(997, 993), atol=1e-3, rtol=0)
    assert (product(7, 3) - product(7, 4)).abs().max() > 1e-2
    torch.testing.assert_close(rotate(q, *table(500, 1)).norm(), q.norm())


@pytest.mark.parametrize("kind", ["gelu", "gelu_tanh", "relu2"])
def test_activation_functions_equal_transformers(kind: str) -> None:
    activations = pytest.importorskip("transformers.activations").ACT2FN
    mlp = MLP(GPTConfig(d_model=32, mlp=kind))  # type: ignore[arg-type]
    theirs = activations[{"gelu_tanh": "gelu_new"}.get(kind, kind)]
    torch.testing.assert_close(mlp(X), mlp.down(theirs(mlp.up(X))), atol=1e-6, rtol=1e-5)


def test_swiglu_equals_transformers() -> None:
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    from transformers import LlamaConfig

    ours = SwiGLU(GPTConfig(d_model=32, d_mlp=48, mlp="swiglu", bias=False))
    theirs = llama.LlamaMLP(LlamaConfig(hidden_size=32, intermediate_size=48))
    gate, up = ours.gate_up.weight.chunk(2)
    theirs.load_state_dict(
        {"gate_proj.weight": gate, "up_proj.weight": up, "down_proj.weight": ours.down.weight}
    )
    torch.testing.assert_close(ours(X), theirs(X))


def test_dropout_drops_its_share_in_training_only() -> None:
    dropout = Dropout(0.25)
    ones = torch.ones(100_000)
    dropped = dropout(ones)
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(dropout.eval()(ones), ones)
    assert torch.equal(Dropout(0.0)(ones), ones)
