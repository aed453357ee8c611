"""The hidden units of the MLPs: what one of them does on a text, and where in validation text it is most active."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from analysis_app.analyses.declaration import Array, LongRequest, analysis
from analysis_app.analyses.text import Source, check_index, read_text, validation_pieces
from analysis_app.analyses.token_labels import labels
from analysis_app.library import Opened, no_progress
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
    activation: Array  # [pos] `mlp.hook_post`
    position: int | None  # where the strongest were looked for; None: anywhere in the text
    strongest: Array  # [k] units
    strongest_values: Array  # [k]


@dataclass(frozen=True)
class Example:
    """One token at which a unit is very active, with the tokens around it."""

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


class NeuronRequest(LongRequest):
    """Which unit."""

    layer: int = 0
    unit: int = Field(0, description="of the layer's MLP, from 0")
    position: int | None = Field(None, description="where the strongest units are looked for; left out: anywhere")


@analysis("neuron", NeuronRequest)
def neuron(
    opened: Opened, text: str | None = None, layer: int = 0, unit: int = 0, position: int | None = None
) -> NeuronView:
    """One MLP unit at every token of a text, and the strongest units of its layer (at `position`, or anywhere)."""
    source = read_text(opened, text)
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


@analysis("neuron_examples", NeuronRequest)
def neuron_examples(opened: Opened, layer: int = 0, unit: int = 0, progress: Progress = no_progress) -> ExamplesView:
    """The tokens of the validation text at which one MLP unit is most active.

    The first request for some weights reads the whole slice and finds the examples of all their units; later ones are
    answered from what it found.
    """
    config = opened.model.config
    check_index(("layer", layer, config.n_layers), ("unit", unit, config.mlp_width))
    pieces = validation_pieces(opened)

    def scan() -> interp.NeuronExamples:
        with opened.lock:
            return interp.neuron_examples(opened.model, pieces, EXAMPLES, opened.taking_turns(progress))

    found: interp.NeuronExamples = opened.cached("unit_examples", scan)
    examples = [
        _example(opened, pieces[found.sequences[layer, unit, i]].tolist(), int(found.positions[layer, unit, i]), value)
        for i, value in enumerate(found.values[layer, unit].tolist())
    ]
    on_rate = float(found.on_rate[layer, unit])
    return ExamplesView(opened.loaded.name, opened.loaded.step, layer, unit, found.n_tokens, on_rate, examples)


def _example(opened: Opened, piece: list[int], position: int, value: float) -> Example:
    start = max(0, position - BEFORE)
    shown = piece[start : position + AFTER + 1]
    return Example(value, labels(opened.tokenizer, shown), position - start, position)
