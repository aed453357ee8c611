"""Where the run will end, forecast anew after each validation from its curve so far."""

from __future__ import annotations

from lab.errors import NotEnough
from lab.forecasting.curve import reforecast
from lab.forecasting.law import Forecast
from lab.runs import metrics
from lab.runs.validation import curve_metric, on_whole_or_subset
from lab.training.callback import FitCallback, FitContext


class Reforecast(FitCallback):
    """Logs `forecast/final_val_loss` with its 80 % interval, `forecast/low` and `forecast/high`, nats per token.

    From a fifth of the run on; costs microseconds.

    Args:
        said: What the lab said of the final loss before the start.
    """

    def __init__(self, said: Forecast | None = None) -> None:
        self.said = said
        self._curve: list[tuple[int, float]] = []

    def start(self, fit: FitContext) -> None:
        """A resumed run has a curve already."""
        history = fit.logbook.run.metrics()
        steps, losses = history.series(curve_metric(history))
        since = fit.logbook.seams.validated_since
        known = zip(steps, losses, strict=True) if fit.compares else ()
        self._curve = [(step, loss) for step, loss in known if since <= step < fit.step]

    def validated(self, fit: FitContext) -> None:
        """After the metrics log has written the validation."""
        step, module = fit.step, fit.module
        loss = on_whole_or_subset(module.validated)
        assert loss is not None
        self._curve = [point for point in self._curve if point[0] < step] + [(step, loss)]
        error = module.validated.get(metrics.VAL_SUBSET_LOSS_ERROR, 0.0) / loss if loss else 0.0
        annealing = module.scheduled(step) - module.scheduled(fit.total_steps)
        curve = [(_part(fit, at), loss) for at, loss in self._curve]  # the run may have another length than before
        try:
            found = reforecast(curve, self.said, annealing, error)
        except NotEnough:
            return
        values = {
            metrics.FORECAST_FINAL_VAL_LOSS: found.value,
            metrics.FORECAST_LOW: found.low,
            metrics.FORECAST_HIGH: found.high,
        }
        fit.logbook.log(step, values)


def _part(fit: FitContext, step: int) -> float:
    """Of the run's tokens, those that were seen by then."""
    return fit.logbook.seams.tokens_at(step) / fit.logbook.seams.tokens_at(fit.total_steps)
