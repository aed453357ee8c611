"""Optimizers without PyTorch's mark for its compiler, which imports TorchDynamo and SymPy: a second before the first
step."""

from __future__ import annotations

import inspect
from typing import TypeVar

import torch

Kind = TypeVar("Kind", bound=type[torch.optim.Optimizer])
MARKED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict", "step")


def uncompiled(optimizer: Kind) -> Kind:
    """Class decorator: the methods that PyTorch marks as not to be compiled, without the mark; the update is the same.

    The mark tells a compiler to leave them alone, and calling them imports it. A fit compiles the model and never its
    optimizer. `step` is also where PyTorch switches gradients off; that stays.
    """
    for name in MARKED:
        method = inspect.unwrap(getattr(optimizer, name))
        setattr(optimizer, name, torch.no_grad()(method) if name == "step" else method)
    return optimizer
