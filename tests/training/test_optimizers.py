"""Parameter groups, learning rates, clipping, resuming."""

from __future__ import annotations

import copy
import math
from typing import Any, get_args

import pytest
import torch
from lightning.fabric.plugins.precision.amp import _optimizer_handles_unscaling
from torch import Tensor, nn

from lab.model import GPT, GPTConfig
from lab.training.muon import Muon, Scale
from lab.training.optimizers import (
    Name,
    OptimizerConfig,
    adopt_hyperparameters,
    build_optimizer,
    grad_norm_and_clip,
    newton_schulz_dtype,
    set_lr,
)
from tests.variants import TINY, all_pairs_configs, describe

NAMES: tuple[Name, ...] = get_args(Name)


def tiny(**settings: Any) -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(**{**TINY, **settings}))


def tokens_of(model: GPT) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(model.config.vocab_size, (2, model.config.context_length), generator=generator)


def train(model: GPT, optimizer: torch.optim.Optimizer, steps: int, clip: float | None = 1.0) -> float:
    tokens = tokens_of(model)
    loss = torch.zeros(())
    for _ in range(steps):
        loss = model.loss(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        grad_norm_and_clip(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
    return float(loss.detach())


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_in_one_group_and_only_matrices_decay(name: Name, config: GPTConfig) -> None:
    model = GPT(config)
    optimizer = build_optimizer(model, OptimizerConfig(name=name, weight_decay=0.3))
    grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    names = {id(p): n for n, p in model.named_parameters()}
    for group in optimizer.param_groups:
        for p in group["params"]:
            assert group["weight_decay"] == (0.3 if p.ndim >= 2 else 0.0)
            hidden = p.ndim == 2 and names[id(p)].startswith("blocks.")
            assert (group["kind"] == "muon") == (name == "muon" and hidden)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mlp", ["gelu", "swiglu"])
def test_training_lowers_the_loss(name: Name, mlp: str) -> None:
    model = tiny(mlp=mlp, n_kv_heads=2)
    optimizer = build_optimizer(model, OptimizerConfig(name=name, lr=3e-3))
    first = train(model, optimizer, 1)
    assert train(model, optimizer, 30) < first - 1


def test_no_two_optimizers_and_no_two_scales_are_alike() -> None:
    configs = [OptimizerConfig(name=name) for name in NAMES if name != "muon"]
    configs += [OptimizerConfig(name="muon", muon_scale=scale) for scale in get_args(Scale)]
    losses = {train(model, build_optimizer(model, config), 3) for config in configs if (model := tiny())}
    assert len(losses) == len(configs)


def test_queries_keys_and_values_are_orthogonalised_apart() -> None:
    model = tiny(n_kv_heads=2, mlp="swiglu", d_mlp=40)
    optimizer = build_optimizer(model, OptimizerConfig(name="muon"))
    assert isinstance(optimizer, Muon)
    group = optimizer.param_groups[0]
    splits = {id(p): rows for p, rows in zip(group["params"], group["splits"], strict=True)}
    found = {n: splits[id(p)] for n, p in model.named_parameters() if n.startswith("blocks.0") and id(p) in splits}
    assert found == {
        "blocks.0.attn.qkv.weight": (32, 16, 16),
        "blocks.0.attn.out.weight": (32,),
        "blocks.0.mlp.gate_up.weight": (40, 40),
        "blocks.0.mlp.down.weight": (32,),
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_factor_scales_every_groups_own_rate(name: Name) -> None:
    config = OptimizerConfig(name=name, lr=1e-3, muon_lr=0.05)
    optimizer = build_optimizer(tiny(), config)
    set_lr(optimizer, 0.25)
    rates = [group["lr"] for group in optimizer.param_groups]
    adamw = [pytest.approx(0.25e-3)] * 2
    assert rates == ([pytest.approx(0.0125), *adamw] if name == "muon" else adamw)
    assert next(iter(config.learning_rates().values())) == optimizer.param_groups[0]["base_lr"]


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_wins_over_the_loaded_state(name: Name) -> None:
    old = tiny()
    optimizer = build_optimizer(old, OptimizerConfig(name=name, lr=1e-3, fused=False))
    train(old, optimizer, 3)
    new = copy.deepcopy(old)
    config = OptimizerConfig(name=name, lr=5e-4, betas=(0.8, 0.9), weight_decay=0.0, muon_lr=0.01, fused=True)
    resumed = build_optimizer(new, config)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert resumed.param_groups[-1]["base_lr"] == 1e-3
    adopt_hyperparameters(resumed, config)
    fresh = build_optimizer(copy.deepcopy(old), config)
    for group, wanted in zip(resumed.param_groups, fresh.param_groups, strict=True):
        assert {k: v for k, v in group.items() if k != "params"} == {k: v for k, v in wanted.items() if k != "params"}
    for p, q in zip(old.parameters(), new.parameters(), strict=True):
        for key, value in optimizer.state[p].items():
            assert torch.equal(value, resumed.state[q][key])
    train(new, resumed, 1)


def test_the_state_of_another_optimizer_is_refused() -> None:
    stored = build_optimizer(tiny(), OptimizerConfig(name="adamw")).state_dict()
    muon = build_optimizer(tiny(), OptimizerConfig(name="muon"))
    with pytest.raises(ValueError, match=r"for 10 matrices, .*has 8 hidden matrices, 2 embeddings and head"):
        muon.load_state_dict(stored)


def gradients(scale: float) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(2)
    weights = [nn.Parameter(torch.zeros(shape)) for shape in ((4, 5), (7,), (2, 2))]
    for weight in weights[:2]:
        weight.grad = scale * torch.randn(weight.shape, generator=generator)
    return weights


def test_the_norm_is_the_one_before_clipping() -> None:
    weights = gradients(10.0)
    norm = math.sqrt(sum(float((w.grad**2).sum()) for w in weights if w.grad is not None))
    assert float(grad_norm_and_clip(weights, 1.0)) == pytest.approx(norm)
    assert float(grad_norm_and_clip(weights, 1.0)) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("clip", [None, 0, 1e9])
def test_without_a_limit_gradients_stay(clip: float | None) -> None:
    weights, same = gradients(10.0), gradients(10.0)
    assert float(grad_norm_and_clip(iter(weights), clip)) > 1
    for a, b in zip(weights[:2], same[:2], strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert torch.equal(a.grad, b.grad)


@pytest.mark.parametrize("name", NAMES)
def test_scaled_gradients_are_clipped_unscaled(name: Name) -> None:
    """With a fused AdamW a gradient scaler would leave the scale in until after clipping."""
    scaled, plain = tiny(), tiny()
    optimizer = build_optimizer(scaled, OptimizerConfig(name=name, fused=True))
    assert not _optimizer_handles_unscaling(optimizer)  # so Lightning unscales before the clipping hook
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    tokens = tokens_of(scaled)
    for _ in range(2):
        scaler.scale(scaled.loss(tokens[:, :-1], tokens[:, 1:])).backward()
        scaler.unscale_(optimizer)
        grad_norm_and_clip(scaled.parameters(), 0.1)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    train(plain, build_optimizer(plain, OptimizerConfig(name=name, fused=True)), 2, clip=0.1)
    for a, b in zip(scaled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_frozen_parameters_are_left_out() -> None:
    model = tiny()
    model.token_embedding.requires_grad_(False)
    optimizer = build_optimizer(model, OptimizerConfig())
    grouped = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert id(model.token_embedding.weight) not in grouped


def test_newton_schulz_in_bf16_where_it_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.training import optimizers

    monkeypatch.setattr(optimizers, "native_bf16", lambda: None)
    assert newton_schulz_dtype("cpu") == torch.float32
    assert newton_schulz_dtype("cuda") == torch.bfloat16
    monkeypatch.setattr(optimizers, "native_bf16", lambda: "AMX")
    assert newton_schulz_dtype("cpu") == torch.bfloat16


def test_every_bad_setting_is_named_at_once() -> None:
    bad: dict[str, Any] = {
        "name": "sgd",
        "lr": 0.0,
        "betas": (0.9, 1.0),
        "weight_decay": -0.1,
        "eps": 0.0,
        "clip": -1.0,
        "muon_lr": math.nan,
        "muon_momentum": 1.0,
        "muon_scale": "none",
        "newton_schulz_steps": 0,
    }
    with pytest.raises(ValueError, match=r"optimizer\.name is 'sgd': choose one of adamw, muon") as caught:
        OptimizerConfig(**bad)
    assert [line.split(" ")[0] for line in str(caught.value).splitlines()] == [f"optimizer.{name}" for name in bad]


def test_settings_without_effect_are_said() -> None:
    assert OptimizerConfig(muon_lr=0.1).unused() == ["optimizer.muon_lr (0.1) has no effect: name is adamw"]
    assert not OptimizerConfig(name="muon", muon_lr=0.1).unused()
