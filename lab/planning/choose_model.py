"""The model for a given training time: the largest that still sees enough text."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from lab.model import GPTConfig, count_parameters

TOKENS_PER_PARAMETER = 20.0  # compute-optimal (Hoffmann et al. 2022): fewer is undertrained, more a model too small
MOST_EPOCHS = 4.0  # up to about four passes a text is nearly as good as new text (Muennighoff et al. 2023, §5)
WIDTHS = (32, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, 2048)


@dataclass(frozen=True)
class Choice:
    """The network chosen, the tokens it will see, and why neither more nor less, in a sentence."""

    config: GPTConfig
    tokens: int
    tokens_per_second: float
    why: str


def shaped(config: GPTConfig, width: int) -> GPTConfig:
    """The same switches at another width, drawn as the presets are: deeper as it is wider, heads of 32 or 64."""
    heads = max(1, width // (32 if width < 384 else 64))
    group = config.n_heads // config.kv_heads
    heads = next(h for h in range(heads, 0, -1) if width % h == 0 and (width // h) % 2 == 0)
    kv_heads = None if config.n_kv_heads is None else heads // group if heads % group == 0 else heads
    layers = max(2 if width < 64 else 3 if width < 128 else 4, width // 64)
    return replace(config, d_model=width, n_layers=layers, n_heads=heads, n_kv_heads=kv_heads, d_mlp=None)


def largest(
    config: GPTConfig,
    seconds: float,
    speed: Callable[[GPTConfig], float],
    fits: Callable[[GPTConfig], bool],
    text_tokens: int | None,
) -> Choice:
    """The widest network that sees 20 tokens for each of its parameters within `seconds`.

    Args:
        config: Its switches are kept, its shape is not.
        speed: Tokens per second of training a network here, measured; asked a handful of times.
        fits: Whether a network's step fits into memory.
        text_tokens: Tokens of the training text; None: it never repeats.

    Raises ValueError where not even the narrowest fits.
    """
    shapes = [shaped(config, width) for width in WIDTHS]
    if not fits(shapes[0]):
        raise ValueError("not even a network 32 wide fits into this machine's memory: lower data.batch_size")
    speeds: dict[int, float] = {}

    def tokens(i: int) -> float:
        if i not in speeds:
            speeds[i] = speed(shapes[i])
        return speeds[i] * seconds

    @cache
    def enough(i: int) -> bool:
        return tokens(i) >= TOKENS_PER_PARAMETER * count_parameters(shapes[i])["total"]

    @cache
    def sensible(i: int) -> bool:
        return fits(shapes[i]) and enough(i)

    # Parameters grow and speed falls with width, so there is one border. It is looked for from below, in doubling
    # strides and then by halves: what is wide takes long to measure.
    low, high = 0, 1
    while high < len(shapes) and sensible(high):
        low, high = high, 2 * high
    high = min(high, len(shapes))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if sensible(middle) else (low, middle)
    seen = math.floor(tokens(low))
    parameters = count_parameters(shapes[low])["total"]
    why = f"{seen / parameters:.0f} tokens for each parameter; the next wider one would see fewer than 20"
    if low == 0 and not enough(0):
        why = (
            f"the narrowest there is; it sees only {seen / parameters:.1f} tokens for each parameter: give more minutes"
        )
    elif low == len(shapes) - 1 or not fits(shapes[low + 1]):
        why = f"the widest that fits into memory; it sees {seen / parameters:.0f} tokens for each parameter"
    if text_tokens and seen > MOST_EPOCHS * text_tokens:
        why += f"; that is {seen / text_tokens:.1f} passes over the text, and more than {MOST_EPOCHS:.0f} teach little"
    return Choice(shapes[low], seen, speeds[low], why)
