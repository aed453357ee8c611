"""What a report is made of: sections of a few kinds of block, independent of how they are shown.

A section is written once and shown twice, as Markdown and as an HTML page. Text is plain text: both renderers disable
tags, links and escape sequences, so that a token, a prompt or a run's name can do no harm. Two marks have a meaning:
`code` and **important**.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; `tone` marks a note, a warning or an alarm."""

    text: str
    tone: Literal["plain", "note", "warning", "alarm"] = "plain"


@dataclass(frozen=True)
class BulletList:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; the columns `numbers` are aligned right."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure, drawn when it is needed: `draw(dark)`. `name` is that of its file; `caption` says what it shows."""

    name: str
    draw: Callable[[bool], Figure]
    caption: str


@dataclass(frozen=True)
class Verbatim:
    """Exact text, such as a sample or a command, under a label."""

    label: str
    text: str


@dataclass(frozen=True)
class UserText:
    """A question with room for the user's own text, kept when the report is written again; `name` is unique in it."""

    name: str
    question: str


Block = Paragraph | BulletList | Table | Picture | Verbatim | UserText


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
    """A whole report: `facts` are the few numbers at its head, `made` says when and from what it was written."""

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    made: str

    def pictures(self) -> list[Picture]:
        """All of them, in order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Picture)]


def bullets(sentences: Sequence[str]) -> list[Block]:
    """A list of the sentences that are not empty; no block where all are."""
    told = [sentence for sentence in sentences if sentence]
    return [BulletList(told)] if told else []
