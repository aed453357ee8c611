"""Which optimizer, with which settings for which parameters; learning rates, clipping and resuming."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from lab.model.attention import Attention
from lab.model.layers import SwiGLU
from lab.training.levers import best_fused
from lab.training.machine import native_bf16
from lab.training.muon import Muon, Scale
from lab.training.uncompiled import uncompiled

Name = Literal["adamw", "muon"]

HIDDEN = "blocks."  # prefix of parameters between activations and activations; the others touch the vocabulary


@dataclass
class OptimizerConfig:
    """The optimizer and its settings; raises ValueError naming every bad one.

    Args:
        name: adamw (Loshchilov & Hutter 2019), or muon (Jordan et al. 2024) for the blocks' matrices, with
            AdamW for embeddings, head, gains and biases.
        lr: AdamW's learning rate at its peak; the schedule multiplies it.
        betas: AdamW's decay rates of the averages of gradient and squared gradient.
        weight_decay: Decoupled, of everything with two dimensions or more (as nanoGPT); gains and biases don't decay.
        eps: AdamW's, added to the root of the squared average.
        clip: The global gradient norm above which gradients are scaled down to it; 0 or None: never.
        fused: One kernel for AdamW's whole update. None: where the device has it.
        muon_lr: Muon's learning rate at its peak.
        muon_momentum: Decay rate of Muon's average of gradients.
        muon_nesterov: Look ahead: mix the gradient once more into the average.
        muon_scale: original suits a rate of about 0.02 at every width; match_rms_adamw suits AdamW's rates.
        newton_schulz_steps: Iterations that make an update orthogonal.
    """

    name: Name = "adamw"
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    eps: float = 1e-8
    clip: float | None = 1.0
    fused: bool | None = None
    muon_lr: float = 0.02
    muon_momentum: float = 0.95
    muon_nesterov: bool = True
    muon_scale: Scale = "original"
    newton_schulz_steps: int = 5

    def __post_init__(self) -> None:
        above_0 = "give a number above 0"
        checks = {
            "name": (self.name in get_args(Name), f"choose one of {', '.join(get_args(Name))}"),
            "lr": (0 < self.lr < math.inf, above_0),
            "betas": (
                len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
                "give two numbers, at least 0 and below 1, as [0.9, 0.95]",
            ),
            "weight_decay": (0 <= self.weight_decay < math.inf, "give 0 (none) or more, for example 0.1"),
            "eps": (0 < self.eps < math.inf, above_0),
            "clip": (
                self.clip is None or self.clip >= 0,
                "give a norm, for example 1.0, or 0 for no clipping",
            ),
            "muon_lr": (0 < self.muon_lr < math.inf, above_0),
            "muon_momentum": (0 <= self.muon_momentum < 1, "give a number, at least 0 and below 1"),
            "muon_scale": (self.muon_scale in get_args(Scale), f"choose one of {', '.join(get_args(Scale))}"),
            "newton_schulz_steps": (self.newton_schulz_steps >= 1, "give at least 1; usual is 5"),
        }
        problems = [
            f"optimizer.{name} is {getattr(self, name)!r}: {remedy}"
            for name, (fine, remedy) in checks.items()
            if not fine
        ]
        if problems:
            raise ValueError("\n".join(problems))
        self.betas = (float(self.betas[0]), float(self.betas[1]))

    def learning_rates(self) -> dict[str, float]:
        """The peak learning rates by who uses them, the matrices' first."""
        return {"muon": self.muon_lr, "adamw": self.lr} if self.name == "muon" else {"adamw": self.lr}

    def unused(self) -> list[str]:
        """Settings away from their defaults that this optimizer has no use for, one sentence each."""
        if self.name == "muon":
            return []
        return [
            f"optimizer.{f.name} ({getattr(self, f.name)}) has no effect: name is {self.name}"
            for f in fields(self)
            if f.name.startswith(("muon_", "newton_")) and getattr(self, f.name) != f.default
        ]


@uncompiled
class AdamW(torch.optim.AdamW):
    """PyTorch's."""


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """One optimizer over all parameters that learn; the device is that of the parameters.

    Its groups, matrices first, carry `kind` ("adamw" or "muon"), a readable `name` and `base_lr`, the peak of
    their learning rate. Loading the state of another optimizer raises ValueError saying so.
    """
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    device = next(iter(parameters.values())).device.type
    names = {name: _group_of(name, p, config.name) for name, p in parameters.items()}
    settings = _settings(config, device)
    groups = [
        {**settings[group], "name": group, "params": [p for n, p in parameters.items() if names[n] == group]}
        for group in settings
        if group in names.values()
    ]
    optimizer: torch.optim.Optimizer
    if config.name == "muon":
        packed = _packed_rows(model)
        for group in groups:
            if group["kind"] == "muon":
                group["splits"] = [
                    packed.get(n, (p.shape[0],)) for n, p in parameters.items() if names[n] == group["name"]
                ]
        optimizer = Muon(groups, newton_schulz_dtype=newton_schulz_dtype(device))
    else:
        # `fused` comes with the groups: given to AdamW itself it would leave unscaling fp16 gradients to the
        # kernel, and they would be clipped while still scaled.
        optimizer = AdamW(groups)
    optimizer.register_load_state_dict_pre_hook(_refuse_another_optimizer)
    return optimizer


def set_lr(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Every group's learning rate becomes `factor` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


def adopt_hyperparameters(optimizer: torch.optim.Optimizer, config: OptimizerConfig) -> None:
    """After an old state was loaded, let the configuration's learning rates, decay, betas, … win over the
    stored ones.

    The averages stay; each group's learning rate is its peak until `set_lr`.
    """
    for group in optimizer.param_groups:
        device = group["params"][0].device
        group.update(_settings(config, device.type)[group["name"]])
        for p in group["params"] if group["kind"] == "adamw" else ():
            if "step" in optimizer.state[p]:  # counted on the device by the fused kernel only
                on = device if group["fused"] else "cpu"
                optimizer.state[p]["step"] = optimizer.state[p]["step"].to(on)


def grad_norm_and_clip(parameters: Iterable[Tensor], max_norm: float | None) -> Tensor:
    """The global norm of all gradients before clipping, left on the device as a tensor; clips in place.

    Gradients of a norm above `max_norm` are scaled down to it (Pascanu et al. 2013); 0 or None only measures.
    """
    parameters = [p for p in parameters if p.grad is not None]
    if max_norm:
        return nn.utils.clip_grad_norm_(parameters, max_norm)
    return nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def newton_schulz_dtype(device: str) -> torch.dtype:
    """bf16 on a GPU and on CPUs that multiply it natively, else fp32: the iteration is all matrix
    products.
    """
    return torch.float32 if device == "cpu" and native_bf16() is None else torch.bfloat16


def _group_of(name: str, parameter: Tensor, optimizer: Name) -> str:
    if parameter.ndim < 2:
        return "gains and biases"
    if optimizer == "adamw":
        return "matrices"
    return "hidden matrices" if name.startswith(HIDDEN) and parameter.ndim == 2 else "embeddings and head"


def _settings(config: OptimizerConfig, device: str) -> dict[str, dict[str, Any]]:
    """What each group is set to, by its name; the order is that of the optimizer's groups."""
    fused = best_fused(device)[0] if config.fused is None else config.fused
    adamw = {"kind": "adamw", "lr": config.lr, "base_lr": config.lr, "betas": config.betas, "eps": config.eps}
    adamw |= {"fused": fused}
    decayed, undecayed = {**adamw, "weight_decay": config.weight_decay}, {**adamw, "weight_decay": 0.0}
    if config.name == "adamw":
        return {"matrices": decayed, "gains and biases": undecayed}
    muon = {
        "kind": "muon",
        "lr": config.muon_lr,
        "base_lr": config.muon_lr,
        "weight_decay": config.weight_decay,
        "momentum": config.muon_momentum,
        "nesterov": config.muon_nesterov,
        "scale": config.muon_scale,
        "newton_schulz_steps": config.newton_schulz_steps,
    }
    return {"hidden matrices": muon, "embeddings and head": decayed, "gains and biases": undecayed}


def _packed_rows(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Weights that hold several matrices above one another, by name: the rows of each."""
    packed: dict[str, tuple[int, ...]] = {}
    for name, module in model.named_modules():
        if isinstance(module, Attention):
            packed[f"{name}.qkv.weight"] = tuple(heads * module.d_head for heads in module.split_sizes)
        elif isinstance(module, SwiGLU):
            packed[f"{name}.gate_up.weight"] = (module.gate_up.out_features // 2,) * 2
    return packed


def _refuse_another_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    stored = [(group.get("name"), len(group["params"])) for group in state["param_groups"]]
    ours = [(group["name"], len(group["params"])) for group in optimizer.param_groups]
    if stored != ours:
        raise ValueError(
            f"the stored optimizer state is for {_describe(stored)}; this optimizer has {_describe(ours)}:"
            " resume with the optimizer and the model that the run began with, or start a new run"
        )


def _describe(groups: list[tuple[Any, int]]) -> str:
    return ", ".join(f"{count} {name or 'unnamed parameters'}" for name, count in groups)
