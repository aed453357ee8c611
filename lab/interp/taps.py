"""Taps that record and that edit, and how sites are named.

A site is named in full, `blocks.0.attn.hook_pattern`, or in short, `pattern` (in every layer) or `("pattern", 0)`.
`attn.pattern` and `hook_pattern` are short names too; where two sites share the last part, the longer one tells them
apart: `ln1.normalized`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from torch import Tensor

from lab.checks import did_you_mean
from lab.interp.forward import check_layer, plain
from lab.model import GPT, Tap

Names = str | Iterable[str] | Callable[[str], bool]
Site = str | tuple[str, int]

LOGITS = "logits"  # no site of the model, but recorded and named like one

# Sites that only some variants have, and the switch that makes them.
ONLY_WITH = {
    "pos_embed": "positions: learned",
    "rot_q": "positions: rope",
    "rot_k": "positions: rope",
    "pre_linear": "mlp: swiglu",
    "ln_final.normalized": "norm_position: pre",
}
_BLOCK = re.compile(r"blocks\.(-?\d+)\.(.+)")


class Sites:
    """The sites of one model under all their names.

    Holds names and the configuration, never the model.
    """

    def __init__(self, model: GPT) -> None:
        model = plain(model)
        self.config = model.config
        self.names = [*model.hook_names(), LOGITS]
        self._by_form: dict[str, list[tuple[int | None, str]]] = {}
        for name in self.names:
            layer, rest = _split(name)
            for form in _forms(rest):
                self._by_form.setdefault(form, []).append((layer, name))

    def select(self, names: Names | None) -> list[str]:
        """Full names, in the order of computation, of the sites that `names` ask for.

        None: all. A name: that site, or under a short name those of every layer. With `*` or `?`: every full name that
        it fits, like a file pattern. A function: every full name for which it is true. Raises ValueError where a name
        fits nothing.
        """
        if names is None:
            return list(self.names)
        if callable(names):
            chosen = {name for name in self.names if names(name)}
            if not chosen:
                raise ValueError("the names filter is true for none of this model's sites")
        else:
            asked = [names] if isinstance(names, str) else list(names)
            if not asked:
                raise ValueError("names is empty: name at least one site, or leave it out for all")
            chosen = {found for name in asked for found in self._fitting(name)}
        return [name for name in self.names if name in chosen]

    def one(self, site: Site) -> str:
        """The full name of exactly one site. Raises ValueError where it isn't one, or none."""
        name, layer = site if isinstance(site, tuple) else (site, None)
        found = self._fitting(name)
        if layer is not None:
            wanted = check_layer(self.config, layer)
            inside = [full for full in found if _split(full)[0] == wanted]
            if not inside:
                raise ValueError(f"{found[0]} stands outside the layers: name it without layer {layer}")
            found = inside
        if len(found) > 1:
            if len({_split(full)[0] for full in found}) == len(found):
                raise ValueError(f"{name!r} is in every layer: say which one, for example ({name!r}, 0)")
            raise ValueError(f"{name!r} could be any of {', '.join(found)}: give the longer name")
        return found[0]

    def _fitting(self, name: str) -> list[str]:
        if "*" in name or "?" in name:
            found = [full for full in self.names if fnmatchcase(full, name)]
            if not found:
                raise ValueError(f"{name!r} fits none of this model's sites, such as {self.names[1]}")
            return found
        layer, rest = _split(name)
        found = [full for at, full in self._by_form.get(rest, ()) if layer is None or at is not None]
        if not found:
            raise ValueError(self._unknown(name, rest))
        if layer is None:
            return found
        wanted = check_layer(self.config, layer)
        return [full for full in found if _split(full)[0] == wanted]

    def _unknown(self, name: str, rest: str) -> str:
        for absent, switch in ONLY_WITH.items():
            if rest.replace("hook_", "") in (absent, f"attn.{absent}", f"mlp.{absent}"):
                return f"this model has no {name!r}: only models with {switch} do"
        known, others = [*self._by_form, *self.names], "model.hook_names() lists what it has"
        return f"this model has no site {name!r}: {did_you_mean(name, known, others, show=str, n=3, cutoff=0.5)}"


def _split(name: str) -> tuple[int | None, str]:
    """Layer and the name inside it: `blocks.2.attn.hook_q` → 2, `attn.hook_q`; None outside the blocks."""
    match = _BLOCK.fullmatch(name)
    return (int(match[1]), match[2]) if match else (None, name)


def _forms(rest: str) -> set[str]:
    """All names of a site inside its layer: `attn.hook_q`, `attn.q`, `hook_q`, `q`."""
    last = rest.rsplit(".", 1)[-1]
    return {rest, rest.replace("hook_", ""), last, last.removeprefix("hook_")}


class Recorder:
    """A tap that keeps a copy of the activation at each site of `names`.

    `names` as in `Sites.select`; raises ValueError where one doesn't exist. After `model(tokens, recorder)`,
    `recorder.activations` has them by full name, detached, on the model's device. A copy, since some sites are views:
    the position embeddings' is the very parameter that training goes on to change.
    """

    def __init__(self, model: GPT, names: Names | None = None) -> None:
        self.activations: dict[str, Tensor] = {}
        self._names = frozenset(Sites(model).select(names)) - {LOGITS}

    def wants(self, name: str) -> bool:
        return name in self._names

    def __call__(self, name: str, x: Tensor) -> Tensor:
        if name in self._names:
            self.activations[name] = x.detach().clone()
        return x


class Edit:
    """A tap that puts another activation in the place of the one at a site.

    `edits` maps a site, `"blocks.0.attn.hook_z"` or `("z", 0)`, or a short name for that site of every layer, to a
    function from the activation there to its replacement, of the same shape. It is given a copy, so it may write into
    it. Raises ValueError where a site doesn't exist or is named twice. Logits are the result, no site to edit.
    """

    def __init__(self, model: GPT, edits: Mapping[Site, Callable[[Tensor], Tensor]]) -> None:
        sites = Sites(model)
        self._edits: dict[str, Callable[[Tensor], Tensor]] = {}
        for site, edit in edits.items():
            for name in sites.select(site) if isinstance(site, str) else [sites.one(site)]:
                if name == LOGITS:
                    raise ValueError("logits are the model's result: change them after the forward pass")
                if name in self._edits:
                    raise ValueError(f"{name} is edited twice: put both changes into one function")
                self._edits[name] = edit

    def wants(self, name: str) -> bool:
        return name in self._edits

    def __call__(self, name: str, x: Tensor) -> Tensor:
        return self._edits[name](x.clone()) if name in self._edits else x


class Chain:
    """Several taps as one: each is called with what the one before it returned."""

    def __init__(self, *taps: Tap) -> None:
        self._taps = taps

    def wants(self, name: str) -> bool:
        return any(_wants(tap, name) for tap in self._taps)

    def __call__(self, name: str, x: Tensor) -> Tensor:
        for tap in self._taps:
            if _wants(tap, name):
                x = tap(name, x)
        return x


def _wants(tap: Tap, name: str) -> bool:
    wants: Callable[[str], bool] | None = getattr(tap, "wants", None)
    return wants is None or wants(name)
