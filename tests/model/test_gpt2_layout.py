"""GPT-2's layout: there and back, and what it cannot express."""

from __future__ import annotations

import pytest
import torch

from lab.model import GPT, GPTConfig
from lab.model.gpt2_layout import config_from_gpt2, gpt2_config, gpt2_weights, model_from_gpt2

CONFIG = GPTConfig(n_layers=2, n_heads=2, d_model=16, context_length=8, vocab_size=50, dropout=0.1)


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_comes_back_as_it_was(tied: bool) -> None:
    torch.manual_seed(0)
    model = GPT(CONFIG.__class__(**{**vars(CONFIG), "tie_embeddings": tied})).eval()
    config = config_from_gpt2(gpt2_config(model.config))
    back = model_from_gpt2(config, gpt2_weights(model))
    tokens = torch.arange(8)[None]
    torch.testing.assert_close(back(tokens), model(tokens))


def test_what_gpt2_lacks_is_named_all_at_once() -> None:
    modern = GPTConfig(n_layers=1, n_heads=2, n_kv_heads=1, d_model=16, positions="rope", norm="rmsnorm", mlp="swiglu")
    with pytest.raises(ValueError, match="cannot express") as caught:
        gpt2_config(modern)
    for setting in ("positions='rope'", "norm='rmsnorm'", "mlp='swiglu'", "n_kv_heads=1"):
        assert setting in str(caught.value)


def test_settings_and_weights_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="activation_function='tanh'") as caught:
        config_from_gpt2({"activation_function": "tanh", "attn_pdrop": 0.5, "model_type": "bert"})
    assert "one dropout" in str(caught.value)
    assert "model_type='bert'" in str(caught.value)
    weights = gpt2_weights(GPT(CONFIG))
    weights["transformer.wte.weight"] = torch.zeros(3, 16)
    weights["transformer.extra"] = weights.pop("transformer.ln_f.bias")
    with pytest.raises(ValueError, match=r"ln_f\.bias is missing") as caught:
        model_from_gpt2(CONFIG, weights)
    assert "extra is no weight of GPT-2's" in str(caught.value)
    assert "wte.weight is [3, 16]" in str(caught.value)
