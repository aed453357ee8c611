from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.exporting import save_gpt2
from lab.loading.huggingface import load_gpt2
from lab.model import GPT, GPTConfig
from tests.variants import TINY


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"mlp": "gelu_tanh", "dropout": 0.1},
        {"bias": False, "mlp": "relu2"},
        {"tie_embeddings": False, "pad_vocab_to": 64},
        {"pad_vocab_to": 128, "d_mlp": 40, "zero_init": True},
    ],
    ids=str,
)
def test_a_model_from_here_opens_there_and_comes_back(switches: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = GPT(GPTConfig(**TINY, **switches)).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_gpt2(ours, tmp_path)
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    back = load_gpt2(tmp_path)
    tokens = torch.randint(0, 65, (2, 16))
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens).logits, ours(tokens), atol=1e-4, rtol=0)
        torch.testing.assert_close(back(tokens), ours(tokens), atol=1e-5, rtol=0)
    assert theirs.config.vocab_size == back.config.padded_vocab_size == 65
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_every_switch_that_gpt2_lacks_is_named(tmp_path: Path) -> None:
    config = GPTConfig(
        **TINY,
        n_kv_heads=2,
        positions="rope",
        norm="rmsnorm",
        norm_position="post",
        mlp="swiglu",
        qk_norm=True,
        logit_softcap=15.0,
    )
    with pytest.raises(ValueError, match="cannot express this model") as error:
        save_gpt2(GPT(config), tmp_path / "out")
    for switch in ("positions='rope'", "norm='rmsnorm'", "norm_position='post'", "mlp='swiglu'"):
        assert switch in str(error.value)
    for switch in ("qk_norm=True", "logit_softcap=15.0", "n_kv_heads=2"):
        assert switch in str(error.value)
    assert not (tmp_path / "out").exists()
