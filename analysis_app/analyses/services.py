"""What the page and the routes ask for: run + step + text → numbers, by `lab.interp`.

Every function takes the library and plain values and returns a frozen dataclass of plain values and NumPy arrays.
Bad input raises `ValueError` in words for the person who typed it. Positions, layers and heads count from 0;
losses are in nats.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import torch

from analysis_app.analyses.token_labels import label, labels
from analysis_app.analyses.views import (
    AblationView,
    ActivationView,
    Array,
    AttentionView,
    AttributionView,
    Lens,
    NextView,
    PredictionView,
    Reproduction,
    RowView,
    Score,
    Shape,
    Source,
)
from analysis_app.library.runs import Library, NotFoundError, Opened
from analysis_app.page.selection import MAX_TEXT
from analysis_app.server.jobs import considerate, no_progress
from lab import interp
from lab.interp.ablation import Progress
from lab.model.reference import reference_loss
from lab.runs import Run

DEFAULT_TEXT_TOKENS = 48
DEFAULT_TEXT = "The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog."
MAX_PATTERN_NUMBERS = 32_000_000  # of all heads together: what travels to a browser as one byte each
REPEATED_TOKENS = 32  # a period of the repeated random tokens, at most
REPEATED_BATCH = 8
TOP_GUESSES = 10
LENS_GUESSES = 5
SHOWN_CANDIDATES = 200
SCORES = {name.replace("_", " "): measure.meaning for name, measure in interp.HEAD_MEASURES.items()}
REPRODUCES_WITHIN = 1e-4  # nats: fp32 on another machine stays far below it, other weights far above


def shape(library: Library, run: str, step: int | None = None) -> Shape:
    """The model behind a run and step."""
    opened = library.open(run, step)
    config = opened.model.config
    return Shape(
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        d_model=config.d_model,
        d_mlp=config.mlp_width,
        context_length=config.context_length,
        vocab_size=config.vocab_size,
        n_parameters=sum(p.numel() for p in opened.model.parameters()),
        tokenizer=opened.tokenizer.name,
        default_text=default_text(opened),
    )


def default_text(opened: Opened) -> str:
    """The beginning of the run's probe text, which comes from its validation split; else a common sentence."""
    most = min(DEFAULT_TEXT_TOKENS, opened.model.config.context_length)
    ids = probe_ids(opened.loaded.run, opened.tokenizer.vocab_size)
    if not ids:
        try:
            ids = opened.tokenizer.encode(DEFAULT_TEXT).tolist()
        except ValueError:  # an alphabet without these letters
            ids = list(range(min(most, opened.tokenizer.vocab_size)))
    return opened.tokenizer.decode(ids[:most]).rstrip("\ufffd")


def probe_ids(run: Run | None, vocab_size: int) -> list[int]:
    """The fixed probe tokens of a run, from data.json; none where there are none, or none that can be."""
    try:
        data = (run.data() if run else None) or {}
        ids = [int(i) for i in data["probe"]["tokens"]]
    except (ValueError, KeyError, TypeError):
        return []
    return ids if all(0 <= i < vocab_size for i in ids) else []


def read(opened: Opened, text: str | None, at_least: int = 1) -> Source:
    """The tokens of `text` (None: the default text) as this model reads them.

    Raises `ValueError` for a text that is too short or longer than the model can look at, or that the vocabulary
    lacks characters of.
    """
    text = default_text(opened) if text is None else text
    if len(text) > MAX_TEXT:
        raise ValueError(f"the text has {len(text):,} characters, at most {MAX_TEXT:,} are read")
    ids = opened.tokenizer.encode(text).tolist()
    context = opened.model.config.context_length
    if len(ids) > context:
        raise ValueError(
            f"the text has {len(ids):,} tokens and this model looks at {context:,}: leave out {len(ids) - context:,}"
        )
    if len(ids) < at_least:
        raise ValueError(f"the text has {len(ids)} tokens: type at least {at_least}")
    return Source(opened.loaded.name, opened.loaded.step, labels(opened.tokenizer, ids), ids)


def count_tokens(library: Library, run: str, step: int | None, text: str) -> tuple[list[str], int]:
    """The labels of a text's tokens however many they are, and how many the model can look at."""
    opened = library.open(run, step)
    ids = opened.tokenizer.encode(text[:MAX_TEXT]).tolist()
    return labels(opened.tokenizer, ids), opened.model.config.context_length


def attention(
    library: Library,
    run: str,
    step: int | None = None,
    text: str | None = None,
    layer: int | None = None,
    head: int | None = None,
) -> AttentionView:
    """The patterns of all heads, of one layer, or of one head (`[1, query, key]`), and what each head does."""
    opened = library.open(run, step)
    source = read(opened, text, at_least=2)
    config = opened.model.config
    check_part(opened, layer, head)
    numbers = config.n_layers * config.n_heads * len(source.ids) ** 2
    if layer is None and numbers > MAX_PATTERN_NUMBERS:
        most = math.isqrt(MAX_PATTERN_NUMBERS // (config.n_layers * config.n_heads))
        raise ValueError(f"{len(source.ids):,} tokens are too many for all heads at once: shorten the text to {most:,}")
    with opened.lock:
        cache = interp.run_with_cache(opened.model, source.ids, interp.PATTERN_SITES)
        patterns = interp.attention_patterns(cache)[:, 0]
        scores = [*text_scores(cache), *opened.memo("repeated_scores", lambda: repeated_scores(opened))]
    if layer is not None:
        patterns = patterns[layer] if head is None else patterns[layer, head : head + 1]
    return AttentionView(source, layer, head, patterns, scores, period_of(opened))


def attention_row(
    library: Library, run: str, step: int | None, text: str | None, *, layer: int, head: int, query: int
) -> RowView:
    """Scores → mask → softmax of one row of one pattern."""
    opened = library.open(run, step)
    source = read(opened, text, at_least=2)
    config = opened.model.config
    check_index(("layer", layer, config.n_layers), ("head", head, config.n_heads), ("query", query, len(source.ids)))
    with opened.lock:
        cache = interp.run_with_cache(opened.model, source.ids, interp.ROW_SITES)
        row = interp.attention_row(opened.model, cache, layer, head, query)
    return RowView(
        source,
        layer,
        head,
        query,
        config.d_head,
        row.dot_products,
        row.scores,
        row.exponentials,
        row.total,
        row.pattern,
    )


def ablation(
    library: Library,
    run: str,
    step: int | None = None,
    text: str | None = None,
    progress: Progress = no_progress,
) -> AblationView:
    """The rise in loss without each head and each MLP: 1 + layers · (heads + 1) forward passes."""
    opened = library.open(run, step)
    source = read(opened, text, at_least=2)

    def ablate() -> interp.Ablation:
        with opened.lock:
            return interp.ablate(opened.model, source.ids, progress=considerate(opened, progress))

    found: interp.Ablation = library.results.get((opened.key, "ablation", tuple(source.ids)), ablate)
    return AblationView(source, found.loss, found.heads, found.mlps)


def activations(
    library: Library,
    run: str,
    step: int | None = None,
    text: str | None = None,
    layer: int | None = None,
    head: int | None = None,
) -> ActivationView:
    """Norms and directions along the residual stream, what each head writes, histograms, and how many units are dead
    or always on: of all layers and heads, or of one.
    """
    opened = library.open(run, step)
    source = read(opened, text)
    layers, heads = check_part(opened, layer, head)
    sites = {*interp.RESIDUAL_SITES, *interp.NEURON_SITES, *interp.HISTOGRAM_SITES, *interp.WRITING_SITES}
    with opened.lock:
        cache = interp.run_with_cache(opened.model, source.ids, tuple(sorted(sites)))
        norms, cosines = interp.residual_norms(cache), interp.branch_cosines(cache)
        writing = interp.head_norms(opened.model, cache)[:, 0]
        units, histograms = interp.neuron_activity(cache), interp.activation_histograms(cache)
    kept = [i for i, site in enumerate(histograms.labels) if layer is None or site.startswith(f"blocks.{layer}.")]
    return ActivationView(
        source=source,
        layer=layer,
        head=head,
        quantities=norms.labels,
        norms=norms.values[:, layers, 0],
        cosine_names=cosines.labels,
        cosines=cosines.values[:, layers, 0],
        head_norms=writing[layers, heads],
        dead_share=units.dead_share[layers],
        saturated_share=units.saturated_share[layers],
        sites=[histograms.labels[i] for i in kept],
        edges=histograms.edges,
        counts=histograms.counts[kept],
        minimum=histograms.minimum[kept],
        maximum=histograms.maximum[kept],
    )


def predictions(
    library: Library,
    run: str,
    step: int | None = None,
    text: str | None = None,
    layer: int | None = None,
    head: int | None = None,
) -> PredictionView:
    """Loss, rank and best guesses at each token, the logit lens, and what each part added to the first guess; of the
    last two all, or those before and after one layer and of its parts, or of one head.
    """
    opened = library.open(run, step)
    model, source = opened.model, read(opened, text, at_least=2)
    check_part(opened, layer, head)
    sites = (*interp.ATTRIBUTION_SITES, *interp.LENS_SITES)
    with opened.lock:
        cache = interp.run_with_cache(model, source.ids, sites)
        found = interp.token_predictions(cache, TOP_GUESSES)
        lens = interp.logit_lens(model, cache, LENS_GUESSES)
        attribution, missing = None, None
        try:
            attribution = _attribution(opened, interp.direct_logit_attribution(model, cache), layer, head)
        except ValueError as error:
            missing = str(error)
    name = _namer(opened)
    rows = slice(None) if layer is None else slice(layer, layer + 2)
    return PredictionView(
        source=source,
        layer=layer,
        head=head,
        uniform_loss=math.log(model.config.vocab_size),
        mean_loss=float(found.loss.mean()),
        loss=found.loss[0],
        probability=found.probability[0],
        rank=found.rank[0],
        top_tokens=name(found.top_tokens[0]),
        top_probabilities=found.top_probabilities[0],
        lens=Lens(
            rows=lens.labels[rows],
            top_tokens=name(lens.top_tokens[rows, 0]),
            top_probabilities=lens.top_probabilities[rows, 0],
            target_loss=lens.target_loss[rows, 0],
            target_rank=lens.target_rank[rows, 0],
            kl_to_final=lens.kl_to_final[rows, 0],
        ),
        attribution=attribution,
        attribution_missing=missing,
    )


def next_token(library: Library, run: str, step: int | None, text: str | None, position: int | None = None) -> NextView:
    """The logits of the token after `position` (None: after the text)."""
    opened = library.open(run, step)
    source = read(opened, text, at_least=1)
    position = len(source.ids) - 1 if position is None else position
    check_index(("position", position, len(source.ids)))
    with opened.lock:
        # What follows cannot be seen from here, so it need not be computed.
        cache = interp.run_with_cache(opened.model, source.ids[: position + 1], interp.PREDICTION_SITES)
        logits, ids = cache.logits[0, -1].float().sort(descending=True, stable=True)
    shown = ids[:SHOWN_CANDIDATES].tolist()
    return NextView(source, position, logits.cpu().numpy(), shown, labels(opened.tokenizer, shown))


def reproduction(library: Library, run: str, step: int | None = None) -> Reproduction:
    """Compute the loss on the run's probe text again and compare it with what was written beside the weights."""
    opened = library.open(run, step)
    loaded = opened.loaded
    recorded = None if loaded.info is None else loaded.info.probe_loss
    ids = probe_ids(loaded.run, opened.tokenizer.vocab_size)
    if recorded is None or not ids:
        why = "no probe loss was recorded with these weights" if recorded is None else "data.json has no probe text"
        return Reproduction(loaded.name, loaded.step, recorded, None, None, why)
    with opened.lock:
        computed = reference_loss(opened.model, torch.tensor(ids))
    difference = abs(computed - recorded)
    same = difference <= REPRODUCES_WITHIN
    why = f"recorded {recorded:.4f}, computed {computed:.4f}: {'the same' if same else 'not the same'} weights"
    return Reproduction(loaded.name, loaded.step, recorded, computed, same, why)


def check_index(*indices: tuple[str, int | None, int]) -> None:
    """Raise `NotFoundError` for every (name, index, how many there are) with an index that is none; None is fine."""
    problems = [
        f"{name} {index}: there are {count}, from 0 to {count - 1}"
        for name, index, count in indices
        if index is not None and not 0 <= index < count
    ]
    if problems:
        raise NotFoundError("\n".join(problems))


def text_scores(cache: interp.ActivationCache) -> list[Score]:
    """The three scores that are measured on the text itself."""
    return [score(name, found) for name, found in interp.text_scores(cache).items()]


def score(name: str, found: interp.HeadScore) -> Score:
    """A head score in the words of this page."""
    name = name.replace("_", " ")
    return Score(name, SCORES[name], found.values, found.chance)


def period_of(opened: Opened) -> int | None:
    """Of the repeated random tokens that three of the scores are measured on; None where there is no room for any."""
    config = opened.model.config
    period = min(REPEATED_TOKENS, config.context_length // 2, config.vocab_size)
    return period if period >= 2 else None


def repeated_scores(opened: Opened) -> list[Score]:
    """Three habits that show on random tokens written twice, where nothing but the repetition can be known."""
    if (period := period_of(opened)) is None:
        return []
    tokens = interp.repeated_random_tokens(opened.model.config.vocab_size, period, REPEATED_BATCH)
    cache = interp.run_with_cache(opened.model, tokens, interp.HEAD_SITES)
    return [score(name, found) for name, found in interp.repeat_scores(cache, period).items()]


def _attribution(opened: Opened, found: interp.Attribution, layer: int | None, head: int | None) -> AttributionView:
    targets = labels(opened.tokenizer, found.targets[0].tolist())
    wanted = re.compile(
        ".*" if layer is None else rf"(L{layer}H\d+|{layer}_\w+)" if head is None else f"L{layer}H{head}"
    )
    kept = [i for i, part in enumerate(found.labels) if wanted.fullmatch(part)]
    values = found.values[kept, 0]
    return AttributionView([found.labels[i] for i in kept], values, targets, found.logits[0], found.error)


def check_part(opened: Opened, layer: int | None, head: int | None) -> tuple[slice, slice]:
    """One layer and one head as slices, or all. Raises `NotFoundError` for what the model has not, and `ValueError` for
    a head of no layer.
    """
    config = opened.model.config
    check_index(("layer", layer, config.n_layers), ("head", head, config.n_heads))
    if head is not None and layer is None:
        raise ValueError(f"head {head} of which layer? Name one from 0 to {config.n_layers - 1}")
    return tuple(slice(None) if i is None else slice(i, i + 1) for i in (layer, head))  # type: ignore[return-value]


def _namer(opened: Opened) -> Any:
    tokens: Sequence[bytes | None] = opened.tokenizer.tokens

    def name(ids: Array) -> Any:
        return label(tokens[int(ids)]) if ids.ndim == 0 else [name(part) for part in ids]

    return name
