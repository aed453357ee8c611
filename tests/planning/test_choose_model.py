"""Minutes turned round: how large a model."""

from __future__ import annotations

import pytest

from lab.model import GPTConfig, count_parameters, flops_per_token
from lab.planning.choose_model import WIDTHS, largest, shaped

SWITCHES = GPTConfig(n_heads=4, n_kv_heads=2, vocab_size=256, context_length=64, positions="rope", qk_norm=True)


def machine(flops: float):
    """Tokens per second of a machine that always does so many FLOP/s; counts how often it was asked."""
    asked: list[int] = []

    def speed(config: GPTConfig) -> float:
        asked.append(config.d_model)
        return flops / flops_per_token(config)

    return speed, asked


@pytest.mark.parametrize("seconds", [60, 600, 6000])
def test_the_largest_that_sees_enough(seconds: float) -> None:
    speed, asked = machine(1e11)
    found = largest(SWITCHES, seconds, speed, lambda _: True, None)
    assert found.tokens / count_parameters(found.config)["total"] >= 20
    wider = shaped(SWITCHES, WIDTHS[WIDTHS.index(found.config.d_model) + 1])
    assert seconds * speed(wider) < 20 * count_parameters(wider)["total"]
    assert len(asked) <= 9
    assert max(asked) <= 2.6 * found.config.d_model + 64
    assert found.config.qk_norm
    assert "tokens for each parameter" in found.why


def test_every_width_is_a_network() -> None:
    for width in WIDTHS:
        shape = shaped(SWITCHES, width)
        assert shape.d_model == width
        assert shape.d_head % 2 == 0


def test_memory_and_text_have_their_say() -> None:
    speed, _ = machine(1e15)
    found = largest(SWITCHES, 600, speed, lambda config: config.d_model <= 96, 1000)
    assert found.config.d_model == 96
    assert "widest that fits into memory" in found.why
    assert "passes over the text" in found.why
    slow, _ = machine(1e6)
    assert "give more minutes" in largest(SWITCHES, 60, slow, lambda _: True, None).why
    with pytest.raises(ValueError, match="not even"):
        largest(SWITCHES, 600, speed, lambda _: False, None)
