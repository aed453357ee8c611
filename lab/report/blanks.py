"""The person's own words in a report, kept when it is written again.

In report.md each of them stands between two marks, `<!-- yours: NAME -->` and `<!-- /yours: NAME -->`. The first line
of the file carries a hash of all the rest, less what stands in between. So whoever writes the report anew can tell
whether the person kept to the marks: if yes, everything is in them; if not (text beside them, a mark half deleted, a
torn file), the whole old file is kept under another name before anything is replaced.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from lab.runs.atomic import write_whole

HEAD = "<!-- report of the pretraining lab; your own words go between the marks `yours`; {} -->"
_HEAD = re.compile(r"<!-- report of the pretraining lab;.*?([0-9a-f]{64}) -->")
_REGION = re.compile(r"<!-- yours: ([\w. -]{1,80}) -->\n(.*?)\n?<!-- /yours: \1 -->", re.DOTALL)
MARK = "<!-- yours: "


def sign(text: str) -> str:
    """A report's text under the line that vouches for it."""
    return f"{HEAD.format(_digest(text))}\n{text}"


def region(name: str, words: str) -> str:
    """A place for the person's words, with those they have written already."""
    return f"<!-- yours: {name} -->\n{words}\n<!-- /yours: {name} -->"


def words_in(text: str) -> dict[str, str]:
    """Name → what the person wrote there; empty ones are left out. Line ends become those of Unix."""
    found: dict[str, str] = {}
    for name, words in _REGION.findall(_unix(text)):
        if words.strip():
            # Twice the same mark, by a copy of the person's: both texts are kept.
            found[name] = f"{found[name]}\n\n{words}" if name in found else words
    return found


def is_report(text: str) -> bool:
    """Whether the lab wrote this file once, whatever became of it."""
    return bool(_HEAD.match(text)) or MARK in text


def untouched(text: str) -> bool:
    """Whether everything outside of the marks is as it was written."""
    text = _unix(text)
    first, _, rest = text.partition("\n")
    match = _HEAD.fullmatch(first)
    return bool(match) and match[1] == _digest(rest)


def keep(path: Path, content: bytes) -> Path | None:
    """Lay a copy of a file's content beside it, under a name of its own; None where such a copy lies there already."""
    for n in range(1, 10_000):
        copy = path.with_name(f"{path.stem}.kept-{n}{path.suffix}")
        if not copy.exists():
            write_whole(copy, content)
            return copy
        if copy.read_bytes() == content:
            return None
    raise ValueError(f"{path.parent} holds 10,000 kept copies of {path.name}: tidy up first")


def _digest(text: str) -> str:
    bare = _REGION.sub(lambda match: region(match[1], ""), _unix(text))
    return hashlib.sha256(bare.encode("utf-8", "surrogatepass")).hexdigest()


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
