"""The hidden units of the MLPs: what one of them does on a text, and where in validation text it fires most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis_app.analyses.position_loss import validation_pieces
from analysis_app.analyses.services import check_index, read
from analysis_app.analyses.token_labels import labels
from analysis_app.analyses.views import Array, Source
from analysis_app.library.runs import Library, Opened
from analysis_app.server.jobs import considerate, no_progress
from lab import interp
from lab.interp.ablation import Progress

STRONGEST = 12
EXAMPLES = 20  # kept of each unit
BEFORE, AFTER = 14, 6  # tokens around an example


@dataclass(frozen=True)
class NeuronView:
    """One unit on one text, and the units of its layer that this text moves most."""

    source: Source
    layer: int
    unit: int
    n_units: int
    activation: Array  # [pos] what it hands on (`mlp.hook_post`)
    position: int | None  # where the strongest were looked for; None: anywhere in the text
    strongest: Array  # [k] units
    strongest_values: Array  # [k]


@dataclass(frozen=True)
class Example:
    """One token at which a unit is very active, with what stands around it."""

    value: float
    tokens: list[str]  # labels
    at: int  # which of them it is
    position: int  # how many tokens of context the model had before it


@dataclass(frozen=True)
class ExamplesView:
    """The tokens of the validation slice at which a unit is most active."""

    run: str
    step: int | None
    layer: int
    unit: int
    n_tokens: int
    on_rate: float  # share of tokens at which it is on
    examples: list[Example]


def neuron(
    library: Library,
    run: str,
    step: int | None = None,
    text: str | None = None,
    *,
    layer: int = 0,
    unit: int = 0,
    position: int | None = None,
) -> NeuronView:
    """A unit's activation at every token of a text, and the strongest of its layer (at `position`, or anywhere)."""
    opened = library.open(run, step)
    source = read(opened, text)
    config = opened.model.config
    check_index(("layer", layer, config.n_layers), ("unit", unit, config.mlp_width))
    check_index(("position", position, len(source.ids)))
    with opened.lock:
        cache = interp.run_with_cache(opened.model, source.ids, f"blocks.{layer}.mlp.hook_post")
        values = cache["mlp.post", layer][0].float().cpu().numpy()  # [pos, unit]
    most = values.max(axis=0) if position is None else values[position]
    strongest = np.argsort(-most, kind="stable")[:STRONGEST]
    return NeuronView(
        source, layer, unit, config.mlp_width, values[:, unit].copy(), position, strongest, most[strongest]
    )


def neuron_examples(
    library: Library,
    run: str,
    step: int | None = None,
    *,
    layer: int = 0,
    unit: int = 0,
    progress: Progress = no_progress,
) -> ExamplesView:
    """Where a unit is most active in the validation slice. The first question about some weights reads the slice and
    finds the examples of all their units; the others are answered from what it found.
    """
    opened = library.open(run, step)
    config = opened.model.config
    check_index(("layer", layer, config.n_layers), ("unit", unit, config.mlp_width))
    pieces = validation_pieces(opened)
    found: interp.NeuronExamples = library.results.get((opened.key, "units"), lambda: _scan(opened, progress))
    examples = [
        _example(opened, pieces[found.sequences[layer, unit, i]].tolist(), int(found.positions[layer, unit, i]), value)
        for i, value in enumerate(found.values[layer, unit].tolist())
    ]
    on_rate = float(found.on_rate[layer, unit])
    return ExamplesView(opened.loaded.name, opened.loaded.step, layer, unit, found.n_tokens, on_rate, examples)


def _scan(opened: Opened, progress: Progress) -> interp.NeuronExamples:
    pieces = validation_pieces(opened)
    with opened.lock:
        return interp.neuron_examples(opened.model, pieces, EXAMPLES, considerate(opened, progress))


def _example(opened: Opened, piece: list[int], position: int, value: float) -> Example:
    start = max(0, position - BEFORE)
    shown = piece[start : position + AFTER + 1]
    return Example(value, labels(opened.tokenizer, shown), position - start, position)
