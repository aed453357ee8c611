"""Gradient, update and weight norms of each layer over training, from the run's own metrics."""

from __future__ import annotations

import numpy as np

from analysis_app.analyses.declaration import Answer, analysis
from analysis_app.library import Library
from lab.runs import Run, metrics
from lab.runs.metrics import METRICS

MEASURES = (metrics.STATS_GRAD_NORM, metrics.STATS_UPDATE_RATIO, metrics.STATS_WEIGHT_NORM)


@analysis("norms")
def training_norms(library: Library, run: str) -> Answer:
    """Gradient, update and weight norms of each layer over training, as they were logged."""
    found = library.trained(run, "it comes without a training log, so there are no gradient norms")
    try:
        facts = found.metrics_path.stat()
    except OSError:
        facts = None
    key = ("norms", str(found.path), facts and (facts.st_size, facts.st_mtime_ns))
    view = library.results.get(key, lambda: _read(found))
    if view is None:
        raise ValueError(
            f"run {run!r} has logged no norms of its layers: train with --activation_histograms to log them"
        )
    return view


def _read(run: Run) -> Answer | None:
    history = run.metrics()
    names = [name for name in history.names() if name.partition(".")[0] in MEASURES and "." in name]
    if not names:
        return None
    places = sorted({name.partition(".")[2] for name in names}, key=_order)
    rows = [row for row in history.rows if any(name in row for name in names)]
    measures = []
    for name in MEASURES:
        values = [[row.get(f"{name}.{place}") for row in rows] for place in places]
        about = {key: getattr(METRICS[name], key) for key in ("unit", "formula", "how_to_read")}
        # [place, step], NaN where it was not measured
        measures.append({"name": name, **about, "values": np.array(values, dtype=np.float32)})
    return {
        "run": run.name,
        "places": places,  # layer0, …, embedding
        "steps": [row["step"] for row in rows],
        "measures": measures,
    }


def _order(place: str) -> tuple[int, str]:
    digits = place.removeprefix("layer")
    return (int(digits), "") if digits.isdecimal() else (10**6, place)
