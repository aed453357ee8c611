"""The four promises of the lab, judged by what this run has to show for them, and room for the person's own words."""

from __future__ import annotations

from pathlib import Path

from lab.diagnosis.broken_runs import BROKEN_RUNS
from lab.report.document import Blank, Block, Section, Table, Verbatim, Words
from lab.report.record import Record
from lab.report.sections.attention import strongest
from lab.report.sections.findings import diagnosed
from lab.report.sections.instruments import signs_of
from lab.report.sections.prediction import predictions, score
from lab.report.words import loss, plural
from lab.runs.guesses import first_guesses, read_guesses

QUESTION = "answer-"
"""How the names of the blanks begin whose filling counts as a question answered."""


def promises(record: Record, words: dict[str, str]) -> Section:
    """Explain, predict, diagnose, explore: the evidence of each; then the mental model before and after."""
    asked = study_questions(record)
    answered = sum(bool(words.get(name, "").strip()) for name, _ in asked)
    rows = [
        (
            "Explain",
            f"{answered} of the {plural(len(asked), 'question')} below answered" if asked else "nothing to ask about",
        ),
        ("Predict", _predict(record)),
        ("Diagnose", _diagnose(record)),
        ("Explore", _explore(record)),
    ]
    blocks: list[Block] = [Table(("promise", "evidence"), rows)]
    blocks += [Blank(name, question) for name, question in asked]
    before = record.predictions.mental_model if record.predictions is not None else None
    if isinstance(before, str) and before.strip():
        blocks.append(Verbatim("Your picture of it before the run", before.strip()[:4000]))
    else:
        blocks.append(Words("What you expected of this run was not written down before it began."))
    blocks.append(Blank("model-after", "And after it: what is your picture now?"))
    return Section("The four promises", blocks)


def learnings(record: Record) -> Section:
    """Blanks."""
    return Section(
        "In your own words",
        [
            Words("To be written into `report.md`, between its marks `yours`; kept when the report is written again."),
            Blank("surprised", "What surprised you?"),
            Blank("learned", "What did you learn from this run?"),
            Blank("otherwise", "What would you do otherwise?"),
            Blank("notes", "Anything else"),
        ],
    )


def study_questions(record: Record) -> list[tuple[str, str]]:
    """Questions about a transformer that this very run can be asked: (blank's name, question)."""
    found = []
    if record.train.first is not None and record.baselines.get("uniform") is not None and record.train.steps[0] == 0:
        found.append(("answer-start", f"Why did the loss start at {loss(record.train.first)}, and not at 0 or at 100?"))
    if "unigram" in record.baselines and len(record.train) > 10:
        found.append(("answer-order", "Why did it learn which tokens are common before it learned which follow which?"))
    formed = {head.kind: head for head in strongest(record) if head.formed}
    if "previous_token" in formed and "induction" in formed:
        a, b = formed["previous_token"], formed["induction"]
        found.append(("answer-circuit", f"What does {b.name} need {a.name} for?"))
    elif "previous_token" in formed:
        found.append(
            ("answer-previous", f"What could the layers after {formed['previous_token'].name} do with what it brings?")
        )
    if len(record.layers("stats/entropy")) > 1:
        found.append(("answer-sharp", "Why does attention become less even, and why not in all layers alike?"))
    if len(record.of("train/lr")) > 10:
        found.append(("answer-lr", "What would have happened with ten times the learning rate?"))
    return found


def _predict(record: Record) -> str:
    rows = predictions(record)
    return score(rows) if rows else "nothing was predicted before this run"


def _diagnose(record: Record) -> str:
    found = [f for f in diagnosed(record) if f.level in ("alarm", "warning")]
    troubles = f"named {plural(len(found), 'trouble')}" if found else "named no trouble"
    doctor = f"the doctor {troubles}{' while it ran' if record.watched else ' afterwards'}"
    return f"{doctor}; {guessed(record.run.path.parent)}"


def guessed(root: Path) -> str:
    """How many of the sick runs the person has told from their curves, at the first try."""
    first = first_guesses(read_guesses(root))
    asked = sum(broken.cause is not None for broken in BROKEN_RUNS.values())
    if not first:
        return "none of the sick runs guessed yet"
    right = f"{sum(first.values())} of {plural(len(first), 'sick run')} right at first sight"
    return f"you guessed {right}, of {asked} that there are"


def _explore(record: Record) -> str:
    parts = []
    if record.snapshots:
        parts.append(f"{plural(len(record.snapshots), 'snapshot')} to open")
    if record.probes:
        parts.append(f"{plural(len(record.probes), 'look')} inside on fixed texts")
    signs = signs_of(record)
    if signs:
        parts.append(f"{plural(len(signs), 'moment')} dated")
    return ", ".join(parts) if parts else "nothing was kept that could be looked into"
