"""What a report is made of: sections of a few kinds of block, before anyone decides how they look.

A section is written once and shown twice, as Markdown and as a page. Text is plain text: both renderers take out what
would act (a tag, a link, an escape sequence), so that a token, a prompt or a run's name is only ever read. Two marks
mean something: `code` and **important**.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Words:
    """A paragraph. `tone`: how loud it is."""

    text: str
    tone: Literal["plain", "note", "warning", "alarm"] = "plain"


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; columns of numbers stand flush right. `caption` says what is seen."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure, drawn when it is wanted: `draw(dark)`. `name` is its file's; `says` what can be read off it."""

    name: str
    draw: Callable[[bool], Figure]
    says: str


@dataclass(frozen=True)
class Verbatim:
    """Somebody's exact words (what the model wrote, a command), with a line above that says whose."""

    label: str
    text: str


@dataclass(frozen=True)
class Blank:
    """Room for the person's own words, kept when the report is written again. `name` is unique in the report."""

    name: str
    question: str


Block = Words | Points | Table | Picture | Verbatim | Blank


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it. Empty sections are left out."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """Its name in an address."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())


@dataclass(frozen=True)
class Document:
    """A whole report. `facts` are the few numbers that stand at its head, `made` says from what and when."""

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    made: str

    def pictures(self) -> list[Picture]:
        """All of them, in order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Picture)]

    def blanks(self) -> list[Blank]:
        """All of them, in order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Blank)]
