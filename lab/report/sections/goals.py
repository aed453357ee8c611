"""What the lab is for (explain, predict, diagnose, explore): what this run shows of each, and room for own text."""

from __future__ import annotations

from pathlib import Path

from lab.diagnosis.broken_runs import BROKEN_RUNS
from lab.report.document import Block, Paragraph, Section, Table, UserText, Verbatim
from lab.report.formatting import loss, plural
from lab.report.run_record import RunRecord
from lab.report.sections.attention import strongest
from lab.report.sections.findings import problems
from lab.report.sections.forecast import predictions, score
from lab.report.sections.instruments import signs_of
from lab.runs import metrics
from lab.runs.quiz_answers import first_guesses, read_guesses


def goals(record: RunRecord, texts: dict[str, str]) -> Section:
    """The evidence of each; questions that this run can answer; the mental model before and after."""
    asked = study_questions(record)
    answered = sum(bool(texts.get(name, "").strip()) for name, _ in asked)
    rows = [
        ("Explain", f"{answered} of the {plural(len(asked), 'question')} below answered" if asked else "no questions"),
        ("Predict", _predict(record)),
        ("Diagnose", _diagnose(record)),
        ("Explore", _explore(record)),
    ]
    blocks: list[Block] = [Table(("goal", "evidence"), rows)]
    blocks += [UserText(name, question) for name, question in asked]
    before = record.predictions.mental_model if record.predictions is not None else None
    if isinstance(before, str) and before.strip():
        blocks.append(Verbatim("What you expected before the run", before.strip()[:4000]))
    else:
        blocks.append(Paragraph("What you expected of this run was not written down before it began."))
    blocks.append(UserText("model-after", "How do you think the model works, now?"))
    return Section("Goals: explain, predict, diagnose, explore", blocks)


def own_words() -> Section:
    """Questions for the user's own text."""
    return Section(
        "In your own words",
        [
            Paragraph("Write into `report.md` between its marks `yours`; it is kept when the report is written again."),
            UserText("surprised", "What surprised you?"),
            UserText("learned", "What did you learn from this run?"),
            UserText("otherwise", "What would you do differently?"),
            UserText("notes", "Anything else"),
        ],
    )


def study_questions(record: RunRecord) -> list[tuple[str, str]]:
    """`(name, question)`: questions about a transformer that this run's own numbers raise."""
    found = []
    if record.whole and record.train.first is not None and "uniform" in record.baselines:
        found.append(("answer-start", f"Why did the loss start at {loss(record.train.first)}, and not at 0 or at 100?"))
    if "unigram" in record.baselines and len(record.train) > 10:
        found.append(("answer-order", "Why did it learn which tokens are common before it learned which follow which?"))
    formed = {head.kind: head.name for head in strongest(record) if head.formed}
    if "previous_token" in formed and "induction" in formed:
        found.append(("answer-circuit", f"What does {formed['induction']} need {formed['previous_token']} for?"))
    elif "previous_token" in formed:
        found.append(("answer-previous", f"How could later layers use the output of {formed['previous_token']}?"))
    if len(record.layers(metrics.STATS_ENTROPY)) > 1:
        found.append(("answer-sharp", "Why does attention become less even, and why not in all layers alike?"))
    if len(record.of(metrics.TRAIN_LR)) > 10:
        found.append(("answer-lr", "What would have happened with ten times the learning rate?"))
    return found


def _predict(record: RunRecord) -> str:
    rows = predictions(record)
    return score(rows) if rows else "nothing was predicted before this run"


def _diagnose(record: RunRecord) -> str:
    found = len(problems(record))
    told = (
        f"{plural(found, 'problem') if found else 'no problem'} {'during training' if record.watched else 'afterwards'}"
    )
    return f"the rules found {told}; {guessed(record.run.path.parent)}"


def guessed(root: Path) -> str:
    """How many runs of the page's diagnosis quiz the user answered right at the first try."""
    first = first_guesses(read_guesses(root))
    if not first:
        return "you answered no run of the page's diagnosis quiz yet"
    asked = sum(broken.cause is not None for broken in BROKEN_RUNS.values())
    right = f"{sum(first.values())} of {plural(len(first), 'run')}"
    return f"in the page's diagnosis quiz you were right at the first try in {right}; it has {asked}"


def _explore(record: RunRecord) -> str:
    counted = (
        (len(record.snapshots), "snapshot to open", "snapshots to open"),
        (len(record.bundles), "recording of the reference texts", "recordings of the reference texts"),
        (len(signs_of(record)), "dated observation", "dated observations"),
    )
    parts = [plural(n, one, many) for n, one, many in counted if n]
    return ", ".join(parts) if parts else "nothing was kept that could be explored"
