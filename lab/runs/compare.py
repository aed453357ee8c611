"""Runs side by side: their losses at one point of training, and the settings that tell them apart."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lab.runs.history import MetricsHistory

LOSSES = ("train/loss", "val/loss", "val/bits_per_byte")

Axis = Literal["step", "tokens", "time"]


@dataclass(frozen=True)
class Comparison:
    """Losses of several runs at the farthest point of `axis` that all of them reached, `at`.

    `at` is None if one has no rows. `values[run][metric]` is the last measurement at or before that point,
    None where there is none.
    """

    axis: Axis
    at: float | None
    values: dict[str, dict[str, float | None]]


def compare_losses(
    histories: Mapping[str, MetricsHistory], axis: Axis = "tokens", metrics: Sequence[str] = LOSSES
) -> Comparison:
    """Compare runs (name → metrics) where they are comparable: after as many tokens (steps, seconds) each."""
    ends = [max((row[axis] for row in h.rows if row.get(axis) is not None), default=None) for h in histories.values()]
    known = [end for end in ends if end is not None]
    at = min(known) if known and len(known) == len(ends) else None
    values = {
        run: {metric: None if at is None else _value_at(history, metric, axis, at) for metric in metrics}
        for run, history in histories.items()
    }
    return Comparison(axis, at, values)


def config_differences(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Dotted setting → {run: value} for every setting that is not the same in all.

    A run that does not have the setting is left out of its values.

    >>> config_differences({"a": {"model": {"n_layers": 4}}, "b": {"model": {"n_layers": 6}}})
    {'model.n_layers': {'a': 4, 'b': 6}}
    """
    flat = {run: flatten(config) for run, config in configs.items()}
    names = sorted({name for settings in flat.values() for name in settings})
    found = {name: {run: settings[name] for run, settings in flat.items() if name in settings} for name in names}
    return {
        name: values
        for name, values in found.items()
        if len(values) < len(flat) or any(not _same(value, next(iter(values.values()))) for value in values.values())
    }


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level of dotted names; lists and empty mappings are values."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)  # True == 1, but not as a setting


def _value_at(history: MetricsHistory, metric: str, axis: Axis, at: float) -> float | None:
    rows = [row for row in history.rows if row.get(metric) is not None and row.get(axis) is not None]
    index = bisect_right([row[axis] for row in rows], at)
    return rows[index - 1][metric] if index else None
