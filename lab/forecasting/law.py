"""From a few finished trainings to the final loss of another: a law with three free parameters and an interval.

    loss(N, D) = E + A · N^-0.25 + B · D^-0.35         (N parameters that compute, D tokens)

The form is Chinchilla's (Hoffmann et al. 2022, §3.3); its two exponents are fixed beforehand, because a handful of
small runs cannot tell five numbers apart, and then the law is linear in E, A and B. Even three are too many for a
ladder that costs a tenth: its runs tell the level of the loss, and hardly how it divides. Two things known beforehand
say how it does: what is left however much is learned follows from the text itself (`Floor`), and how the rest usually
divides between size and tokens is a prior. So the estimate is a Bayesian linear regression: directions in which the
runs say little show as a wide interval instead of a wild forecast.

Exponents, shares and spreads were found on 34 targets of 60 to 450 thousand such parameters and 1 to 3.5 million
tokens (characters, bytes and BPE, prose and code; LOG.md); they are a description of that scale, not of any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.errors import NotEnough

SIZE_EXPONENT, TOKEN_EXPONENT = 0.25, 0.35
# The prior of E, the loss that stays: a share and its standard deviation.
OF_XZ, OF_XZ_SPREAD = 0.45, 0.06  # of the nats that xz needs for a token of the text, 64 KB at a time
ENTROPY_SPREAD = 0.02  # of the entropy, where the corpus is synthetic and its entropy is known
UNKNOWN_FLOOR, UNKNOWN_SPREAD = 0.30, 0.15  # of the loss, where nothing is known of the text
# The prior of A: the part of the reducible loss that a larger model would remove, at `AT` parameters and tokens.
SIZE_SHARE, AT = 0.40, (300_000, 1_200_000)
SHARE_SPREAD = 0.08  # its standard deviation, as a part of the loss
SCATTER = 0.015  # relative standard deviation of a run's loss around the law: seeds, details of the recipe
SEED_NOISE, SEED_RUNS = 0.006, 3  # relative standard deviation over seeds assumed at first; weighs as 3 pairs of runs
BIAS = 0.012  # relative error of the law itself at ten times the ladder's compute; LOG.md
Z80 = 1.2816  # half of an 80 % interval, in standard deviations of the normal distribution
FEWEST = 3
ROUNDS = 8


@dataclass(frozen=True)
class Floor:
    """The loss that no training takes away, nats per token, and how far off that is usually: the law's E beforehand."""

    value: float
    spread: float

    @classmethod
    def of(cls, baselines: Mapping[str, Any]) -> Floor | None:
        """From the baselines of a text, as `data.json` has them; None where they tell nothing.

        A made text's entropy is exact. Of another, xz over windows tells how regular it is: small models of
        characters, bytes and subwords, of prose and code, all fall as if towards `OF_XZ` of what it needs.
        """
        entropy, packed = baselines.get("nats_per_token", {}).get("floor"), baselines.get("windows")
        if entropy is not None:
            return cls(entropy, ENTROPY_SPREAD * entropy)
        return None if packed is None else cls(OF_XZ * packed, OF_XZ_SPREAD * packed)


@dataclass(frozen=True)
class Trained:
    """A finished training as a law sees it.

    Args:
        size: Parameters that compute (`lab.forecasting.ladder.computing_parameters`).
        tokens: Tokens it learned from.
        loss: Final validation loss, nats per token.
        curve: (part of the run done, validation loss) on the way; the last point is the end.
        seconds: Seconds it took.
    """

    size: int
    tokens: int
    loss: float
    curve: tuple[tuple[float, float], ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Forecast:
    """A number and the interval that is to hold it with probability 0.8; `method` says in a sentence where from."""

    value: float
    low: float
    high: float
    method: str
    seed_noise: float | None = None
    """Standard deviation over seeds that is part of the interval, relative to the value."""

    @classmethod
    def around(cls, value: float, deviation: float, method: str, seed_noise: float | None = None) -> Forecast:
        """The 80 % interval of a normal distribution; `deviation` is relative to the value."""
        half = Z80 * deviation * abs(value)
        return cls(value, value - half, value + half, method, seed_noise)


def forecast_loss(
    runs: Sequence[Trained], size: int, tokens: int, source: str = "the ladder", floor: Floor | None = None
) -> Forecast:
    """The final validation loss of a training with `size` parameters on `tokens` tokens, all of one text.

    Raises `NotEnough` for fewer than three runs, or runs that are all alike.
    """
    runs = [run for run in runs if math.isfinite(run.loss) and run.loss > 0]
    kinds = {(run.size, run.tokens) for run in runs}
    if len(kinds) < FEWEST:
        raise NotEnough(
            f"not enough to say: of {source} {len(kinds)} tell of a size or length of their own, a law takes {FEWEST}"
        )
    x = np.array([[1.0, (r.size / size) ** -SIZE_EXPONENT, (r.tokens / tokens) ** -TOKEN_EXPONENT] for r in runs])
    y = np.array([r.loss for r in runs])
    noise = seed_noise(runs)
    mean, deviation = _predict(x, y, math.hypot(SCATTER, noise), size_share(size, tokens), floor)
    farther = math.log(max(1.0, tokens * size / max(r.tokens * r.size for r in runs))) / math.log(10)
    total = math.sqrt(deviation**2 + noise**2 + (BIAS * farther) ** 2)
    law = f"loss = E + A·N^-{SIZE_EXPONENT} + B·D^-{TOKEN_EXPONENT} through {len(runs)} runs of {source}"
    return Forecast.around(mean, total, law, noise)


def seed_noise(runs: Sequence[Trained]) -> float:
    """Relative standard deviation over seeds: from runs alike in size and tokens, and what is usual where few are."""
    total, count = SEED_RUNS * SEED_NOISE**2, float(SEED_RUNS)
    groups: dict[tuple[int, int], list[float]] = {}
    for run in runs:
        groups.setdefault((run.size, run.tokens), []).append(math.log(run.loss))
    for losses in groups.values():
        if len(losses) > 1:
            total += (len(losses) - 1) * float(np.var(losses, ddof=1))
            count += len(losses) - 1
    return math.sqrt(total / count)


def size_share(size: int, tokens: int) -> float:
    """Which part of what can still be learned a larger network usually learns, at this size and length."""
    larger = SIZE_SHARE * (size / AT[0]) ** -SIZE_EXPONENT
    longer = (1 - SIZE_SHARE) * (tokens / AT[1]) ** -TOKEN_EXPONENT
    return larger / (larger + longer)


def _predict(x: np.ndarray, y: np.ndarray, scatter: float, share: float, floor: Floor | None) -> tuple[float, float]:
    """The loss at the target, where every regressor is 1, and its relative standard deviation.

    The prior knows where E lies, and of A and B only how they divide: it holds A (1 - share) - B share near 0. Its
    units are the loss, which is what is looked for, so this is repeated until it stands still.
    """
    split, is_floor = np.array([0.0, 1 - share, -share]), np.array([1.0, 0.0, 0.0])
    x, loss = x / y[:, None], float(y.min())
    for _ in range(ROUNDS):
        known = floor or Floor(UNKNOWN_FLOOR * loss, UNKNOWN_SPREAD * loss)
        precision = np.outer(split, split) / (SHARE_SPREAD * loss) ** 2 + np.outer(is_floor, is_floor) / known.spread**2
        covariance = np.linalg.inv(precision + x.T @ x / scatter**2)
        told = x.sum(axis=0) / scatter**2 + is_floor * known.value / known.spread**2
        loss = float((covariance @ told).sum())
    return loss, math.sqrt(covariance.sum()) / loss
