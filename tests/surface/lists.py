"""What the outside relies on, one checked-in list each: read, made anew from the code, and held against each other.

    python -m tests.surface.record [NAME …]      writes the lists anew (all, or the named)

A change of a list is a change for everybody who has runs, scripts or pages of their own: make it on purpose, and see it
in the diff.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from tests.surface import commands, files, routes

FOLDER = Path(__file__).parent / "lists"
LISTS: dict[str, Callable[[Path], list[str]]] = {
    "commands": commands.commands,
    "rest_requests": routes.requests,
    "rest_answers": routes.answers,
    "websocket_messages": routes.messages,
    "gradio_endpoints": routes.endpoints,
    "run_files": files.files,
    "events": files.events,
    "metrics": files.metrics,
    "hooks": files.hooks,
}
"""Name of a list → what makes it, given a folder to work in."""


def stored(name: str) -> list[str]:
    """A list as it is checked in."""
    path = FOLDER / f"{name}.txt"
    return path.read_text().splitlines() if path.exists() else []


def write(name: str, lines: list[str]) -> None:
    """Check a list in."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))


def difference(name: str, now: list[str]) -> str:
    """What is gone (-) and what is new (+); empty where nothing is."""
    changed = difflib.unified_diff(stored(name), now, "checked in", "the code", lineterm="", n=0)
    return "\n".join(line for line in changed if not line.startswith("@@"))
