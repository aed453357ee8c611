"""The parts of a model in the order of its data's way, with what each makes of a text: numbers out of the cache of
`lab.interp`, parameters out of `lab.model.count`.

A part's `key` is its place (`embed`, `ln1`, `attn`, `add1`, `ln2`, `mlp`, `add2`, …), the same in every block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from analysis_app.analyses.anatomy import descriptions as words
from analysis_app.analyses.anatomy.descriptions import Words
from analysis_app.analyses.anatomy.source_code import FUNCTIONS, Function, Place, place_of
from analysis_app.analyses.declaration import Array, analysis
from analysis_app.analyses.text import Source, read_text
from analysis_app.analyses.token_labels import label
from analysis_app.library import NotFoundError, Opened
from lab import interp
from lab.generation.sampling import own_probabilities
from lab.interp.cache import site_shape
from lab.interp.forward import blocks
from lab.interp.taps import LOGITS
from lab.model.attention import Attention, explicit_attention
from lab.model.count import count_parts
from lab.model.gpt import GPT, Block
from lab.model.layers import RMSNorm, rotate
from lab.model.loss import head_logits

STRIP = 16  # numbers of a vector that the small pictures show, evenly picked
PICTURE = 192  # and the large ones
GUESSES = 10
RESIDUAL = ("batch", "pos", "d_model")


@dataclass(frozen=True)
class Numbers:
    """What came out: over all positions and numbers, and the length (L2 norm) at each position."""

    mean: float
    std: float
    minimum: float
    maximum: float
    norms: Array  # [pos]
    dims: list[int]  # which numbers `picture` shows
    picture: Array  # [dim, pos]


@dataclass(frozen=True)
class Part:
    """One station of the way. `lane`: on the residual `stream`, or in a `branch` beside it.

    `weights`: its parameters' names and shapes; `site`: the activation's name in `lab.interp`; `code`: the
    functions that compute it, the first one most of it.
    """

    key: str
    layer: int | None
    lane: str
    words: Words
    shape: list[int]
    axes: tuple[str, ...]
    n_parameters: int
    weights: list[tuple[str, list[int]]]
    site: str | None
    code: list[Place]
    numbers: Numbers | None = None


@dataclass(frozen=True)
class AnatomyView:
    """All parts, and the best guesses for the token after each position."""

    source: Source
    text: str
    parts: list[Part]
    n_parameters: int
    n_layers: int
    n_heads: int
    top_tokens: list[list[str]]  # [pos][k]
    top_logits: Array  # [pos, k]
    top_probabilities: Array  # [pos, k]


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


@dataclass(frozen=True)
class PartView:
    """What happens inside one part, in the order of computation."""

    source: Source
    key: str
    layer: int | None
    head: int | None
    steps: list[Step]


@analysis("anatomy")
def anatomy(opened: Opened, text: str | None = None) -> AnatomyView:
    """Every part of the model in the order in which data passes it, with shapes, parameters and the text's numbers."""
    source = read_text(opened, text)
    model, written = opened.model, opened.tokenizer.decode(source.ids)
    drawn = list(_draw(opened, source, written))
    with opened.lock:
        cache = interp.run_with_cache(model, source.ids, sorted({*_sites(drawn), "hook_embed", LOGITS, *_STREAM}))
    logits = cache.logits[0].float()
    best = logits.topk(min(GUESSES, logits.shape[-1]), dim=-1)
    tokens = opened.tokenizer.tokens
    return AnatomyView(
        source=source,
        text=written,
        parts=[replace(part, numbers=_of_part(cache, part)) for part in drawn],
        n_parameters=sum(part.n_parameters for part in drawn),
        n_layers=model.config.n_layers,
        n_heads=model.config.n_heads,
        top_tokens=[[label(tokens[i]) for i in row] for row in best.indices.tolist()],
        top_logits=best.values.cpu().numpy(),
        top_probabilities=own_probabilities(logits).gather(-1, best.indices).float().cpu().numpy(),
    )


_STREAM = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")


@analysis("anatomy_part")
def inside(
    opened: Opened,
    text: str | None,
    part: Annotated[str, Field(description="its key, such as `embed`, `ln1`, `attn`, `mlp`, `logits`", max_length=40)],
    layer: Annotated[int, Field(description="of the block it stands in")] = 0,
    head: Annotated[int, Field(description="of attention")] = 0,
) -> PartView:
    """The activations inside one part, in the order of computation; of attention, those of one head.

    Raises `NotFoundError` for a part, layer or head that the model does not have.
    """
    source = read_text(opened, text)
    config = opened.model.config
    keys = {drawn.key: drawn for drawn in _draw(opened, source, "") if drawn.layer in (None, layer)}
    if part not in keys or not 0 <= layer < config.n_layers or not 0 <= head < config.n_heads:
        raise NotFoundError(
            f"there is no part {part[:40]!r} with layer {layer} and head {head}: this model has {config.n_layers} "
            f"layers, {config.n_heads} heads, and the parts {', '.join(keys)}"
        )
    found = keys[part]
    sites = _inside_sites(found, opened.model)
    if not sites:
        return PartView(source, part, found.layer, None, [])
    with opened.lock:
        cache = interp.run_with_cache(opened.model, source.ids, [site for site in sites if site])
        steps = [_step(cache, site, title, head) for site, title in sites.items()]
        if found.key.startswith("ln"):
            steps.append(_after_gain(opened.model, found, cache))
    return PartView(source, part, found.layer, head if part == "attn" else None, steps)


# ---------------------------------------------------------------- the drawing


def _draw(opened: Opened, source: Source, text: str) -> Iterator[Part]:
    """Every part in order, without its numbers."""
    model, config = opened.model, opened.model.config
    counts, n_pos = count_parts(config), len(source.ids)
    encode = place_of(FUNCTIONS[f"{type(opened.tokenizer).__name__}.encode"])
    yield Part("text", None, "input", words.of_text(text), [], (), 0, [], None, [encode])
    cut = words.of_tokens(opened.tokenizer, n_pos, config)
    yield Part("tokens", None, "input", cut, [1, n_pos], ("batch", "pos"), 0, [], None, [encode])
    draw = _Drawing(model, n_pos, counts)
    yield draw.part(
        "embed", None, "stream", words.of_embedding(config), "hook_embed", "token_embedding", [GPT.residual]
    )
    if config.positions == "learned":
        said = words.of_positions(config)
        yield draw.part("pos", None, "branch", said, "hook_pos_embed", "position_embedding", [GPT.residual])
        yield draw.part("start", None, "add", words.of_start(), "blocks.0.hook_resid_pre", None, [GPT.residual])
    for layer in range(config.n_layers):
        yield from _draw_block(draw, layer)
    if model.ln_final is not None:
        norm = type(model.ln_final).forward
        said = words.of_final_norm(config)
        yield draw.part("ln_final", None, "stream", said, "ln_final.hook_normalized", "ln_final", [norm, GPT.unembed])
    head = "unembedding" if not config.tie_embeddings else None
    yield draw.part("logits", None, "output", words.of_logits(config), LOGITS, head, [head_logits, GPT.unembed])
    said = words.of_probabilities()
    yield replace(draw.part("probabilities", None, "output", said, LOGITS, None, [own_probabilities]), site=None)


def _draw_block(draw: _Drawing, layer: int) -> Iterator[Part]:
    config, block = draw.model.config, blocks(draw.model)[layer]
    pre, at = config.norm_position == "pre", f"blocks.{layer}."
    norm, mlp = type(block.ln1).forward, type(block.mlp).forward
    attention: list[Function] = [Attention.forward, explicit_attention]
    attention += [RMSNorm.forward] if config.qk_norm else []
    attention += [rotate] if config.positions == "rope" else []
    for branch, name, n, said, code in (
        ("attn", "attention", 1, words.of_attention(config), attention),
        ("mlp", "the MLP", 2, words.of_mlp(config), [mlp]),
    ):
        lane = "branch" if pre else "stream"
        ln = draw.part(
            f"ln{n}", layer, lane, words.of_norm(config, name), f"{at}ln{n}.hook_normalized", f"{at}ln{n}", [norm]
        )
        if pre:
            yield ln
        yield draw.part(branch, layer, "branch", said, f"{at}hook_{branch}_out", f"{at}{branch}", code)
        # Under post-norm the sum itself is no site: the stream's is what the norm makes of it.
        stream = f"{at}hook_resid_{'mid' if n == 1 else 'post'}" if pre else None
        yield draw.part(f"add{n}", layer, "add", words.of_sum(config, name), stream, None, [Block.forward])
        if not pre:
            yield ln


@dataclass(frozen=True)
class _Drawing:
    """What all parts of a drawing share."""

    model: GPT
    n_pos: int
    counts: dict[str, int]

    def part(
        self,
        key: str,
        layer: int | None,
        lane: str,
        said: Words,
        site: str | None,
        owner: str | None,
        code: list[Function],
    ) -> Part:
        """A part at `site`, with the parameters of the module `owner`."""
        shape = list(site_shape(self.model.config, site or "hook_embed", 1, self.n_pos))
        axes = ("batch", "pos", "vocab") if site == LOGITS else RESIDUAL
        named = self.model.named_parameters()
        weights = [] if owner is None else [(name, list(w.shape)) for name, w in named if name.startswith(f"{owner}.")]
        return Part(key, layer, lane, said, shape, axes, self._count(key), weights, site, [place_of(f) for f in code])

    def _count(self, key: str) -> int:
        counts = self.counts
        return {
            "embed": counts["token_embedding"],
            "pos": counts["position_embedding"],
            "attn": counts["attention"] + counts["qk_norm"],
            "mlp": counts["mlp"],
            "ln1": counts["norm"],
            "ln2": counts["norm"],
            "ln_final": counts["norm"],
            "logits": counts["unembedding"],
        }.get(key, 0)


# ---------------------------------------------------------------- the numbers


def _sites(parts: list[Part]) -> Iterator[str]:
    return (part.site for part in parts if part.site is not None)


def _of_part(cache: interp.ActivationCache, part: Part) -> Numbers | None:
    if part.lane == "input" or part.key == "probabilities":
        return None
    if part.site is None:
        return _numbers(_sum(cache, part), STRIP)
    x = cache[part.site][0]
    # Evenly picked tokens of a vocabulary would say nothing: of logits, the largest at each position.
    return _numbers(x, STRIP, largest=part.site == LOGITS)


def _sum(cache: interp.ActivationCache, part: Part) -> Tensor:
    assert part.layer is not None
    stream, branch = ("resid_pre", "attn_out") if part.key == "add1" else ("resid_mid", "mlp_out")
    return (cache[stream, part.layer] + cache[branch, part.layer])[0]


def _numbers(x: Tensor, most: int, largest: bool = False) -> Numbers:
    """Of `x` `[pos, width]`."""
    x = x.float()
    width = x.shape[-1]
    dims = np.unique(np.linspace(0, width - 1, min(most, width)).round().astype(int)).tolist()
    shown = x.topk(min(most, width), dim=-1).values if largest else x[:, dims]
    finite = x[x.isfinite()]
    return Numbers(
        mean=float(finite.mean()),
        std=float(finite.std(correction=0)),
        minimum=float(finite.min()),
        maximum=float(finite.max()),
        norms=torch.linalg.vector_norm(x.masked_fill(~x.isfinite(), 0), dim=-1).cpu().numpy(),
        dims=[] if largest else dims,
        picture=shown.T.contiguous().cpu().numpy(),
    )


def _inside_sites(part: Part, model: GPT) -> dict[str | None, str]:
    """The sites inside a part in the order of computation, each with what it is; None: a sum that is no site."""
    config, key, at = model.config, part.key, f"blocks.{part.layer}."
    stream = {"add1": ("hook_resid_pre", "hook_attn_out"), "add2": ("hook_resid_mid", "hook_mlp_out")}
    if key == "attn":
        turned = "normalised and turned" if config.qk_norm else "turned"
        rotary = {"attn.hook_rot_q": f"the query, {turned}", "attn.hook_rot_k": f"the key, {turned}"}
        names = {
            "attn.hook_q": "query: what is looked for",
            "attn.hook_k": "key: what is offered",
            "attn.hook_v": "value: what is handed over",
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
        return Step(title, None, list(x.shape), RESIDUAL, None, False, _numbers(x[0], PICTURE))
    x = cache[site]
    shape, kind = list(x.shape), site.rsplit("_", 1)[-1]
    if kind in ("scores", "pattern"):
        square = _numbers(x[0, head], x.shape[-1])
        square = replace(square, picture=x[0, head].float().cpu().numpy(), dims=[])
        return Step(title, site, shape, ("batch", "head", "query", "key"), head, True, square)
    if x.ndim == 4:
        mine = head * x.shape[2] // cache.config.n_heads  # several heads may share a key
        axes = ("batch", "pos", "head" if x.shape[2] == cache.config.n_heads else "kv_head", "d_head")
        return Step(title, site, shape, axes, mine, False, _numbers(x[0, :, mine], PICTURE))
    axes = ("batch", "pos", "d_mlp" if ".mlp." in site else "d_model")
    return Step(title, site, shape, axes, None, False, _numbers(x[0], PICTURE))


def _after_gain(model: GPT, part: Part, cache: interp.ActivationCache) -> Step:
    """What a norm hands on: its site stands before the gain."""
    norm = model.ln_final if part.layer is None else getattr(blocks(model)[part.layer], part.key)
    assert part.site is not None
    assert norm is not None
    x = cache[part.site] * norm.weight.detach()
    bias = getattr(norm, "bias", None)
    x = x if bias is None else x + bias.detach()
    return Step("times the gain: what is read", None, list(x.shape), RESIDUAL, None, False, _numbers(x[0], PICTURE))
