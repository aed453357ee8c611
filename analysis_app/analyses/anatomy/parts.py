"""The parts of a model in the order in which data passes them, with what each makes of a text.

A part's `key` is its place (`embed`, `ln1`, `attn`, `add1`, `ln2`, `mlp`, `add2`, …), the same in every block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from analysis_app.analyses.anatomy import descriptions as describe
from analysis_app.analyses.anatomy.descriptions import Description
from analysis_app.analyses.anatomy.numbers import STRIP, Numbers, numbers_of
from analysis_app.analyses.anatomy.source_code import FUNCTIONS, Function, Place, place_of
from analysis_app.analyses.declaration import Answer, analysis
from analysis_app.analyses.text import Source, read_text
from analysis_app.analyses.token_labels import label
from analysis_app.library import Opened
from lab import interp
from lab.generation.sampling import own_probabilities
from lab.interp.cache import site_shape
from lab.interp.forward import blocks
from lab.interp.taps import LOGITS
from lab.model.attention import Attention, explicit_attention
from lab.model.fused import rms_norm
from lab.model.gpt import GPT, Block
from lab.model.layers import RMSNorm, rotate
from lab.model.loss import head_logits

GUESSES = 10
RESIDUAL = ("batch", "pos", "d_model")
STREAM = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")


@dataclass(frozen=True)
class Part:
    """One part of the model. `lane`: on the residual `stream`, or in a `branch` beside it.

    `weights`: its parameters' names and shapes; `site`: the activation's name in `lab.interp`; `code`: the
    functions that compute it, the first one most of it.
    """

    key: str
    layer: int | None
    lane: str
    words: Description
    shape: list[int]
    axes: tuple[str, ...]
    n_parameters: int
    weights: list[tuple[str, list[int]]]
    site: str | None
    code: list[Place]
    numbers: Numbers | None = None


@analysis("anatomy")
def anatomy(opened: Opened, text: str | None = None) -> Answer:
    """Every part of the model in the order in which data passes it, with shapes, parameters and the text's numbers."""
    source = read_text(opened, text)
    model, written = opened.model, opened.tokenizer.decode(source.ids)
    drawn = list(draw_parts(opened, source, written))
    sites = (part.site for part in drawn if part.site is not None)
    with opened.lock:
        cache = interp.run_with_cache(model, source.ids, sorted({*sites, "hook_embed", LOGITS, *STREAM}))
    logits = cache.logits[0].float()
    best = logits.topk(min(GUESSES, logits.shape[-1]), dim=-1)
    tokens = opened.tokenizer.tokens
    return {
        "source": source,
        "text": written,
        "parts": [replace(part, numbers=_part_numbers(cache, part)) for part in drawn],
        "n_parameters": sum(part.n_parameters for part in drawn),
        "n_layers": model.config.n_layers,
        "n_heads": model.config.n_heads,
        # The best guesses for the token after each position: [pos][k], [pos, k], [pos, k]
        "top_tokens": [[label(tokens[i]) for i in row] for row in best.indices.tolist()],
        "top_logits": best.values.cpu().numpy(),
        "top_probabilities": own_probabilities(logits).gather(-1, best.indices).float().cpu().numpy(),
    }


def draw_parts(opened: Opened, source: Source, text: str) -> Iterator[Part]:
    """Every part in order, without its numbers."""
    model, config = opened.model, opened.model.config
    n_pos = len(source.ids)
    draw = partial(_part, model, n_pos)
    encode = place_of(FUNCTIONS[f"{type(opened.tokenizer).__name__}.encode"])
    yield Part("text", None, "input", describe.of_text(text), [], (), 0, [], None, [encode])
    cut = describe.of_tokens(opened.tokenizer, n_pos, config)
    yield Part("tokens", None, "input", cut, [1, n_pos], ("batch", "pos"), 0, [], None, [encode])
    about = describe.of_embedding(config)
    yield draw("embed", None, "stream", about, "hook_embed", "token_embedding", [GPT.residual])
    if config.positions == "learned":
        about = describe.of_positions(config)
        yield draw("pos", None, "branch", about, "hook_pos_embed", "position_embedding", [GPT.residual])
        yield draw("start", None, "add", describe.START, "blocks.0.hook_resid_pre", None, [GPT.residual])
    for layer in range(config.n_layers):
        yield from _draw_block(draw, model, layer)
    if model.ln_final is not None:
        norm = type(model.ln_final).forward
        about = describe.of_final_norm(config)
        yield draw("ln_final", None, "stream", about, "ln_final.hook_normalized", "ln_final", [norm, GPT.unembed])
    head = "unembedding" if not config.tie_embeddings else None
    yield draw("logits", None, "output", describe.of_logits(config), LOGITS, head, [head_logits, GPT.unembed])
    last = draw("probabilities", None, "output", describe.PROBABILITIES, LOGITS, None, [own_probabilities])
    yield replace(last, site=None)


def _draw_block(draw: Callable[..., Part], model: GPT, layer: int) -> Iterator[Part]:
    config, block = model.config, blocks(model)[layer]
    pre, at = config.norm_position == "pre", f"blocks.{layer}."
    norm, mlp = type(block.ln1).forward, type(block.mlp).forward
    attention: list[Function] = [Attention.forward, Attention._heads, explicit_attention]
    attention += [RMSNorm.forward, rms_norm] if config.qk_norm else []
    attention += [rotate] if config.positions == "rope" else []
    for branch, name, n, about, code in (
        ("attn", "attention", 1, describe.of_attention(config), attention),
        ("mlp", "the MLP", 2, describe.of_mlp(config), [mlp]),
    ):
        lane = "branch" if pre else "stream"
        what = describe.of_norm(config, name)
        ln = draw(f"ln{n}", layer, lane, what, f"{at}ln{n}.hook_normalized", f"{at}ln{n}", [norm])
        if pre:
            yield ln
        yield draw(branch, layer, "branch", about, f"{at}hook_{branch}_out", f"{at}{branch}", code)
        # Under post-norm the sum itself is no site: the stream's is what the norm makes of it.
        stream = f"{at}hook_resid_{'mid' if n == 1 else 'post'}" if pre else None
        yield draw(f"add{n}", layer, "add", describe.of_sum(config, name), stream, None, [Block.forward])
        if not pre:
            yield ln


def _part(
    model: GPT,
    n_pos: int,
    key: str,
    layer: int | None,
    lane: str,
    about: Description,
    site: str | None,
    owner: str | None,
    code: list[Function],
) -> Part:
    """A part at `site` (None: a sum in the stream that is no site), with the parameters of the module `owner`."""
    shape = list(site_shape(model.config, site or "hook_embed", 1, n_pos))
    axes = ("batch", "pos", "vocab") if site == LOGITS else RESIDUAL
    owned = {name: weight for name, weight in model.named_parameters() if owner and name.startswith(f"{owner}.")}
    n_parameters = sum(weight.numel() for weight in owned.values())
    weights = [(name, list(weight.shape)) for name, weight in owned.items()]
    return Part(key, layer, lane, about, shape, axes, n_parameters, weights, site, [place_of(f) for f in code])


def _part_numbers(cache: interp.ActivationCache, part: Part) -> Numbers | None:
    if part.lane == "input" or part.key == "probabilities":
        return None
    if part.site is not None:
        # Evenly picked tokens of a vocabulary would be arbitrary: of logits, the largest at each position.
        return numbers_of(cache[part.site][0], STRIP, largest=part.site == LOGITS)
    assert part.layer is not None
    stream, branch = ("resid_pre", "attn_out") if part.key == "add1" else ("resid_mid", "mlp_out")
    return numbers_of((cache[stream, part.layer] + cache[branch, part.layer])[0], STRIP)
