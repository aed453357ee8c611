"""Activations against two implementations that no one here wrote: transformers and transformer-lens."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.exporting import save_gpt2
from lab.interp import attention_patterns, logit_lens, run_with_cache, token_losses
from lab.interp.lens import lens_logits
from lab.model import GPT, GPTConfig
from tests.interp.models import lively, random_tokens

SHAPES = [
    GPTConfig(n_layers=2, n_heads=4, d_model=32, context_length=16, vocab_size=65, mlp="gelu_tanh"),
    GPTConfig(n_layers=3, n_heads=2, d_model=48, d_mlp=80, context_length=20, vocab_size=97, mlp="gelu_tanh"),
    GPTConfig(n_layers=1, n_heads=3, d_model=24, context_length=12, vocab_size=50, mlp="gelu", tie_embeddings=False),
]
EVERY_SHAPE = pytest.mark.parametrize("config", SHAPES, ids=lambda c: f"{c.n_layers}x{c.n_heads}x{c.d_model}")
ATOL = 1e-4


def saved(config: GPTConfig, folder: Path) -> GPT:
    """A model with weights of a trained one's size (the peers, too, round at 1e-4 where logits reach 1000),
    and its GPT-2 folder."""
    model = lively(config)
    save_gpt2(model, folder)
    return model


@EVERY_SHAPE
def test_attentions_and_hidden_states_are_those_of_transformers(config: GPTConfig, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = saved(config, tmp_path)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
    tokens = random_tokens(config)
    cache = run_with_cache(model, tokens)
    with torch.no_grad():
        said = theirs(tokens, output_attentions=True, output_hidden_states=True, labels=tokens)
    np.testing.assert_allclose(cache.logits.numpy(), said.logits.numpy(), atol=ATOL, rtol=1e-5)
    np.testing.assert_allclose(attention_patterns(cache), torch.stack(said.attentions).numpy(), atol=ATOL)
    for layer in range(config.n_layers):
        torch.testing.assert_close(cache["resid_pre", layer], said.hidden_states[layer], atol=ATOL, rtol=1e-5)
    assert token_losses(cache).mean() == pytest.approx(float(said.loss), abs=ATOL)
    # The lens, with their final norm and head on their hidden states.
    with torch.no_grad():
        rows = [theirs.lm_head(theirs.transformer.ln_f(h)) for h in said.hidden_states[: config.n_layers]]
    for row, logits in enumerate(rows):
        np.testing.assert_allclose(lens_logits(model, cache, row), logits.numpy(), atol=ATOL, rtol=1e-4)
        best = logit_lens(model, cache).top_tokens[row, ..., 0]
        np.testing.assert_array_equal(best, logits.argmax(-1).numpy())


@EVERY_SHAPE
def test_activations_under_shared_names_are_those_of_transformer_lens(config: GPTConfig, tmp_path: Path) -> None:
    pytest.importorskip("transformer_lens", reason="transformer-lens is not installed: pip install --group peers")
    from transformer_lens.model_bridge import TransformerBridge

    logging.getLogger("transformer_lens").setLevel(logging.ERROR)
    model = saved(config, tmp_path)
    theirs = TransformerBridge.boot_transformers(str(tmp_path))
    tokens = random_tokens(config)
    cache = run_with_cache(model, tokens)
    with torch.no_grad():
        logits, activations = theirs.run_with_cache(tokens)
    np.testing.assert_allclose(cache.logits.numpy(), logits.numpy(), atol=ATOL, rtol=1e-5)
    shared = [name for name in model.hook_names() if name in activations]
    assert shared == model.hook_names()  # it has every one of ours
    differences = {}
    for name in shared:
        ours, other = cache[name], activations[name]
        assert ours.shape == other.shape, name
        if name.endswith("attn_scores"):  # masked with another large negative number than -inf
            visible = ours.isfinite()
            assert (other[~visible] < -1e4).all()
            ours, other = ours[visible], other[visible]
        differences[name] = float((ours - other).abs().max())
    assert {name: d for name, d in differences.items() if d > ATOL} == {}
