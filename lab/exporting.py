"""A model from here to a folder that other programs open."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save

from lab.files import write_whole
from lab.model import GPT
from lab.model.gpt2_layout import CONFIG_FILE, WEIGHTS_FILE, gpt2_config, gpt2_weights


def save_gpt2(model: GPT, folder: str | Path) -> None:
    """Write a folder that `transformers.GPT2LMHeadModel.from_pretrained(folder)` opens, with the same logits.

    Missing biases are written as zeros, rows that only pad the vocabulary are left out. Raises ValueError naming every
    switch that GPT-2 does not have.
    """
    config = gpt2_config(model.config)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / WEIGHTS_FILE, save(gpt2_weights(model), metadata={"format": "pt"}))
    write_whole(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n")
