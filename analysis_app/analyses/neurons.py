"""The hidden units of the MLPs: what one of them does on a text, and where in validation text it is most active."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from analysis_app.analyses.declaration import Answer, LongRequest, analysis
from analysis_app.analyses.text import check_index, read_text, validation_pieces
from analysis_app.analyses.token_labels import labels
from analysis_app.library import Opened, no_progress
from lab import interp
from lab.interp.ablation import Progress

STRONGEST = 12
EXAMPLES = 20  # kept of each unit
BEFORE, AFTER = 14, 6  # tokens around an example


class NeuronRequest(LongRequest):
    """Which unit."""

    layer: int = 0
    unit: int = Field(0, description="of the layer's MLP, from 0")
    position: int | None = Field(None, description="where the strongest units are looked for; left out: anywhere")


@analysis("neuron", NeuronRequest)
def neuron(
    opened: Opened, text: str | None = None, layer: int = 0, unit: int = 0, position: int | None = None
) -> Answer:
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
    return {
        "source": source,
        "layer": layer,
        "unit": unit,
        "n_units": config.mlp_width,
        "activation": values[:, unit].copy(),  # [pos] `mlp.hook_post`
        "position": position,  # where the strongest were looked for; None: anywhere in the text
        "strongest": strongest,  # [k] units of the layer that this text moves most
        "strongest_values": most[strongest],  # [k]
    }


@analysis("neuron_examples", NeuronRequest)
def neuron_examples(opened: Opened, layer: int = 0, unit: int = 0, progress: Progress = no_progress) -> Answer:
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

    found = opened.cached("unit_examples", scan)
    places = zip(found.sequences[layer, unit].tolist(), found.positions[layer, unit].tolist(), strict=True)
    return {
        "run": opened.loaded.name,
        "step": opened.loaded.step,
        "layer": layer,
        "unit": unit,
        "n_tokens": found.n_tokens,
        "on_rate": float(found.on_rate[layer, unit]),  # share of tokens at which it is on
        "examples": [
            _example(opened, pieces[sequence].tolist(), position, value)
            for (sequence, position), value in zip(places, found.values[layer, unit].tolist(), strict=True)
        ],
    }


def _example(opened: Opened, piece: list[int], position: int, value: float) -> Answer:
    start = max(0, position - BEFORE)
    return {
        "value": value,
        "tokens": labels(opened.tokenizer, piece[start : position + AFTER + 1]),
        "at": position - start,  # which of them it is
        "position": position,  # how many tokens of context the model had before it
    }
