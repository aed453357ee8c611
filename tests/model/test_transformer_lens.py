"""What a learner reads about TransformerLens fits here: the same names, shapes and values."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from lab.exporting import save_gpt2
from lab.model import GPT, GPTConfig
from tests.variants import TINY

bridge = pytest.importorskip("transformer_lens.model_bridge", reason="pip install --group peers")
transformers = pytest.importorskip("transformers")


def test_every_activation_equals_transformer_lens_under_the_same_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = GPT(GPTConfig(**TINY, mlp="gelu_tanh")).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.ndim == 1) / 2, std=0.2)
    save_gpt2(ours, tmp_path)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, attn_implementation="eager")
    lens = bridge.TransformerBridge.boot_transformers(str(tmp_path), hf_model=theirs, tokenizer=None)

    tokens, seen = torch.randint(0, 65, (2, 16)), {}

    def tap(name: str, x: Tensor) -> Tensor:
        seen[name] = x
        return x

    with torch.no_grad():
        logits = ours(tokens, tap)
        expected, cache = lens.run_with_cache(tokens)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
    for name in ours.hook_names():
        # Their mask is the most negative number there is, ours minus infinity.
        their_activation = torch.where(cache[name] < -1e30, -torch.inf, cache[name])
        torch.testing.assert_close(seen[name], their_activation, atol=1e-4, rtol=0, msg=name)
