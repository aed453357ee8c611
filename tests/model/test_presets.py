"""The presets in configs/model say their true size."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch
import yaml

from lab.model import GPT, GPTConfig

PRESETS = sorted((Path(__file__).parents[2] / "configs" / "model").glob("*.yaml"))
SHAPES = {
    "pico": (4, 4, 128),
    "nano": (6, 6, 384),
    "small": (8, 8, 512),
    "medium": (12, 12, 768),
    "large": (16, 16, 1024),
    "xlarge": (24, 16, 1024),
}


def test_all_presets_are_there() -> None:
    assert {path.stem for path in PRESETS} == set(SHAPES)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_is_what_its_name_and_comment_say(path: Path) -> None:
    text = path.read_text()
    settings = yaml.safe_load(text)
    assert set(settings) <= {field.name for field in fields(GPTConfig)}
    assert tuple(settings[name] for name in ("n_layers", "n_heads", "d_model")) == SHAPES[path.stem]

    comment = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    assert f"--model.config configs/model/{path.name}" in comment.splitlines()[0]
    stated = [int(number.replace(",", "")) for number in re.findall(r"\d{1,3}(?:,\d{3})+", comment)]
    vocabularies = {50257} | ({65} if "65 characters" in comment else set())
    for vocab_size in vocabularies:
        with torch.device("meta"):
            model = GPT(GPTConfig(**settings, vocab_size=vocab_size))
        counted = sum(parameter.numel() for parameter in model.parameters())
        assert counted in stated, f"{path.name} has {counted:,} parameters with a vocabulary of {vocab_size}"
        stated.remove(counted)
    assert stated == [50257]


def test_medium_and_xlarge_are_gpt2_small_and_medium() -> None:
    transformers = pytest.importorskip("transformers")
    for name, shape in (("medium", {}), ("xlarge", {"n_layer": 24, "n_head": 16, "n_embd": 1024})):
        settings = yaml.safe_load(next(path for path in PRESETS if path.stem == name).read_text())
        with torch.device("meta"):
            ours = GPT(GPTConfig(**settings))
            theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape))
        assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
        assert (settings["context_length"], settings["mlp"]) == (theirs.config.n_positions, "gelu_tanh")
