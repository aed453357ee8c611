"""What happens inside one part of a model: its activations in the order of computation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field
from torch import Tensor

from analysis_app.analyses.anatomy.numbers import PICTURE, Numbers, numbers_of
from analysis_app.analyses.anatomy.parts import RESIDUAL, Part, draw_parts
from analysis_app.analyses.declaration import Answer, analysis
from analysis_app.analyses.text import read_text
from analysis_app.library import NotFoundError, Opened
from lab import interp
from lab.interp.forward import blocks
from lab.model.gpt import GPT


@dataclass(frozen=True)
class Step:
    """One activation inside a part. `values` `[number, pos]`, at most `PICTURE` of its numbers; of scores and
    patterns all, `[query, key]`, with masked scores at -inf."""

    title: str
    site: str | None
    shape: list[int]
    axes: tuple[str, ...]
    head: int | None
    square: bool
    numbers: Numbers


@analysis("anatomy_part")
def inside(
    opened: Opened,
    text: str | None,
    part: Annotated[str, Field(description="its key, such as `embed`, `ln1`, `attn`, `mlp`, `logits`", max_length=40)],
    layer: Annotated[int, Field(description="of the block it stands in")] = 0,
    head: Annotated[int, Field(description="of attention")] = 0,
) -> Answer:
    """The activations inside one part, in the order of computation; of attention, those of one head.

    Raises `NotFoundError` for a part, layer or head that the model does not have.
    """
    source = read_text(opened, text)
    config = opened.model.config
    parts = {drawn.key: drawn for drawn in draw_parts(opened, source, "") if drawn.layer in (None, layer)}
    if part not in parts or not 0 <= layer < config.n_layers or not 0 <= head < config.n_heads:
        raise NotFoundError(
            f"there is no part {part[:40]!r} with layer {layer} and head {head}: this model has {config.n_layers} "
            f"layers, {config.n_heads} heads, and the parts {', '.join(parts)}"
        )
    found, steps = parts[part], []
    if sites := _inside_sites(found, opened.model):
        with opened.lock:
            cache = interp.run_with_cache(opened.model, source.ids, [site for site in sites if site])
            steps = [_step(cache, site, title, head) for site, title in sites.items()]
            if part.startswith("ln"):
                steps.append(_after_gain(opened.model, found, cache))
    only = head if part == "attn" else None
    return {"source": source, "key": part, "layer": found.layer, "head": only, "steps": steps}


def _inside_sites(part: Part, model: GPT) -> dict[str | None, str]:
    """The sites inside a part in the order of computation, each with what it is; None: a sum that is no site."""
    config, key, at = model.config, part.key, f"blocks.{part.layer}."
    stream = {"add1": ("hook_resid_pre", "hook_attn_out"), "add2": ("hook_resid_mid", "hook_mlp_out")}
    if key == "attn":
        rotated = "normalised and rotated" if config.qk_norm else "rotated"
        rotary = {"attn.hook_rot_q": f"the query, {rotated}", "attn.hook_rot_k": f"the key, {rotated}"}
        names = {
            "attn.hook_q": "query: what is looked for",
            "attn.hook_k": "key: what is offered",
            "attn.hook_v": "value: what is passed on",
            **(rotary if config.positions == "rope" else {}),
            "attn.hook_attn_scores": f"scores: q·k / √{config.d_head}, later tokens masked",
            "attn.hook_pattern": "weights: softmax of each row",
            "attn.hook_z": "the head's result: the average of the values",
            "hook_attn_out": "all heads together: what is added to the stream",
        }
    elif key == "mlp":
        gate = config.mlp == "swiglu"
        names = {
            "mlp.hook_pre": "gates before the activation" if gate else "units before the activation",
            **({"mlp.hook_pre_linear": "what the gates multiply"} if gate else {}),
            "mlp.hook_post": "units after it",
            "hook_mlp_out": "what is added to the stream",
        }
    elif key in stream:
        before, branch = stream[key]
        names = {before: "the stream before", branch: "what is added"}
    elif key in ("ln1", "ln2"):
        return {part.site: "at one size, before the gain"}
    elif key in ("embed", "pos", "start", "ln_final"):
        return {part.site: "before the gain" if key == "ln_final" else "what comes out"}
    else:
        return {}
    found: dict[str | None, str] = {at + name: title for name, title in names.items()}
    return found | ({part.site: "their sum"} if key in stream else {})


def _step(cache: interp.ActivationCache, site: str | None, title: str, head: int) -> Step:
    if site is None:  # the sum under post-norm: of the two sites before it
        x = sum(cache[name] for name in cache.names)
        assert isinstance(x, Tensor)
        return Step(title, None, list(x.shape), RESIDUAL, None, False, numbers_of(x[0], PICTURE))
    x = cache[site]
    shape, kind = list(x.shape), site.rsplit("_", 1)[-1]
    if kind in ("scores", "pattern"):
        square = numbers_of(x[0, head], x.shape[-1])
        square = replace(square, picture=x[0, head].float().cpu().numpy(), dims=[])
        return Step(title, site, shape, ("batch", "head", "query", "key"), head, True, square)
    if x.ndim == 4:
        mine = head * x.shape[2] // cache.config.n_heads  # several heads may share a key
        heads = "head" if x.shape[2] == cache.config.n_heads else "kv_head"
        return Step(
            title, site, shape, ("batch", "pos", heads, "d_head"), mine, False, numbers_of(x[0, :, mine], PICTURE)
        )
    axes = ("batch", "pos", "d_mlp" if ".mlp." in site else "d_model")
    return Step(title, site, shape, axes, None, False, numbers_of(x[0], PICTURE))


def _after_gain(model: GPT, part: Part, cache: interp.ActivationCache) -> Step:
    """The output of a norm: its site is before the gain."""
    norm = model.ln_final if part.layer is None else getattr(blocks(model)[part.layer], part.key)
    assert part.site is not None
    assert norm is not None
    x = cache[part.site] * norm.weight.detach()
    bias = getattr(norm, "bias", None)
    x = x if bias is None else x + bias.detach()
    return Step("times the gain: what is read", None, list(x.shape), RESIDUAL, None, False, numbers_of(x[0], PICTURE))
