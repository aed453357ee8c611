"""How noisy the gradient is, and so how large a batch is worth having, from the micro-batches of a step."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from lab.callbacks.instrument import Instrument
from lab.runs import metrics
from lab.training.callback import FitContext
from lab.training.step import StepBatch

DECAY = 0.9  # of the running means: one measurement of either number is mostly noise, their ratio even more so


class GradientNoise(Instrument):
    """Measures how noisy gradients are, and how large a batch is worth having.

    This is the gradient noise scale of McCandlish et al. (2018, appendix A.1), without a backward pass of its own.
    The gradient over b tokens has the expected squared norm |G|² + S/b: the true gradient's, and the noise S of
    one token's, which averaging over b divides. A step with accumulation computes gradients over one micro-batch
    and over all of them, two sizes b, so both unknowns can be solved for. S/|G|² is the critical batch size: r times
    as large as a step's tokens, twice the batch saves r/2/(1 + r) of the steps (equation 2.7): 38 % at 3, 5 % at 0.1.

    Not applicable (and silent) without accumulation, and across several processes, whose gradients are
    averaged before they could be compared.

    Args:
        every: Optimizer steps between measurements; 0: none; None: a hundredth of the run.
    """

    group = "gradient_noise"
    per_run = 100

    def __init__(self, every: int | None = None) -> None:
        super().__init__(every)
        self._shares: list[float] = []
        self._tokens = 0.0
        self._previous: list[Tensor] | None = None
        self._squared_small = 0.0
        self._noise = self._signal = self._weight = 0.0
        self._measured: tuple[float, float] | None = None

    def due(self, fit: FitContext, step: int) -> bool:
        """At step 1 too, but not before the first gradient."""
        return step > 0 and fit.n_processes == 1 and super().due(fit, step)

    def before_step(self, fit: FitContext, batch: StepBatch) -> None:
        """At a step that is due, measure after each micro-batch."""
        super().before_step(fit, batch)
        self._previous, self._measured, self._squared_small = None, None, 0.0
        tokens, targets = batch
        if len(tokens) < 2 or not self.due(fit, fit.step + 1):
            return
        counted = (targets != -1).flatten(1).sum(dim=1).double()
        self._tokens = float(counted.sum())
        self._shares = (counted / counted.sum()).tolist()
        fit.module.on_micro_batch = partial(self._measure, fit)

    @torch.no_grad()
    def _measure(self, fit: FitContext, i: int) -> None:
        """The gradient of micro-batch i is what it added to the sum."""
        try:
            now = [p.grad for p in fit.model.parameters() if p.grad is not None]
            added = now if self._previous is None else [a - b for a, b in zip(now, self._previous, strict=True)]
            share = self._shares[i]
            if share > 0:  # each added its share of the mean: over it, the micro-batch's own mean gradient
                self._squared_small += squared_norm(added) / share**2 / len(self._shares)
            if i + 1 < len(self._shares):
                self._previous = [g.clone() for g in now]
            else:
                self._previous = None
                self._measured = self._squared_small, squared_norm(now)
        except Exception as error:
            fit.logbook.failure(self.group, fit.step + 1, error)

    def after_step(self, fit: FitContext) -> None:
        """Log what was measured."""
        fit.module.on_micro_batch = None
        super().after_step(fit)

    def look(self, fit: FitContext) -> None:
        """Both unknowns from the two equations, averaged over measurements, then their ratio."""
        if self._measured is None:
            return
        small, big = self._tokens / len(self._shares), self._tokens
        noise, signal = solve(*self._measured, small, big)
        if (scale := fit.module.loss_scale) is not None:  # fp16's gradients come multiplied
            noise, signal = noise / scale**2, signal / scale**2
        self._noise = DECAY * self._noise + (1 - DECAY) * noise
        self._signal = DECAY * self._signal + (1 - DECAY) * signal
        self._weight = DECAY * self._weight + (1 - DECAY)
        values = {
            metrics.STATS_GRADIENT_NOISE: self._noise / self._weight,
            metrics.STATS_GRADIENT_SIGNAL: self._signal / self._weight,
        }
        if self._signal > 0 and self._noise > 0:  # an estimate of either may fall below 0, and means nothing then
            values[metrics.STATS_CRITICAL_BATCH] = self._noise / self._signal
        fit.logbook.log(fit.step, values)

    def state_dict(self) -> dict[str, float]:
        """The running means."""
        return {"noise": self._noise, "signal": self._signal, "weight": self._weight}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Go on with them."""
        self._noise, self._signal, self._weight = (state_dict[name] for name in ("noise", "signal", "weight"))


def solve(squared_small: float, squared_big: float, small: float, big: float) -> tuple[float, float]:
    """(S, |G|²) from the mean squared norms of gradients over `small` and over `big` tokens: unbiased estimates.

    McCandlish et al. 2018, equations A.2 and A.3.
    """
    noise = (squared_small - squared_big) / (1 / small - 1 / big)
    signal = (big * squared_big - small * squared_small) / (big - small)
    return noise, signal


def squared_norm(tensors: list[Tensor]) -> float:
    """The sum of the squares of all their numbers."""
    return float(torch.nn.utils.get_total_norm(tensors)) ** 2
