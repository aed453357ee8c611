"""What is known of a run before its first step: settings, text, baselines, size; each by its type.

`config.yaml` and `data.json` may be missing, torn, edited by hand or of another version. So every reader here gives a
number, a name or a mapping, or None where the file does not hold one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lab.checks import is_number
from lab.runs.configurations import flatten
from lab.runs.run import Run
from lab.runs.seams import Seams
from lab.runs.status import Status


def dig(tree: Any, *names: str) -> Any:
    """What lies under nested names; None where any of them is missing.

    >>> dig({"model": {"config": {"n_layers": 4}}}, "model", "config", "n_layers")
    4
    """
    for name in names:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def as_number(value: Any) -> float | None:
    """The value if it is a finite number, else None."""
    return value if is_number(value) else None


def as_text(value: Any) -> str | None:
    """The value if it is text, else None."""
    return value if isinstance(value, str) else None


def as_mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


BASELINES = {
    "uniform": ("uniform", "all tokens alike"),
    "unigram": ("unigram", "how often each occurs"),
    "bigram": ("bigram", "which follows which"),
    "xz": ("xz alone", "xz -9, which starts cold"),
    "xz_trained": ("xz trained", "xz -9 that has seen training text"),
    "floor": ("floor", "entropy of the source"),
}
"""Name in `data.json` → how it is called where it is shown, and what it is (`lab.data.baselines`)."""
NO_RIVALS = ("xz", "floor")
"""Those that no model is measured by: xz alone has read nothing of what the model learned from, and what lies below the
entropy of a source is chance."""


def label_of(baseline: str) -> str:
    """How a baseline is called where it is shown.

    >>> label_of("xz")
    'xz alone'
    """
    return BASELINES[baseline][0] if baseline in BASELINES else baseline


def with_missing(baselines: Mapping[str, float]) -> dict[str, float | None]:
    """The same, and None for what runs of earlier versions didn't measure beside xz alone."""
    missing = {"xz_trained": None} if "xz" in baselines and "xz_trained" not in baselines else {}
    return {**baselines, **missing}


def baselines_of(data: Any, unit: str = "nats_per_token") -> dict[str, float]:
    """Losses to compare with from `data.json`, by name, worst first; `unit`: `nats_per_token` or `bits_per_byte`.

    Names: those of `BASELINES`, as far as they are known.
    """
    found = as_mapping(dig(data, "baselines", unit))
    known = {name: float(value) for name, value in found.items() if is_number(value)}
    return dict(sorted(known.items(), key=lambda item: -item[1]))


def text_of(data: Mapping[str, Any]) -> str | None:
    """Which text a run is about, whatever its split, from its data.json; None where it is missing.

    What the corpus says of its split, and its fingerprint, another seed makes otherwise.
    """
    corpus, splits = data.get("corpus"), data.get("splits")
    if not isinstance(corpus, Mapping) or not corpus.get("name"):
        return None
    parts = splits.values() if isinstance(splits, Mapping) else []
    size = sum(part.get("bytes") or 0 for part in parts if isinstance(part, Mapping))
    return repr((sorted((k, v) for k, v in corpus.items() if k not in ("fingerprint", "split")), size))


def vocabulary_of(data: Mapping[str, Any]) -> str | None:
    """Which vocabulary a run's losses are about: its fingerprint; None where data.json lacks it."""
    tokenizer = data.get("tokenizer")
    found = tokenizer.get("fingerprint") if isinstance(tokenizer, Mapping) else None
    return None if found is None else str(found)


@dataclass(frozen=True)
class Facts:
    """Settings by dotted name, `data.json`, and what `run.json` says of the plan.

    Args:
        settings: `config.yaml`, flat: `model.optimizer.lr`, …
        data: `data.json`.
        total_steps: Optimizer steps of the whole run.
        parameters: Of the model.
        seams: What held when; None: not known.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    total_steps: int | None = None
    parameters: int | None = None
    seams: Seams | None = None

    @classmethod
    def of(cls, run: Run) -> Facts:
        """Read what there is; a file that is missing or damaged leaves a gap and is no error."""
        return cls.gather(_tried(run.config), _tried(run.data), run.status(), run.seams())

    @classmethod
    def gather(
        cls, config: Mapping[str, Any], data: Mapping[str, Any], status: Status, seams: Seams | None = None
    ) -> Facts:
        """The same from files that have been read already."""
        parameters = _positive(dig(status.details, "parameters"))
        return cls(flatten(config), data, _positive(status.total_steps), parameters, seams)

    def number(self, setting: str) -> float | None:
        """A setting that is a number, such as `model.optimizer.lr`."""
        return as_number(self.settings.get(setting))

    def says(self, setting: str, value: object) -> bool:
        """Whether a setting has that value."""
        return bool(self.settings.get(setting) == value)

    def of_data(self, *names: str) -> float | None:
        """A number of `data.json`, such as `tokens_per_step`, or nested: `splits`, `train`, `tokens`."""
        return as_number(dig(self.data, *names))

    @cached_property
    def baselines(self) -> dict[str, float]:
        """`baselines_of` the run's text, in nats per token."""
        return baselines_of(self.data)

    def baseline(self, name: str) -> float | None:
        """One of the baselines, in nats per token."""
        return self.baselines.get(name)

    @property
    def tokens_per_step(self) -> float | None:
        """Tokens a step learns from, as it is now."""
        return self.seams.last.tokens_per_step if self.seams else self.of_data("tokens_per_step")

    def tokens(self, step: int) -> int | None:
        """Tokens seen by then."""
        if self.seams:
            return self.seams.tokens_at(step)
        return int(step * self.tokens_per_step) if self.tokens_per_step else None

    @property
    def tokens_per_parameter(self) -> float | None:
        """Of the whole plan; 20 is compute-optimal (Hoffmann et al. 2022)."""
        tokens = self.tokens(self.total_steps) if self.total_steps else None
        return tokens / self.parameters if tokens and self.parameters else None

    def epochs(self, step: int) -> float | None:
        """How often the text was read by then; None where it never repeats or its length is not known."""
        per_epoch = self.of_data("steps_per_epoch")
        if not per_epoch:
            return None
        return self.seams.epochs_at(step, per_epoch) if self.seams else step / per_epoch


def _tried(read: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    try:
        return read() or {}
    except (ValueError, OSError):
        return {}


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
