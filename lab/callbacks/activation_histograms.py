"""How large everything is: activations, weights and gradients as histograms, and how far an update moves each layer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lab.callbacks.activations import reference_activations
from lab.callbacks.dashboards import Dashboards
from lab.callbacks.instrument import Instrument
from lab.interp import HISTOGRAM_SITES, histogram, linear_edges, symmetric_log_edges
from lab.interp.arrays import IntArray
from lab.model import GPT
from lab.runs import metrics
from lab.training.callback import FitContext

COUNTS = 10  # histograms come with every tenth look, and with all of the log-spaced start
MOST_NUMBERS = 1 << 16  # counted of one layer's weights or activations: evenly spaced ones of more
ACTIVATION_EDGES = linear_edges()
WEIGHT_EDGES = symmetric_log_edges(1e-8, 1e2, per_decade=3)


class ActivationHistograms(Instrument):
    """Counts activations, weights and gradients of each layer, and measures how far an update moves it.

    Histograms have edges that never change and are counted on the device; activations are those on the reference texts.
    Curves: `stats/update_ratio`, `stats/grad_norm` and `stats/weight_norm` of each layer.

    The dashboards draw them; as small multiples in one picture they are `lab.figures.draw_histograms`.
    Gradients are those before clipping. Weights, gradients and ratios need no pass of their own: what the step
    computes anyway is read before it is thrown away.

    Args:
        every: Optimizer steps between looks after the log-spaced start; 0: none; None: a twentieth of the run.
            Histograms come with every tenth of them.
    """

    group = "activation_histograms"
    per_run = 20

    def __init__(self, every: int | None = None) -> None:
        super().__init__(every)
        self._before: dict[str, list[Tensor]] = {}
        self._grad_norms: dict[str, float] = {}
        self._gradients: dict[str, IntArray] = {}

    def counted(self, fit: FitContext, step: int) -> bool:
        """Whether this look also makes histograms."""
        return self.cadence.due(step, fit.total_steps, COUNTS)

    def before_update(self, fit: FitContext) -> None:
        """Before the update that the next look is about: keep the weights, read the gradients."""
        step = fit.step + 1
        if not self.due(fit, step):
            return
        try:
            self._read_gradients(fit.model, self.counted(fit, step) and bool(self.dashboards(fit)))
        except Exception as error:
            fit.logbook.failure(self.group, step, error)

    @torch.no_grad()
    def _read_gradients(self, model: GPT, count: bool) -> None:
        for place, matrices in layers(model):
            gradients = [p.grad for p in matrices if p.grad is not None]
            self._before[place] = [p.detach().clone() for p in matrices]
            self._grad_norms[place] = norm(gradients)
            if count:
                self._gradients[place] = histogram(some_of(gradients), WEIGHT_EDGES)

    @torch.no_grad()
    def look(self, fit: FitContext) -> None:
        """The update's size, and, when it is time, the histograms."""
        before, norms, gradients = self._before, self._grad_norms, self._gradients
        self._before, self._grad_norms, self._gradients = {}, {}, {}
        values: dict[str, float] = {}
        for place, matrices in layers(fit.model):
            size = norm(matrices)
            values[metrics.of_part(metrics.STATS_WEIGHT_NORM, place)] = size
            if place in before:
                moved = norm([now.detach() - then for now, then in zip(matrices, before[place], strict=True)])
                values[metrics.of_part(metrics.STATS_UPDATE_RATIO, place)] = moved / size if size else 0.0
                values[metrics.of_part(metrics.STATS_GRAD_NORM, place)] = norms[place]
        fit.logbook.log(fit.step, values)
        dashboards = self.dashboards(fit)
        if dashboards and self.counted(fit, fit.step):
            self._show_activations(fit, dashboards)
            self._show_weights(fit, dashboards, gradients)

    def _show_activations(self, fit: FitContext, dashboards: Dashboards) -> None:
        cache = reference_activations(fit).text
        for name in HISTOGRAM_SITES:
            for layer in range(cache.config.n_layers):
                counts = histogram(some_of([cache[name, layer]]), ACTIVATION_EDGES)
                dashboards.histogram(f"activations/{name}.layer{layer}", counts, ACTIVATION_EDGES, fit.step)

    def _show_weights(self, fit: FitContext, dashboards: Dashboards, gradients: dict[str, IntArray]) -> None:
        for place, matrices in layers(fit.model):
            counts = histogram(some_of(matrices), WEIGHT_EDGES)
            dashboards.histogram(f"weights/{place}", counts, WEIGHT_EDGES, fit.step)
            if place in gradients:
                dashboards.histogram(f"gradients/{place}", gradients[place], WEIGHT_EDGES, fit.step)


def layers(model: nn.Module) -> Iterator[tuple[str, list[nn.Parameter]]]:
    """The matrices of each layer, then the embeddings and the head: `("layer0", […])`, …, `("embedding", […])`."""
    places: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            place = f"layer{name.split('.')[1]}" if name.startswith("blocks.") else "embedding"
            places.setdefault(place, []).append(parameter)
    embedding = places.pop("embedding", [])
    yield from places.items()
    yield "embedding", embedding


def norm(tensors: list[nn.Parameter] | list[Tensor]) -> float:
    """The L2 norm of all their numbers together."""
    return float(nn.utils.get_total_norm([t.detach() for t in tensors])) if tensors else 0.0


def some_of(tensors: list[nn.Parameter] | list[Tensor]) -> Tensor:
    """At most 65 536 of their numbers, evenly spaced: enough for a histogram's tails, the same ones at every step."""
    total = sum(t.numel() for t in tensors)
    stride = max(1, -(-total // MOST_NUMBERS))
    # An even stride over rows of even length would always meet the same columns.
    stride += stride > 1 and stride % 2 == 0
    return torch.cat([t.detach().flatten()[::stride] for t in tensors]) if tensors else torch.zeros(0)
