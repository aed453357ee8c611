"""`.sick.json` in the folder of all runs: which faults were guessed in "Diagnosis quiz", for the report to count.

    {"format": 1, "guesses": [{"case": "lr_too_high", "guess": "no_mask", "right": false, "wall": 1760000000.0}, …]}

Oldest first. A case may be guessed again; the first guess is the one that counts. Hidden, so that no list of runs
contains it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.files import read_json, write_json
from lab.runs.lines import now

FORMAT = 1
NAME = ".sick.json"


def read_guesses(root: str | Path) -> list[dict[str, Any]]:
    """All guesses under `root`, oldest first; none where the file is missing or damaged."""
    try:
        content = read_json(Path(root) / NAME) or {}
    except ValueError:
        return []
    guesses = content.get("guesses")
    return [g for g in guesses if _is_guess(g)] if isinstance(guesses, list) else []


def add_guess(root: str | Path, case: str, guess: str, right: bool) -> list[dict[str, Any]]:
    """Append one, and return all. Raises `WriteError` where it cannot be kept."""
    Path(root).mkdir(parents=True, exist_ok=True)
    guesses = [*read_guesses(root), {"case": case, "guess": guess, "right": right, "wall": now()}]
    write_json(Path(root) / NAME, {"format": FORMAT, "guesses": guesses})
    return guesses


def first_guesses(guesses: list[dict[str, Any]]) -> dict[str, bool]:
    """Case → whether its first guess was right."""
    found: dict[str, bool] = {}
    for guess in guesses:
        found.setdefault(guess["case"], guess["right"])
    return found


def _is_guess(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("case"), str) and isinstance(value.get("right"), bool)
