"""Writing a report: Markdown with pictures beside it, or one HTML file; the user's text is carried over first."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from lab.files import write_whole
from lab.report.document import Document, Picture
from lab.report.html_page import is_page, render_page
from lab.report.markdown import render_markdown
from lab.report.user_text import content_of, decoded, is_report, is_unchanged, keep_copy, sign, texts_in

DPI = 144  # sharp on a dense screen and on paper, at some 60 kB a picture


class Writer:
    """Writes one report, as Markdown, as HTML or both; each picture is drawn once.

    Args:
        make: From the user's texts, by name, to the document: some of its sentences count them.

    `files` are those written; `kept` are copies of earlier reports that had been changed outside of the marks;
    `not_drawn` says which pictures could not be drawn, and why.
    """

    def __init__(self, make: Callable[[dict[str, str]], Document]) -> None:
        self.make = make
        self.files: list[Path] = []
        self.kept: list[Path] = []
        self.not_drawn: list[str] = []
        self._drawn: dict[tuple[str, bool], bytes | None] = {}

    def markdown(self, path: Path) -> None:
        """Write (or write again) a report as Markdown, its pictures in a folder beside it with the file's name.

        The user's text in an earlier report there is kept, and all of that report where it was changed outside of the
        marks. Raises ValueError where the file is no report.
        """
        if (content := content_of(path)) and not is_report(decoded(content)) and path.name != "report.md":
            raise ValueError(f"{path} is no report of the lab's: choose another --out")
        pictures = {}
        for picture in self.make(texts_in(decoded(content))).pictures():
            if (png := self._png(picture, dark=False)) is not None:
                target = path.with_suffix("") / f"{picture.name}.png"
                target.parent.mkdir(exist_ok=True)
                write_whole(target, png, durable=False)
                pictures[picture.name] = quote(f"{target.parent.name}/{target.name}")
        # Drawing takes seconds in which the user may save the file: it is read again, as late as possible.
        content = content_of(path)
        if content and not is_unchanged(decoded(content)) and (copy := keep_copy(path, content)) is not None:
            self.kept.append(copy)
        texts = texts_in(decoded(content))
        write_whole(path, sign(render_markdown(self.make(texts), texts, pictures)))
        self.files.append(path)

    def page(self, path: Path, texts: dict[str, str]) -> None:
        """Write a report as one HTML file. Raises ValueError where the file there is another one."""
        if (content := content_of(path)) and not is_page(decoded(content)):
            raise ValueError(f"{path} is no report of the lab's: choose another --out")
        document = self.make(texts)
        pictures = {}
        for picture in document.pictures():
            light, dark = self._png(picture, dark=False), self._png(picture, dark=True)
            if light is not None and dark is not None:
                pictures[picture.name] = light, dark
        write_whole(path, render_page(document, texts, pictures))
        self.files.append(path)

    def _png(self, picture: Picture, *, dark: bool) -> bytes | None:
        """A picture as PNG; None, and a remark, where its numbers cannot be drawn."""
        key = picture.name, dark
        if key not in self._drawn:
            try:
                file = io.BytesIO()
                picture.draw(dark).savefig(file, format="png", dpi=DPI)
                self._drawn[key] = file.getvalue()
            except (ValueError, TypeError, IndexError, ArithmeticError, MemoryError) as error:
                self._drawn[key] = None
                if (remark := f"the picture {picture.name!r} could not be drawn: {error}") not in self.not_drawn:
                    self.not_drawn.append(remark)
        return self._drawn[key]
