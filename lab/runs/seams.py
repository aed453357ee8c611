"""`seams.json`: what held from which step on. Where settings change in the middle of a run there is a seam.

    {"format": 1, "seams": [{"step", "tokens", "sequences", "tokens_per_step", "context_length", "total_steps",
                             "text", "held_out", "settings": {…}, "changed": {setting: {"from", "to"}},
                             "rates", "rise", "folder"}, …]}

The first is the run's beginning, each further one a change. This is the one place that says how many tokens were seen
at a step, which sequence comes next and what a step held: metrics, batches, report, comparison, forecast and page ask
here. A fork has the seams of the run that it comes from, up to its checkpoint, and then its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from itertools import pairwise
from typing import Any

from lab.checks import is_number
from lab.files import read_json, read_yaml, write_json
from lab.runs.checkpoints import list_checkpoints
from lab.runs.configurations import matters
from lab.runs.paths import RunPaths
from lab.runs.status import last_status

FORMAT = 1
OF_MACHINE = tuple(
    f"levers.{name}" for name in ("device", "threads", "give_way", "keep_memory", "compile", "attention", "fused")
)
"""Levers that a machine moves, and that change no more than the last bits of a loss."""


@dataclass(frozen=True)
class Seam:
    """What holds from `step` on, until the next seam.

    Args:
        step: Optimizer steps done.
        tokens: Seen by then, of whatever text.
        sequences: Number of the next sequence of `text`: how many were read of it, in sequences of `context_length`.
        tokens_per_step: Tokens a step learns from, over all processes.
        context_length: Tokens a sequence has.
        total_steps: Of the whole run, as it is planned from here on; None: not known.
        text: Fingerprint of the corpus and its split; None: not known.
        held_out: `held_out_of` data.json; None: not known.
        settings: The whole configuration, as config.yaml has it.
        changed: {setting: {"from", "to"}} against what held before; empty at the beginning of a run.
        rates: The learning rate at `step` as it was and as it is, where that is another; None: as it was.
        rise: Step and factor (of the optimizer's rate) from which the rate goes to the schedule's; None: it does not.
        folder: That in which `settings` were given, which relative paths are meant from; None: not known.
    """

    step: int
    tokens: int
    sequences: int
    tokens_per_step: int
    context_length: int
    total_steps: int | None = None
    text: str | None = None
    held_out: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rates: tuple[float, float] | None = None
    rise: tuple[int, float] | None = None
    folder: str | None = None

    @property
    def sequences_per_step(self) -> int:
        """Sequences a step learns from."""
        return self.tokens_per_step // self.context_length

    @property
    def decisive(self) -> dict[str, Mapping[str, Any]]:
        """Of what changed, the settings that have a say in what the run becomes."""
        return {name: change for name, change in self.changed.items() if matters(name) and name not in OF_MACHINE}

    def tokens_at(self, step: int) -> int:
        """Tokens seen after `step` optimizer steps, as long as this holds."""
        return self.tokens + (step - self.step) * self.tokens_per_step

    def sequence_at(self, step: int) -> int:
        """Number of the first sequence of the update from `step` to `step + 1`, as long as this holds."""
        return self.sequences + (step - self.step) * self.sequences_per_step

    def described(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """data.json where it tells of this seam's text, else what is known of that here."""
        corpus = data.get("corpus")
        told = corpus.get("fingerprint") if isinstance(corpus, Mapping) else None
        return data if told == self.text else {"corpus": {"fingerprint": self.text}}


class Seams:
    """All of a run, by step. Raises `ValueError` where there is none, or their steps don't grow.

    >>> seams = Seams([Seam(0, 0, 0, 64, 16), Seam(100, 6400, 400, 128, 16)])
    >>> seams.tokens_at(100), seams.tokens_at(110), seams.at(99).tokens_per_step, seams.at(110).sequence_at(110)
    (6400, 7680, 64, 480)
    """

    def __init__(self, seams: Iterable[Seam]) -> None:
        self.all = tuple(seams)
        self._steps = [seam.step for seam in self.all]
        if not self.all or self._steps != sorted(set(self._steps)):
            raise ValueError(f"seams at the steps {self._steps}: there must be one, and each after the one before")

    @property
    def last(self) -> Seam:
        """What holds at the end."""
        return self.all[-1]

    @property
    def changes(self) -> tuple[Seam, ...]:
        """Those at which settings changed."""
        return tuple(seam for seam in self.all if seam.changed)

    @property
    def reading(self) -> tuple[tuple[int, int, int, int], ...]:
        """What batch n follows from: (step, sequence, sequences a step, context length) wherever these go on otherwise
        than before."""
        found: list[Seam] = []
        for seam in self.all:
            before = found[-1] if found else None
            sizes = (seam.sequences_per_step, seam.context_length)
            if (
                before is None
                or sizes != (before.sequences_per_step, before.context_length)
                or before.sequence_at(seam.step) != seam.sequences
                or before.text != seam.text
            ):
                found.append(seam)
        return tuple((s.step, s.sequences, s.sequences_per_step, s.context_length) for s in found)

    @property
    def decisive(self) -> dict[str, str]:
        """Where settings were changed that have a say in what the run becomes: `changed at step 8` → which."""
        return {f"changed at step {s.step}": told_changes(s.decisive) for s in self.changes if s.decisive}

    @property
    def validated_since(self) -> int:
        """The step from which on what is held out is what is held out now: losses before it are of another text."""
        known = [seam for seam in self.all if seam.held_out is not None]
        return next((after.step for one, after in reversed([*pairwise(known)]) if one.held_out != after.held_out), 0)

    def at(self, step: int) -> Seam:
        """What holds for the update from `step` to `step + 1`; before the first seam, what it says."""
        return self.all[max(0, bisect_right(self._steps, step) - 1)]

    def tokens_at(self, step: int) -> int:
        """Tokens seen after `step` optimizer steps."""
        return self.at(step).tokens_at(step)

    def epochs_at(self, step: int, steps_per_epoch: float) -> float:
        """How often the text was read by then, where one pass takes so many steps as they are now."""
        held = self.at(step)
        return held.sequence_at(step) * held.context_length / self.last.tokens_per_step / steps_per_epoch

    def until(self, step: int) -> Seams:
        """Those under which the weights after `step` updates were trained."""
        return Seams(self.all[: max(1, bisect_right(self._steps, step - 1))])

    def then(self, seam: Seam) -> Seams:
        """These up to `seam`, and what holds from there on."""
        return Seams([*(held for held in self.all if held.step < seam.step), seam])

    def renamed(self, text: str | None, now: str) -> Seams:
        """The same with another fingerprint for a text, which another version of the lab gives it."""
        return Seams(replace(seam, text=now) if seam.text == text else seam for seam in self.all)

    def next_sequence(self, step: int, text: str | None, context_length: int) -> int:
        """Where to go on reading `text` after `step` updates, in sequences of `context_length`.

        None is left out and none read twice; where their length changes, the next whole one behind what was read. A
        text that was never read begins with its first sequence.
        """
        ends = [*self._steps[1:], step]
        for held, end in reversed([*zip(self.all, ends, strict=True)]):
            if text == held.text or text is None or held.text is None:
                return -(-held.sequence_at(end) * held.context_length // context_length)
        return 0


def told_changes(changed: Mapping[str, Mapping[str, Any]]) -> str:
    """Changes of settings in a line: `data.batch_size: 4 → 8`."""
    return ", ".join(f"{name}: {change.get('from')} → {change.get('to')}" for name, change in changed.items())


def write_seams(run: RunPaths, seams: Seams) -> None:
    """Write seams.json."""
    write_json(run.seams_path, as_plain(seams))


def as_plain(seams: Seams) -> dict[str, Any]:
    """What seams.json holds, and the facts of every checkpoint too, for one that is damaged or gone."""
    return {"format": FORMAT, "seams": [asdict(seam) for seam in seams.all]}


def read_seams(run: RunPaths) -> Seams | None:
    """What seams.json says; of a run without a whole one, what its newest checkpoint noted of it.

    Where none did, its other files tell: one stretch from step 0 on. None where they don't. Nothing is raised,
    whatever the files hold.
    """
    try:
        content = read_json(run.seams_path)
    except (ValueError, OSError):
        content = None
    if (found := _whole(content)) is not None:
        return found
    noted = (_whole(info.noted.get("seams")) for info in reversed(list_checkpoints(run)))
    return next((seams for seams in noted if seams is not None), None) or _told_elsewhere(run)


def held_out_of(data: Mapping[str, Any]) -> str | None:
    """A mark of what a run is validated on, its beginning and its size; None where data.json does not say."""
    beginning, size = data.get("val_slice"), data.get("validation")
    text = beginning.get("text") if isinstance(beginning, Mapping) else None
    size = {k: v for k, v in size.items() if v is not None} if isinstance(size, Mapping) else size
    return None if text is None else sha256(repr((text, size)).encode()).hexdigest()[:16]


def _whole(content: Any) -> Seams | None:
    """The record that `as_plain` gave; None where it is anything else."""
    try:
        return Seams(map(_parse, content["seams"])) if content["format"] == FORMAT else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _parse(row: Mapping[str, Any]) -> Seam:
    seam = Seam(**{name: row[name] for name in Seam.__dataclass_fields__ if name in row})
    counts = (seam.step, seam.tokens, seam.sequences)
    sizes = (seam.tokens_per_step, seam.context_length)
    whole = all(type(n) is int and n >= 0 for n in counts) and all(type(n) is int and n > 0 for n in sizes)
    mappings = isinstance(seam.settings, dict) and isinstance(seam.changed, dict)
    if not (whole and mappings and all(isinstance(change, dict) for change in seam.changed.values())):
        raise ValueError(f"seam {row.get('step')!r} holds something else than it should")
    total = seam.total_steps if type(seam.total_steps) is int else None
    return replace(seam, total_steps=total, rates=_pair(seam.rates), rise=_pair(seam.rise))


def _pair(value: Any) -> Any:
    whole = isinstance(value, list) and len(value) == 2 and all(map(is_number, value))
    return tuple(value) if whole else None


def _told_elsewhere(run: RunPaths) -> Seams | None:
    """A run of before there were seams: data.json and config.yaml are those of its last process."""
    try:
        data, settings = read_json(run.data_path) or {}, read_yaml(run.config_path) or {}
    except (ValueError, OSError):
        return None
    tokens, context = data.get("tokens_per_step"), data.get("context_length")
    if not (is_number(tokens) and is_number(context) and tokens >= context >= 1):
        return None
    total, horizon, corpus = last_status(run).total_steps, settings.get("horizon"), data.get("corpus")
    if total and isinstance(horizon, dict) and horizon.get("steps") is not None:  # the file may have been edited since
        settings = {**settings, "horizon": {**horizon, "steps": total}}
    text = corpus.get("fingerprint") if isinstance(corpus, dict) else None
    return Seams([Seam(0, 0, 0, int(tokens), int(context), total, text, held_out_of(data), settings)])
