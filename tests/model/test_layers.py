from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lab.model import GPT, GPTConfig
from lab.model.layers import MLP, Dropout, LayerNorm, RMSNorm, Rotary, SwiGLU, byte_dropout, rotate
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
    torch.testing.assert_close(rotate(q, *Rotary(config)(20, 10)), expected.transpose(1, 2), atol=1e-5, rtol=0)


def test_turned_products_depend_on_the_distance_alone() -> None:
    table = Rotary(GPTConfig(d_model=128, context_length=1000, positions="rope"))
    q, k = torch.randn(2, 1, 1, 4, 32)

    def product(query_position: int, key_position: int) -> Tensor:
        turned_q, turned_k = rotate(q, *table(query_position, 1)), rotate(k, *table(key_position, 1))
        return (turned_q * turned_k).sum(-1)

    torch.testing.assert_close(product(7, 3), product(997, 993), atol=1e-3, rtol=0)
    assert (product(7, 3) - product(7, 4)).abs().max() > 1e-2
    torch.testing.assert_close(rotate(q, *table(500, 1)).norm(), q.norm())


@pytest.mark.parametrize("kind", ["gelu", "gelu_tanh", "relu2", "relu"])
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
    theirs.load_state_dict({"gate_proj.weight": gate, "up_proj.weight": up, "down_proj.weight": ours.down.weight})
    torch.testing.assert_close(ours(X), theirs(X))


def test_dropout_drops_its_share_in_training_only() -> None:
    dropout = Dropout(0.25)
    ones = torch.ones(100_000)
    dropped = dropout(ones)
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(dropout.eval()(ones), ones)
    assert torch.equal(Dropout(0.0)(ones), ones)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("p", [0.01, 0.1, 0.2, 0.5, 0.9])
def test_byte_dropout_keeps_the_mean_and_drops_what_it_says(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    n = 1_000_003  # the last random number is used in part
    dropped = byte_dropout(torch.ones(n, dtype=dtype), p).double()
    k = max(1, round(256 * p))
    share, sigma = k / 256, (k / 256 * (1 - k / 256) / n) ** 0.5
    assert abs(float((dropped == 0).double().mean()) - share) < 5 * sigma
    assert float(dropped.max()) == pytest.approx(256 / (256 - k), rel=1e-2 if dtype == torch.bfloat16 else 1e-6)
    # Every byte of a random number is used: each decides with the same probability.
    eights = (dropped[: n // 8 * 8].view(-1, 8) == 0).double().mean(0)
    assert (eights - share).abs().max() < 5 * sigma * 8**0.5
    assert abs(float(torch.corrcoef(torch.stack((dropped[:-1], dropped[1:])))[0, 1])) < 0.006


def test_byte_dropout_is_decided_by_the_seed_and_the_same_on_the_way_back() -> None:
    x = torch.randn(7, 33).transpose(0, 1).requires_grad_()
    torch.manual_seed(3)
    y = byte_dropout(x, 0.25)
    torch.manual_seed(3)
    assert torch.equal(byte_dropout(x, 0.25), y)
    assert not torch.equal(byte_dropout(x, 0.25), y)
    y.backward(torch.full_like(y, 3.0))
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.where(y == 0, 0.0, 4.0))
    torch.testing.assert_close(y[y != 0], x[y != 0] * 4 / 3)


def test_dropped_infinities_are_gone() -> None:
    torch.manual_seed(0)
    assert byte_dropout(torch.full((100,), torch.inf), 0.5).unique().tolist() == [0.0, torch.inf]


def test_probabilities_that_bytes_would_distort_are_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []

    def spy(x: Tensor, p: float) -> Tensor:
        calls.append(p)
        return x

    monkeypatch.setattr("lab.model.layers.F.dropout", spy)
    for p in (0.005, 0.1, 0.2, 0.999):
        Dropout(p)(X)
    assert calls == [0.005, 0.999]
    forced = Dropout(0.2)
    forced.kernel = "torch"
    forced(X)
    assert calls[-1] == 0.2


def test_a_model_takes_its_dropout_from_where_it_is_told() -> None:
    model = GPT(GPTConfig(n_layers=1, n_heads=2, d_model=16, context_length=8, vocab_size=11, dropout=0.2))
    model.set_dropout_kernel("torch")
    assert {m.kernel for m in model.modules() if isinstance(m, Dropout)} == {"torch"}
    with pytest.raises(ValueError, match="'fast': choose one of auto, torch, bytes"):
        model.set_dropout_kernel("fast")  # type: ignore[arg-type]
