"""The two marks that text in a report may have; everything else in it is disabled."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from lab.visible import visible

_MARKS = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*")
_OPTION = re.compile(r"(?<!\S)(--[\w.]+)")
_ACTIVE = re.compile(r"([\\`*\[\]|<>#~]|(?<!\w)_|_(?!\w))")


def code(text: object, most: int = 200) -> str:
    """Any value as `code` within a sentence: a name, a token, a command."""
    shown = visible(str(text)).replace("\n", "⏎").replace("\t", "⇥").replace("`", "ˋ")
    return f"`{shown[:most]}{'…' if len(shown) > most else ''}`" if shown else "` `"


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """A sentence as (`plain` | `code` | `strong`, text)."""
    end = 0
    for match in _MARKS.finditer(text):
        if match.start() > end:
            yield "plain", text[end : match.start()]
        yield ("code", match[1]) if match[1] is not None else ("strong", match[2])
        end = match.end()
    if end < len(text):
        yield "plain", text[end:]


def to_markdown(text: str, *, cell: bool = False) -> str:
    """A sentence for a Markdown file: nothing but the two marks is markup, and a `cell` stays in one."""
    made = []
    for kind, piece in pieces(visible(text)):
        if kind == "code":
            made.append(f"`{piece.replace('|', chr(92) + '|') if cell else piece}`")
        else:
            plain = _ACTIVE.sub(r"\\\1", piece)
            made.append(f"**{plain}**" if kind == "strong" else plain)
    return " ".join("".join(made).split("\n")) if cell else "".join(made)


def to_html(text: str) -> str:
    """A sentence for a page."""
    made = []
    for kind, piece in pieces(visible(text)):
        if kind == "code":
            made.append(f"<code>{unbroken(piece)}</code>")
        else:
            plain = html.escape(piece)
            made.append(f"<strong>{plain}</strong>" if kind == "strong" else plain)
    return "".join(made)


def unbroken(text: str) -> str:
    """Escaped text whose `--options` a browser does not break after their hyphens."""
    return _OPTION.sub(r'<span class="option">\1</span>', html.escape(text))


def without_marks(text: str) -> str:
    """A sentence for a terminal."""
    return "".join(piece for _, piece in pieces(visible(text)))
