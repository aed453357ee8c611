"""From a few finished trainings to the final loss of another: a law with three free parameters and an interval.

    loss(N, D) = E + A · N^-0.2 + B · D^-0.3          (N parameters that compute, D tokens)

The form is Chinchilla's (Hoffmann et al. 2022, §3.3); its two exponents are fixed beforehand, because a handful of
small runs cannot tell five numbers apart, and then the law is linear in E, A and B. Even three are too many for a
ladder that costs a tenth: its runs tell the level of the loss, and hardly how it divides. So a prior says how it
usually does, and the estimate is a Bayesian linear regression: directions in which the runs say little show as a wide
interval instead of a wild forecast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SIZE_EXPONENT, TOKEN_EXPONENT = 0.2, 0.3
SHARES, AT = (0.28, 0.30, 0.42), (300_000, 1_200_000)
"""How the loss divides among E, A and B, and at how many parameters and tokens it does so: the law itself carries it
to any other place. From two trainings (subwords of Python, characters of Shakespeare); see LOG.md."""
SHARES_SPREAD = 0.06
"""Standard deviation of each of these shares."""
SCATTER = 0.008
"""Standard deviation, relative, of what a run's loss misses the law by: seeds, and corners of the recipe."""
SEED_NOISE, SEED_RUNS = 0.006, 3
"""Relative standard deviation over seeds, to begin with, and how many pairs of runs it takes to be believed as much."""
BIAS = 0.025
"""What the law itself errs by, relative, at ten times the ladder's compute; see LOG.md."""
Z80 = 1.2816
"""Half of an 80 % interval, in standard deviations of the normal distribution."""
FEWEST = 3
ROUNDS = 8


class NotEnough(ValueError):
    """There is too little to say anything; the message tells what is missing."""


@dataclass(frozen=True)
class Trained:
    """A finished training as a law sees it.

    Args:
        size: Parameters that compute (`lab.planning.ladder.size`).
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


def forecast_loss(runs: Sequence[Trained], size: int, tokens: int, source: str = "the ladder") -> Forecast:
    """The final validation loss of a training with `size` parameters on `tokens` tokens.

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
    mean, deviation = _predict(x, y, math.hypot(SCATTER, noise), shares(size, tokens))
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


def shares(size: int, tokens: int) -> np.ndarray:
    """How the loss usually divides among E, A and B at this size and length; they sum to 1."""
    grown = [1.0, (size / AT[0]) ** -SIZE_EXPONENT, (tokens / AT[1]) ** -TOKEN_EXPONENT]
    parts = np.array(SHARES) * grown
    return parts / parts.sum()


def _predict(x: np.ndarray, y: np.ndarray, scatter: float, usual: np.ndarray) -> tuple[float, float]:
    """The loss at the target, where every regressor is 1, and its relative standard deviation.

    The prior is on the shares alone and knows nothing of the loss itself: it holds `weights - usual · sum(weights)`
    near 0, in units of that sum. The sum is what is looked for, so this is repeated until it stands still.
    """
    contrast = np.eye(3) - np.outer(usual, np.ones(3))
    x, loss = x / y[:, None], float(y.min())
    for _ in range(ROUNDS):
        precision = contrast.T @ contrast / (SHARES_SPREAD * loss) ** 2 + x.T @ x / scatter**2
        covariance = np.linalg.inv(precision)
        loss = float((covariance @ x.sum(axis=0)).sum()) / scatter**2
    return loss, math.sqrt(covariance.sum()) / loss
