"""The lab's commands as the benchmarks call them, in this process or in one of their own."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LAB = (sys.executable, "-m", "lab")


def flags(settings: Mapping[str, Any]) -> list[str]:
    """`--name value` for every setting but those that are None."""
    words = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in settings.items() if v is not None}
    return [part for name, value in words.items() for part in (f"--{name}", value)]


def switched_off(*groups: str) -> list[str]:
    """The flags that switch instruments off."""
    return flags({f"{group}.every": 0 for group in groups})


def fit(arguments: Sequence[str], codes: Collection[int] = (0,)) -> None:
    """`fit` in this process, without its output. Raises RuntimeError with the end of that for another exit code."""
    from lab.__main__ import main

    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = main(["fit", *arguments])
    if code not in codes:
        raise RuntimeError(f"fit {' '.join(arguments)} ended with code {code}: {output.getvalue()[-2000:]}")


def run(*command: str) -> str:
    """A command in a process of its own; what it printed. Raises RuntimeError with the end of its errors."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` ended with code {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
