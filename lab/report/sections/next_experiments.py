"""What to do next: open questions that this run's own numbers raise, each with the command that would answer it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from lab.report.document import Block, Section, Table, Verbatim
from lab.report.formatting import number, percent, quoted
from lab.report.loss_curve import SURE, TAIL, tail_slope
from lab.report.markup import code
from lab.report.run_record import RunRecord
from lab.report.sections.attention import strongest
from lab.report.sections.findings import problems
from lab.report.sections.forecast import predictions
from lab.report.sections.learning_rate import CLOSE, OFTEN
from lab.report.sections.losses import overfits
from lab.runs import list_runs, metrics
from lab.runs.configurations import group_by_configuration
from lab.runs.next_commands import LAB, RESUMABLE, on_run, resume, root_flag
from lab.units import UNKNOWN, count, duration

When = Literal["now", "soon", "later"]
ORDER: tuple[When, ...] = ("now", "soon", "later")
MOST_SIBLINGS = 50
SETTING = re.compile(r"--\w+\.[\w.]+ [\w.+-]+")  # with its value, as an advice names it


@dataclass(frozen=True)
class Question:
    """An open question: how urgent, why it is asked (with numbers), what to run, what that costs."""

    when: When
    question: str
    because: str
    command: str
    seconds: float | None = None


def next_experiments(record: RunRecord) -> Section:
    """A table of the questions by urgency, and their commands below."""
    title, found = "Open questions and next experiments", questions(record)
    if not found:
        return Section(title, [])
    rows = [(q.when, q.question, q.because, f"about {duration(q.seconds, 2)}" if q.seconds else UNKNOWN) for q in found]
    blocks: list[Block] = [Table(("when", "question", "because", "cost"), rows)]
    return Section(title, blocks + [Verbatim(f"**{q.when}:** {q.question}", q.command) for q in found])


def questions(record: RunRecord) -> list[Question]:
    """Most urgent first. Experiments need the run's configuration; without it, they are left out."""
    found = [*_unfinished(record), *_remedies(record), *_heads(record)]
    if record.config:
        for ask in (_seeds, _length, _batch, _overfitting, _clipping, _rate, _forecast):
            found += ask(record)
    return sorted(found, key=lambda question: ORDER.index(question.when))


def _fit(record: RunRecord, name: str, *changes: str) -> str:
    new = quoted(f"{record.name}-{name}")
    return f"{LAB} fit --config {quoted(record.run.config_path)} --run.name {new} {' '.join(changes)}"


def _unfinished(record: RunRecord) -> Iterator[Question]:
    status = record.status
    if status.state in RESUMABLE and record.checkpoints:
        total = f" of {status.total_steps:,}" if status.total_steps else ""
        left = (status.total_steps or 0) - record.steps
        seconds = record.seconds / record.steps * left if record.seconds and record.steps and left > 0 else None
        because = f"it is {status.state} at step {record.steps:,}{total}"
        yield Question("now", "What would its final loss be?", because, resume(record.run), seconds)


def _remedies(record: RunRecord) -> Iterator[Question]:
    """What the diagnosis advises, as a run where it is a setting, else as a look at the evidence."""
    for finding in problems(record)[:3]:
        runnable = next((item for item in finding.tries if SETTING.search(item)), None)
        remedy = runnable or next(iter(finding.tries), None)
        question = f"Does this help: {remedy}?" if remedy else f"What causes {code(finding.rule)}?"
        command = on_run("diagnose", record.run)
        if runnable and record.config:
            command = _fit(record, finding.rule.replace("_", "-"), *SETTING.findall(runnable))
        when: When = "now" if finding.level == "alarm" else "soon"
        yield Question(when, question, f"the diagnosis found {code(finding.rule)}", command)


def _seeds(record: RunRecord) -> Iterator[Question]:
    if not record.ended_well or record.status.parent:
        return
    configs = {record.name: record.config}
    for run in list_runs(record.run.path.parent)[-MOST_SIBLINGS:]:
        status = run.status()
        if status.state == "completed" and not status.parent:
            with suppress(ValueError):
                configs.setdefault(run.name, run.config() or {})
    group = group_by_configuration(configs)[0]
    if len(set(group.seeds.values())) > 1:
        command = f"{LAB} compare {' '.join(map(quoted, group.runs))}{root_flag(record.run.path.parent)}"
        because = f"{len(group.runs)} runs of it are complete"
        yield Question("soon", "How far do seeds of this configuration spread?", because, command)
        return
    seed = record.settings.get("seed_everything")
    other = seed + 1 if isinstance(seed, int) else 2
    yield Question(
        "soon", "How much of its final loss is due to the seed?", "it was trained with one seed",
        _fit(record, f"seed{other}", f"--seed_everything {other}"), record.seconds,
    )  # fmt: skip


def _length(record: RunRecord) -> Iterator[Question]:
    tail = tail_slope(record.train)
    if tail is None or overfits(record) or not record.ended_well:
        return
    change, error = tail
    if change < -SURE * error:
        yield Question(
            "soon", "How much lower does twice the length bring the loss?",
            f"over its last {percent(TAIL)} it still fell by {abs(change):.3f} nats",
            _fit(record, "longer", f"--horizon.steps {2 * record.steps}"), 2 * (record.seconds or 0) or None,
        )  # fmt: skip


def _batch(record: RunRecord) -> Iterator[Question]:
    critical, step = record.of(metrics.STATS_CRITICAL_BATCH).last, record.tokens_per_step
    if not step:
        return
    if critical is None:
        size, context = record.settings.get("data.batch_size"), record.data.get("context_length")
        if isinstance(size, int) and isinstance(context, int) and size * context == step and size % 2 == 0:
            yield Question(
                "later", "How large a batch pays off?",
                "the noise of the gradient was not measured: every step was one micro-batch",
                _fit(record, "noise", f"--data.batch_size {size // 2}", f"--data.tokens_per_step {step}"),
                record.seconds,
            )  # fmt: skip
    elif critical > CLOSE * step:
        half = max(1, record.steps // 2)
        yield Question(
            "soon", "Do larger steps reach the same loss in fewer of them?",
            f"the critical batch is {count(critical)} tokens, a step has {count(step)}",
            _fit(record, "batch", f"--data.tokens_per_step {2 * step}", f"--horizon.steps {half}"), record.seconds,
        )  # fmt: skip


def _overfitting(record: RunRecord) -> Iterator[Question]:
    if record.best is None or not overfits(record):
        return
    dropout = record.facts.number("model.config.dropout")
    yield Question(
        "now", "Does dropout reduce the overfitting?",
        f"validation was lowest at step {record.best[0]:,} of {record.steps:,}",
        _fit(record, "dropout", f"--model.config.dropout {min(0.5, 2 * dropout) if dropout else 0.1:g}"),
        record.seconds,
    )  # fmt: skip


def _clipping(record: RunRecord) -> Iterator[Question]:
    clipped, norm = record.of(metrics.TRAIN_CLIPPED), record.of(metrics.TRAIN_GRAD_NORM)
    if len(clipped) and len(norm) and float(clipped.values.mean()) > OFTEN:
        level = float(norm.values[len(norm) // 2 :].mean())
        yield Question(
            "later", "What does the clipping threshold change here?",
            f"it clipped {percent(float(clipped.values.mean()))} of the steps",
            _fit(record, "clip", f"--model.optimizer.clip {3 * level:.2g}"), record.seconds,
        )  # fmt: skip


def _rate(record: RunRecord) -> Iterator[Question]:
    lr, optimizer = record.facts.number("model.optimizer.lr"), record.settings.get("model.optimizer.name")
    if lr is None or not record.ended_well or record.status.parent:
        return
    muon = record.facts.number("model.optimizer.muon_lr") if optimizer == "muon" else None
    both = [f"--model.optimizer.muon_lr {2 * muon:g}"] if muon is not None else []
    yield Question(
        "later", "Is the learning rate near its best?", f"this run tried only {lr:g}",
        _fit(record, "lr-double", f"--model.optimizer.lr {2 * lr:g}", *both), record.seconds,
    )  # fmt: skip


def _heads(record: RunRecord) -> Iterator[Question]:
    induction = next((head for head in strongest(record) if head.kind == "induction"), None)
    if induction is None:
        return
    score = number(induction.score, 2)
    if induction.formed:
        yield Question(
            "soon", f"How much does {induction.name} lower the loss?", f"its induction score is {score}",
            f"python -m analysis_app --runs {quoted(record.run.path.parent)}  # Attention, {induction.name}",
        )  # fmt: skip
    elif record.model.get("n_layers") != 1:
        yield Question(
            "later", "What does an induction head need to form?",
            f"the highest induction score of a head is {score}, chance is {number(induction.chance, 2)}",
            f"{LAB} fit --config experiments/induction",
        )  # fmt: skip
    elif record.config:
        yield Question(
            "later", "Does a second layer bring an induction head?", "one layer cannot form one",
            _fit(record, "two-layers", "--model.config.n_layers 2"), record.seconds,
        )  # fmt: skip


def _forecast(record: RunRecord) -> Iterator[Question]:
    if not predictions(record):
        command = f"{LAB} plan --config {quoted(record.run.config_path)}"
        yield Question("soon", "Could you have predicted its final loss?", "nothing was predicted", command)
