"""Text that the user wrote into a report, kept when the report is written again.

In report.md each stands between two marks, `<!-- yours: NAME -->` and `<!-- /yours: NAME -->`. The first line of the
file holds a hash of all the rest, less what stands between marks. It tells, when the report is written again, whether
the user wrote between the marks only: if so, all of it is found there; if not (text elsewhere, a mark half deleted, a
torn file), the whole old file is copied before it is replaced.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from lab.files import write_whole

HEAD = "<!-- report of the pretraining lab; your own words go between the marks `yours`; {} -->"
_HEAD = re.compile(r"<!-- report of the pretraining lab;.*?([0-9a-f]{64}) -->")
_MARKED = re.compile(r"<!-- yours: ([\w. -]{1,80}) -->\n(.*?)\n?<!-- /yours: \1 -->", re.DOTALL)
MARK = "<!-- yours: "


def sign(text: str) -> str:
    """A report's text under the line that holds its hash."""
    return f"{HEAD.format(_digest(text))}\n{text}"


def marked(name: str, text: str) -> str:
    """Marks for the user's text, with what they have written so far."""
    return f"<!-- yours: {name} -->\n{text}\n<!-- /yours: {name} -->"


def texts_in(report: str) -> dict[str, str]:
    """Name → what the user wrote there; empty ones are left out. Line ends become those of Unix."""
    found: dict[str, str] = {}
    for name, text in _MARKED.findall(_unix(report)):
        if text.strip():
            # The same mark twice, copied by the user: both texts are kept.
            found[name] = f"{found[name]}\n\n{text}" if name in found else text
    return found


def user_texts_in(path: Path) -> dict[str, str]:
    """What the user wrote into the report at `path`; nothing where there is none."""
    return texts_in(decoded(content_of(path)))


def content_of(path: Path) -> bytes:
    """The bytes of a file, none where it does not exist."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def decoded(content: bytes) -> str:
    """Its text, whatever it holds."""
    return content.decode("utf-8", errors="replace")


def is_report(text: str) -> bool:
    """Whether the lab wrote this file, however it was changed since."""
    return bool(_HEAD.match(text)) or MARK in text


def is_unchanged(text: str) -> bool:
    """Whether everything outside of the marks is as it was written."""
    first, _, rest = _unix(text).partition("\n")
    match = _HEAD.fullmatch(first)
    return match is not None and match[1] == _digest(rest)


def keep_copy(path: Path, content: bytes) -> Path | None:
    """Write a file's content beside it, under a new name; None where such a copy exists."""
    for n in range(1, 10_000):
        copy = path.with_name(f"{path.stem}.kept-{n}{path.suffix}")
        if not copy.exists():
            write_whole(copy, content)
            return copy
        if copy.read_bytes() == content:
            return None
    raise ValueError(f"{path.parent} holds 10,000 kept copies of {path.name}: delete some")


def _digest(text: str) -> str:
    bare = _MARKED.sub(lambda match: marked(match[1], ""), _unix(text))
    return hashlib.sha256(bare.encode("utf-8", "surrogatepass")).hexdigest()


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
