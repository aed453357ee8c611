"""What is known of a run before its first step: settings, data, size. Any of it may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.runs.compare import flatten
from lab.runs.run import Run


@dataclass(frozen=True)
class Facts:
    """Settings by dotted name, data.json, and what run.json says of the plan.

    Args:
        settings: `config.yaml`, flat: `model.optimizer.lr`, …
        data: `data.json`.
        total_steps: Optimizer steps of the whole run.
        parameters: Of the model.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    total_steps: int | None = None
    parameters: int | None = None

    @classmethod
    def of(cls, run: Run) -> Facts:
        """Read what there is; a file that is missing or damaged leaves a gap and no error."""
        status = run.status()
        parameters = status.details.get("parameters") if isinstance(status.details, Mapping) else None
        settings, data = _read(run.config), _read(run.data)
        total = status.total_steps
        return cls(
            flatten(settings),
            data,
            total if isinstance(total, int) and total > 0 else None,
            parameters if isinstance(parameters, int) and parameters > 0 else None,
        )

    def number(self, name: str) -> float | None:
        """A setting that is a number."""
        return _number(self.settings.get(name))

    def says(self, name: str, value: object) -> bool:
        """Whether a setting has that value."""
        return bool(self.settings.get(name) == value)

    def of_data(self, name: str) -> float | None:
        """A number of data.json, such as `tokens_per_step`."""
        return _number(self.data.get(name))

    def baseline(self, name: str) -> float | None:
        """uniform, unigram, bigram, xz or floor, in nats per token."""
        baselines = self.data.get("baselines")
        nats = baselines.get("nats_per_token") if isinstance(baselines, Mapping) else None
        return _number(nats.get(name)) if isinstance(nats, Mapping) else None

    @property
    def tokens_per_parameter(self) -> float | None:
        """Of the whole plan."""
        per_step = self.of_data("tokens_per_step")
        if not (per_step and self.total_steps and self.parameters):
            return None
        return per_step * self.total_steps / self.parameters

    def epochs(self, step: int) -> float | None:
        """How often the text was read by then; None where it never repeats or nobody knows."""
        per_epoch = self.of_data("steps_per_epoch")
        return step / per_epoch if per_epoch else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _read(read: Any) -> dict[str, Any]:
    try:
        return read() or {}
    except (ValueError, OSError):
        return {}
