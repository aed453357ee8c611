"""Writing a report: Markdown with pictures beside it, or one HTML file; the person's words carried over first."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from matplotlib.figure import Figure

from lab.report.blanks import is_report, keep, sign, untouched, words_in
from lab.report.document import Document, Picture
from lab.report.markdown import render_markdown
from lab.report.page import is_page, render_page
from lab.runs.atomic import write_whole

DPI = 144
"""Sharp on a dense screen and on paper, at some 60 kB a picture."""


class Writer:
    """Writes one report, in one form or in both; each picture is drawn once.

    Args:
        make: From the person's words to the document: some of its sentences count them.

    `files` are those written; `kept` copies of an earlier report that had been changed outside of its blanks; `undrawn`
    says which pictures could not be drawn, and why.
    """

    def __init__(self, make: Callable[[dict[str, str]], Document]) -> None:
        self.make = make
        self.files: list[Path] = []
        self.kept: list[Path] = []
        self.undrawn: list[str] = []
        self._drawn: dict[tuple[str, bool], bytes | None] = {}

    def markdown(self, path: Path) -> None:
        """Write (or write again) a report as Markdown, its pictures in a folder beside it that is called as the file.

        The words of the file that lies there are kept, and all of that file where they are not sure to be in their
        blanks. Raises ValueError where it is something else than a report.
        """
        if (content := _content(path)) and not is_report(_text(content)) and path.name != "report.md":
            raise ValueError(f"{path} is no report of the lab's: choose another --out")
        pictures = {}
        for picture in self.make(_words(content)).pictures():
            if (png := self._png(picture, dark=False)) is not None:
                target = path.with_suffix("") / f"{picture.name}.png"
                target.parent.mkdir(exist_ok=True)
                write_whole(target, png, durable=False)
                pictures[picture.name] = quote(f"{target.parent.name}/{target.name}")
        # Drawing takes seconds in which the person may have saved: their file is read as late as can be.
        content = _content(path)
        if content and not untouched(_text(content)) and (copy := keep(path, content)) is not None:
            self.kept.append(copy)
        words = _words(content)
        write_whole(path, sign(render_markdown(self.make(words), words, pictures)))
        self.files.append(path)

    def page(self, path: Path, words: dict[str, str]) -> None:
        """Write a report as one HTML file. Raises ValueError where another kind of file lies there."""
        if (content := _content(path)) and not is_page(_text(content)):
            raise ValueError(f"{path} is no report of the lab's: choose another --out")
        document = self.make(words)
        pictures = {}
        for picture in document.pictures():
            light, dark = self._png(picture, dark=False), self._png(picture, dark=True)
            if light is not None and dark is not None:
                pictures[picture.name] = light, dark
        write_whole(path, render_page(document, words, pictures))
        self.files.append(path)

    def _png(self, picture: Picture, *, dark: bool) -> bytes | None:
        """A picture as PNG; None, and a remark, where its numbers cannot be drawn."""
        key = picture.name, dark
        if key not in self._drawn:
            try:
                figure: Figure = picture.draw(dark)
                file = io.BytesIO()
                figure.savefig(file, format="png", dpi=DPI)
                self._drawn[key] = file.getvalue()
            except (ValueError, TypeError, IndexError, ArithmeticError, MemoryError) as error:
                self._drawn[key] = None
                if (remark := f"the picture {picture.name!r} could not be drawn: {error}") not in self.undrawn:
                    self.undrawn.append(remark)
        return self._drawn[key]


def words_of(path: Path) -> dict[str, str]:
    """What the person wrote into the report at `path`; nothing where there is none."""
    return _words(_content(path))


def _words(content: bytes) -> dict[str, str]:
    return words_in(_text(content))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")
