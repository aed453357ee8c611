"""What is said of a part is true for the switches of the model at hand."""

from __future__ import annotations

from typing import Any

from analysis_app.analyses.anatomy.parts import anatomy
from lab.model import GPT, GPTConfig
from tests.analysis_app.analyses.anatomy.models import open_model


def test_the_words_are_true_for_the_switches() -> None:
    def said(**switches: Any) -> dict[str, str]:
        settings = {"n_layers": 1, "n_heads": 4, "d_model": 32, "context_length": 16, "vocab_size": 257} | switches
        parts = anatomy(open_model(GPT(GPTConfig(**settings)).eval()), text="one")["parts"]
        return {part.key: f"{part.words.title}: {part.words.words} {part.words.formula}" for part in parts}

    plain, modern = (
        said(),
        said(
            positions="rope",
            norm="rmsnorm",
            mlp="swiglu",
            n_kv_heads=2,
            qk_norm=True,
            tie_embeddings=False,
            logit_softcap=15.0,
        ),
    )
    assert "pos" in plain
    assert "pos" not in modern
    for key, words in {"ln1": "variance", "mlp": "GELU", "logits": "tied"}.items():
        assert words in plain[key]
        assert words not in modern[key]
    for key, words in {"ln1": "root mean square", "mlp": "gate", "logits": "tanh"}.items():
        assert words in modern[key]
        assert words not in plain[key]
    for words in ("grouped-query", "QK-norm", "rotary"):
        assert words in modern["attn"]
        assert words not in plain["attn"]
    post = said(norm_position="post")
    assert "post-norm" in post["ln1"]
    assert "ln_final" not in post
    assert "2 sets serve 4 heads, 2 each" in modern["attn"]
