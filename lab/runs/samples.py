"""`samples.jsonl`: text that the model wrote while it trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.runs.lines import Cursor, Follower, LineWriter, Row, now
from lab.runs.paths import RunPaths


class SampleWriter(LineWriter):
    """Appends to samples.jsonl."""

    def __init__(self, run: RunPaths) -> None:
        super().__init__(run.samples_path)

    def write(self, step: int, prompt: str, text: str, **settings: Any) -> None:
        """Append `{"step", "wall", "prompt", "text", **settings}`; `text` is what follows the prompt."""
        self._append({"step": step, "wall": now(), "prompt": prompt, "text": text} | settings)


@dataclass(frozen=True)
class SamplesDelta:
    """What is new in samples.jsonl; `reset`: forget what came before."""

    samples: list[Row] = field(default_factory=list)
    reset: bool = False


class SampleReader(Follower):
    """Follows samples.jsonl: the lines that hold a step and a text."""

    def __init__(self, run: RunPaths, cursor: Cursor | None = None) -> None:
        super().__init__(run.samples_path, cursor)

    def poll(self, most: int | None = None) -> SamplesDelta:
        """Samples completed since the last call, of about `most` bytes."""
        return SamplesDelta(
            *self._new(most, lambda sample: isinstance(sample.get("step"), int) and isinstance(sample.get("text"), str))
        )


def read_samples(run: RunPaths) -> list[Row]:
    """The lines of samples.jsonl that hold a step and a text."""
    return SampleReader(run).poll().samples
