"""The diagnosis quiz: curves of a run with one fault, a choice of causes, the answer with its evidence and twin.

The recordings in `broken_runs/` are made by `scripts/record_broken_runs.py` from the runs of `configs/broken`:
`{"format": 1, "name", "rule", "total_steps", "facts", "lines", "curves": {metric: [steps, values]}, "evidence",
"findings", "command", "comment"}`. What reveals the answer (evidence, findings, comment) is sent only after the
guess. Guesses are kept in the runs folder (`lab.runs.quiz_answers`).
"""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

from analysis_app.library import NotFoundError
from lab.diagnosis import RULES
from lab.diagnosis.broken_runs import BROKEN_RUNS, HEALTHY
from lab.runs.quiz_answers import first_guesses, read_guesses

FOLDER = Path(__file__).parent / "broken_runs"
CHOICES = 4
HIDDEN = ("evidence", "findings", "comment", "command", "rule", "name")


def cases() -> list[str]:
    """The recorded faults that curves can show, in an order that does not reveal them."""
    names = [name for name, fault in BROKEN_RUNS.items() if fault.cause and (FOLDER / f"{name}.json").exists()]
    random.Random("sick runs").shuffle(names)
    return names


@cache
def recording(name: str) -> dict[str, Any]:
    """A recording as it was written."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return found


def choices(name: str) -> list[dict[str, str]]:
    """The right cause among others, always the same ones for a case; `id` is a case's name.

    Causes of other findings in the same run would be right too, so they are not offered.
    """
    rng = random.Random(name)
    seen = {BROKEN_RUNS[name].rule, *(finding["rule"] for finding in recording(name)["findings"])}
    others = [n for n, d in BROKEN_RUNS.items() if d.cause and d.rule not in seen]
    picked = [name, *rng.sample(others, CHOICES - 1)]
    rng.shuffle(picked)
    return [{"id": n, "cause": str(BROKEN_RUNS[n].cause)} for n in picked]


def question(number: int) -> dict[str, Any]:
    """What is sent before the guess."""
    name = _name(number)
    shown = {key: value for key, value in recording(name).items() if key not in HIDDEN}
    return {"number": number, "choices": choices(name), **shown}


def solution(number: int, choice: str) -> dict[str, Any]:
    """The answer, its evidence, and the curves of the twin without the fault."""
    name = _name(number)
    if choice not in [c["id"] for c in choices(name)]:
        raise ValueError(f"{choice[:40]!r} is none of the choices of run {number}")
    found, rule = recording(name), RULES[BROKEN_RUNS[name].rule]
    twin = f"{name}.{HEALTHY}" if (FOLDER / f"{name}.{HEALTHY}.json").exists() else HEALTHY
    return {
        "right": choice == name,
        "name": name,
        "cause": BROKEN_RUNS[name].cause,
        "rule": rule.name,
        "why": rule.why,
        "tries": rule.tries,
        **{key: found[key] for key in ("evidence", "findings", "comment", "command")},
        "twin": recording(twin)["curves"] if (FOLDER / f"{twin}.json").exists() else {},
    }


def score(root: Path) -> dict[str, Any]:
    """The first guess for each case, True or False, None where there is none yet."""
    first = first_guesses(read_guesses(root))
    return {"guessed": [first.get(name) for name in cases()]}


def _name(number: int) -> str:
    names = cases()
    if not 1 <= number <= len(names):
        raise NotFoundError(f"there is no run {number} in the quiz; there are 1 to {len(names)}")
    return names[number - 1]
