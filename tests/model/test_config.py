from __future__ import annotations

import pytest

from lab.model import GPT, GPTConfig, count_parameters


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"n_layers": 0}, ["n_layers=0", "at least 1"]),
        ({"n_heads": True}, ["n_heads=True", "whole number"]),
        ({"d_mlp": 1.5}, ["d_mlp=1.5", "whole number"]),
        ({"vocab_size": 1}, ["vocab_size=1", "at least 2"]),
        ({"positions": "rotary"}, ["positions='rotary'", "learned, rope, none"]),
        ({"mlp": "silu"}, ["mlp='silu'", "gelu, gelu_tanh, swiglu, relu2, relu"]),
        ({"bias": "no"}, ["bias='no'", "true or false"]),
        ({"dropout": 1.0}, ["dropout=1.0", "[0, 1)"]),
        ({"dropout": float("nan")}, ["dropout=nan"]),
        ({"logit_softcap": 0.0}, ["logit_softcap=0.0", "above 0"]),
        ({"init_std": -0.02}, ["init_std=-0.02"]),
        ({"d_model": 100, "n_heads": 3}, ["d_model=100", "n_heads=3", "99 or 102"]),
        ({"d_model": 2, "n_heads": 3}, ["d_model=2", "take d_model 3"]),
        ({"n_heads": 4, "n_kv_heads": 3}, ["n_kv_heads=3", "1, 2, 4"]),
        ({"d_model": 12, "n_heads": 4, "positions": "rope"}, ["rope", "3 is odd"]),
        ({"rope_base": 500.0}, ["rope_base=500.0", "positions='learned'", "positions: rope"]),
    ],
)
def test_a_bad_setting_is_named_with_its_value_and_a_remedy(settings: dict, told: list[str]) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        GPTConfig(**settings)
    for words in told:
        assert words in str(error.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ValueError, match=r".") as error:
        GPTConfig(n_layers=-1, vocab_size=0, norm="batchnorm", dropout=2, logit_softcap=-1)  # type: ignore[arg-type]
    assert len(str(error.value).splitlines()) == 5
    with pytest.raises(ValueError, match=r".") as error:
        GPTConfig(d_model=100, n_heads=6, n_kv_heads=4, rope_base=2.0)
    assert len(str(error.value).splitlines()) == 3


def test_what_is_left_out_is_resolved() -> None:
    config = GPTConfig(d_model=384, n_heads=6, vocab_size=50257, pad_vocab_to=64)
    assert (config.d_head, config.kv_heads, config.mlp_width) == (64, 6, 1536)
    assert config.padded_vocab_size == 50304
    assert GPTConfig(d_model=384, n_heads=6, n_kv_heads=2, d_mlp=100).kv_heads == 2
    assert GPTConfig(d_model=384, n_heads=6, n_kv_heads=2, d_mlp=100).mlp_width == 100


@pytest.mark.parametrize("d_model", [64, 128, 384, 768])
def test_swiglu_costs_as_many_parameters_as_the_others(d_model: int) -> None:
    costs = [count_parameters(GPTConfig(d_model=d_model, mlp=mlp))["mlp"] for mlp in ("gelu", "swiglu")]
    assert costs[1] == pytest.approx(costs[0], rel=0.03)


def test_a_configuration_cannot_be_changed_behind_the_validation() -> None:
    with pytest.raises(AttributeError):
        GPTConfig().n_layers = 0  # type: ignore[misc]


def test_the_smallest_model_there_is_works() -> None:
    import torch

    config = GPTConfig(n_layers=1, n_heads=1, d_model=1, d_mlp=1, context_length=1, vocab_size=2)
    assert GPT(config)(torch.tensor([[1]])).shape == (1, 1, 2)
