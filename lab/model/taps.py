"""Reading and changing activations: how a `tap` reaches every named site of the forward pass.

A tap is any callable `x = tap(name, x)`. It is called at each named site with the activation there, and what it returns
takes its place: `x` itself where the tap only reads, another tensor where it ablates or patches. An optional method
`tap.wants(name) -> bool` says which sites it needs; without one it gets all of them. Names and shapes are
TransformerLens's; `GPT.hook_names()` lists those of a model.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Tap = Callable[[str, Tensor], Tensor]


class Scope:
    """A tap seen from inside one part of the model: sites are named relative to `prefix`."""

    def __init__(self, tap: Tap, prefix: str = "") -> None:
        self.tap = tap
        self.prefix = prefix
        self._wants: Callable[[str], bool] | None = getattr(tap, "wants", None)

    def inside(self, part: str) -> Scope:
        """The same tap, one part further in: `scope.inside("attn")` names `attn.…`."""
        return Scope(self.tap, f"{self.prefix}{part}.")

    def wants(self, name: str) -> bool:
        return self._wants is None or self._wants(self.prefix + name)

    def __call__(self, name: str, x: Tensor) -> Tensor:
        """What the tap returns for `x`. Raises ValueError where that is no tensor of the shape of `x`."""
        if not self.wants(name):
            return x
        y = self.tap(self.prefix + name, x)
        if not isinstance(y, Tensor) or y.shape != x.shape:
            got = f"a tensor of shape {list(y.shape)}" if isinstance(y, Tensor) else repr(y)
            raise ValueError(
                f"the tap returned {got} at {self.prefix}{name}, where a tensor of shape {list(x.shape)} "
                f"flows: return the activation itself, or one of its shape"
            )
        return y


def inside(tap: Scope | None, part: str) -> Scope | None:
    """`tap.inside(part)` where there is a tap."""
    return None if tap is None else tap.inside(part)


def site(tap: Scope | None, name: str, x: Tensor) -> Tensor:
    """A named site: `x` itself where there is no tap, so that the compiler sees none."""
    return x if tap is None else tap(name, x)
