"""`events.jsonl`: what happened to a run, a dataclass for each kind of event; written and read through it.

    events.write(Rewound(step=500, rewound_from=900))   # {"kind": "rewound", "step": 500, "rewound_from": 900, …}
    for event in run.events():
        if isinstance(event, Rewound): ...

A field of a class is a key of the line. One that has its default is left out of the line. In reading, a line that does
not fit its kind (a field is missing or of another type, the kind is of a later version) becomes an `Other`: it is
passed on and shown, and no reader takes it for another kind. A rewind drops no event.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, TypeVar

from lab.runs.lines import Cursor, Follower, LineWriter, Row, now
from lab.runs.paths import RunPaths

Level = Literal["note", "warning", "alarm"]
LEVELS: tuple[Level, ...] = ("note", "warning", "alarm")
"""note: worth knowing; warning: the run would be better otherwise; alarm: the run is not worth going on with."""
MILESTONE = "milestones"  # the family of findings that say what a model has learned, not what is wrong with a run
INDUCTION_HEAD = "induction_head"  # the rule of the milestone that a first head has become one

FRAME = ("kind", "step", "wall", "line")
KINDS: dict[str, type[Event]] = {}
"""Kind → its class; filled by the classes below."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every event has. `step`: optimizer steps done, None: not of the training. `wall`: Unix seconds (UTC), set
    by the writer.
    """

    kind: ClassVar[str] = ""
    step: int | None = None
    wall: float | None = None
    line: Row | None = field(default=None, repr=False, compare=False)  # as it was read

    def __init_subclass__(cls, kind: str | None = None) -> None:
        if kind is not None:
            cls.kind = kind
            KINDS[kind] = cls

    def payload(self) -> Row:
        """The line's fields beside kind, step and wall."""
        values = ((f, getattr(self, f.name)) for f in fields(self) if f.name not in FRAME)
        told = {_key(f): value for f, value in values if f.default is MISSING or value != f.default}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in told.items()}

    def as_row(self) -> Row:
        """The line: as it was read, unknown fields included, or as it is written."""
        return self.line or {"kind": self.kind, "step": self.step, "wall": self.wall} | self.payload()


@dataclass(frozen=True, kw_only=True)
class Other(Event):
    """A line of a kind that this version does not know, or that does not fit its kind."""

    kind: str  # type: ignore[misc]

    def payload(self) -> Row:
        """The line's fields beside kind, step and wall."""
        return {name: value for name, value in (self.line or {}).items() if name not in FRAME}


def _renamed(key: str) -> Any:
    return field(metadata={"key": key})  # Python keeps the word for itself


@dataclass(frozen=True, kw_only=True)
class Started(Event, kind="started"):
    """The first process of a run begins to train. `changed`: {setting: {"from", "to"}} against the run it was forked
    from, empty for one that begins at step 0.
    """

    changed: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Resumed(Event, kind="resumed"):
    """A further process goes on at `step`. `changed`: {setting: {"from", "to"}} against the stored configuration."""

    changed: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Rewound(Event, kind="rewound"):
    """Training has gone back to `step` from step `rewound_from`; what was measured between is measured again."""

    rewound_from: int


@dataclass(frozen=True, kw_only=True)
class Paused(Event, kind="paused"):
    """Training stands still after `step`, as asked; its clock too."""


@dataclass(frozen=True, kw_only=True)
class Unpaused(Event, kind="unpaused"):
    """Training goes on after a pause of so many `seconds`."""

    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class LrChanged(Event, kind="lr_changed"):
    """The factor on the scheduled learning rate has changed, by command or by a resume."""

    before: float = _renamed("from")
    to: float


@dataclass(frozen=True, kw_only=True)
class Decided(Event, kind="decided"):
    """The run itself has decided `what` (of `lab.training.deciding`): `value` holds for the update after `step` and
    from there on. On the disk before that update; a run that is resumed from before `step` takes it again there.
    """

    step: int
    what: str
    value: Any
    reason: str


@dataclass(frozen=True, kw_only=True)
class PutOff(Event, kind="put_off"):
    """A look that was due at `step` was left out or broken off: `look` is its name, `reason` why in a sentence."""

    step: int
    look: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event, kind="checkpoint"):
    """A checkpoint of `step` lies on the disk. `best`: its validation loss is the lowest so far."""

    checkpoint_kind: str  # regular, milestone, interrupted or final
    best: bool


@dataclass(frozen=True, kw_only=True)
class SampleWritten(Event, kind="sample"):
    """The model has written `count` texts, now in samples.jsonl. `asked`: by command rather than in its turn."""

    count: int
    asked: bool = False


@dataclass(frozen=True, kw_only=True)
class Finding(Event, kind="finding"):
    """A rule of the diagnosis (`lab.diagnosis`) or an instrument has found something in the run.

    It comes again for the same rule when its level changes, and with `ended` when it is over. `step` is when it was
    detected.

    Args:
        rule: Its name.
        family: The file of `lab/diagnosis` that the rule stands in, or `MILESTONE`.
        level: See `LEVELS`.
        what: One sentence, with the measured numbers.
        since: The step from which on it holds.
        metric: The logged name that the value comes from; None: a setting or an event.
        value: As measured.
        threshold: What it was compared with.
        why: Why it matters.
        tries: What may help, best first.
        source: The file that decides.
        ended: The step at which it was seen to be over; None while it holds.
        layer, head: Which attention head it is about.
        chance: The value of a head that attends evenly.
    """

    step: int
    rule: str
    family: str
    level: Level
    what: str
    since: int
    metric: str | None
    value: float | None
    threshold: float | None
    why: str
    tries: tuple[str, ...] = _renamed("try")
    source: str
    ended: int | None = None
    layer: int | None = None
    head: int | None = None
    chance: float | None = None

    def over(self, step: int) -> Finding:
        """The same, seen to be over at `step`: no more than a note."""
        return replace(self, level="note", step=step, ended=step, what=f"over at step {step}: {self.what}", line=None)


@dataclass(frozen=True, kw_only=True)
class CommandAnswered(Event, kind="command_answered"):
    """A command from `control/` was carried out; `id` is the command's. What follows `args` is its result."""

    id: str
    command: str
    args: dict[str, Any]
    paused_seconds: float | None = None  # resume: how long the pause was
    saved: bool | None = None  # stop: a checkpoint was saved
    file: str | None = None  # checkpoint: its name
    prompt: str | None = None  # sample
    text: str | None = None  # sample: what follows the prompt
    lr_scale: float | None = None  # lr: the factor now
    before: float | None = None  # lr: the factor before


@dataclass(frozen=True, kw_only=True)
class CommandRefused(Event, kind="command_refused"):
    """A command was not carried out, and why."""

    id: str
    command: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class InstrumentFailed(Event, kind="instrument_failed"):
    """An instrument (its group in the configuration) raised `error`; told once a process, the training goes on."""

    instrument: str
    error: str


@dataclass(frozen=True, kw_only=True)
class RoomMade(Event, kind="room_made"):
    """The disk was full: `file`, in the run's folder, was deleted to write what the run needs to go on."""

    file: str


@dataclass(frozen=True, kw_only=True)
class Stopped(Event, kind="stopped"):
    """Training ended before its last step, saved: by a signal, by command or by a limit."""

    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Completed(Event, kind="completed"):
    """Training reached its last step."""

    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Failed(Event, kind="failed"):
    """Training ended with an error: `message`."""

    message: str | None = None


ENDS = {end.kind: end for end in (Stopped, Completed, Failed)}
E = TypeVar("E", bound=Event)

_TYPES: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "str": str,
    "bool": bool,
    "dict[str, Any]": dict,
    "tuple[str, ...]": (list, tuple),
    "Any": object,
}


def parse_event(line: Row) -> Event:
    """The event of a line of events.jsonl that has a `kind`; an `Other` where it does not fit its kind."""
    return _parse(line, KINDS.get(line["kind"], Other))


def _parse(line: Row, cls: type[Event]) -> Event:
    values: Row = {}
    for f in fields(cls):
        value = line.get(_key(f))
        if f.name == "line":
            values["line"] = line
        elif _fits(value, str(f.type)):
            values[f.name] = tuple(value) if isinstance(value, list) else value
        elif f.default is MISSING:
            return _parse(line, Other)
    return cls(**values)


def _key(f: Any) -> str:
    return str(f.metadata.get("key", f.name))


def _fits(value: Any, annotation: str) -> bool:
    name, _, optional = annotation.partition(" | ")
    if value is None:
        return bool(optional)
    if name == "Level":
        return value in LEVELS
    return isinstance(value, _TYPES[name]) and (name in ("bool", "Any") or not isinstance(value, bool))


class EventWriter(LineWriter):
    """Appends to events.jsonl."""

    def __init__(self, run: RunPaths) -> None:
        super().__init__(run.events_path)

    def write(self, event: Event) -> None:
        """Append an event, with the time of now; a decision is forced to the disk, as what it rests on cannot be
        measured again.
        """
        self._append({"kind": event.kind, "step": event.step, "wall": now()} | event.payload())
        if isinstance(event, Decided):
            self._lines.force()


@dataclass(frozen=True)
class EventsDelta:
    """What is new in events.jsonl; `reset`: forget what came before."""

    events: list[Event] = field(default_factory=list)
    reset: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"events": [event.as_row() for event in self.events], "reset": self.reset}


class EventReader(Follower):
    """Follows events.jsonl."""

    def __init__(self, run: RunPaths, cursor: Cursor | None = None) -> None:
        super().__init__(run.events_path, cursor)

    def poll(self, most: int | None = None) -> EventsDelta:
        """Events completed since the last call, of about `most` bytes; unknown kinds are passed on."""
        lines, reset = self._new(most, lambda line: isinstance(line.get("kind"), str))
        return EventsDelta([parse_event(line) for line in lines], reset)


def read_events(run: RunPaths) -> list[Event]:
    """Everything events.jsonl says now, oldest first."""
    return EventReader(run).poll().events


def of_kind(events: Iterable[Event], kind: type[E]) -> list[E]:
    """The events of one kind, in their order."""
    return [event for event in events if isinstance(event, kind)]
