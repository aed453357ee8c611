"""What to do next: open questions that this run's own numbers raise, each with the command that would answer it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from lab.checks import is_number
from lab.report.curve import TAIL, tail_slope
from lab.report.document import Block, Section, Table, Verbatim
from lab.report.markup import code
from lab.report.record import Record
from lab.report.sections.attention import strongest
from lab.report.sections.findings import diagnosed
from lab.report.sections.losses import SURE, best_step, overfits
from lab.report.sections.prediction import predictions
from lab.report.sections.rates import CLOSE
from lab.report.words import number, percent, quoted
from lab.runs import list_runs
from lab.runs.compare import group_by_configuration
from lab.runs.next_commands import LAB, RESUMABLE, on_run, resume, root_flag
from lab.units import count, duration

When = Literal["now", "soon", "later"]
ORDER: tuple[When, ...] = ("now", "soon", "later")
MOST_SIBLINGS = 50
FLAG = re.compile(r"--[\w.]+ [\w.+-]+")
OFTEN = 0.5
"""Share of clipped steps above which the threshold is a question."""


@dataclass(frozen=True)
class Question:
    """An open question: how urgent, why it is asked (with numbers), what to run, what that costs."""

    when: When
    question: str
    because: str
    command: str
    seconds: float | None = None


def ahead(record: Record) -> Section:
    """A table of the questions by urgency, and their commands below."""
    found = questions(record)
    if not found:
        return Section("Open questions and next experiments", [])
    rows = [(q.when, q.question, q.because, f"about {duration(q.seconds, 2)}" if q.seconds else "n/a") for q in found]
    blocks: list[Block] = [Table(("when", "question", "because", "costs"), rows)]
    blocks += [Verbatim(f"**{q.when}:** {q.question}", q.command) for q in found]
    return Section("Open questions and next experiments", blocks)


def questions(record: Record) -> list[Question]:
    """Most urgent first."""
    found = [*_unfinished(record), *_sick(record), *_seeds(record), *_length(record), *_batch(record)]
    found += [*_overfitting(record), *_clipping(record), *_rate(record), *_heads(record), *_foresight(record)]
    return sorted(found, key=lambda question: ORDER.index(question.when))


def _fit(record: Record, name: str, *changes: str) -> str:
    new = quoted(f"{record.name}-{name}")
    return f"{LAB} fit --config {config_path(record)} --run.name {new} {' '.join(changes)}"


def config_path(record: Record) -> str:
    """The run's configuration, for a command."""
    return quoted(record.run.config_path)


def _unfinished(record: Record) -> Iterator[Question]:
    status = record.status
    if status.state in RESUMABLE and record.checkpoints:
        total = f" of {status.total_steps:,}" if status.total_steps else ""
        left = (status.total_steps or 0) - record.steps
        seconds = record.seconds / record.steps * left if record.seconds and record.steps and left > 0 else None
        yield Question(
            "now", "Where would it have ended?", f"it is {status.state} at step {record.steps:,}{total}",
            resume(record.run), seconds,
        )  # fmt: skip


def _sick(record: Record) -> Iterator[Question]:
    """What the doctor proposes, as a run where it is a setting, else as a look at the evidence."""
    for finding in [f for f in diagnosed(record) if f.level in ("alarm", "warning")][:3]:
        advice = finding.tries
        runnable = next((item for item in advice if FLAG.search(item)), None)
        cure = f"Does it help: {runnable or advice[0]}?" if advice else f"What is behind {code(finding.rule)}?"
        command = on_run("diagnose", record.run)
        if runnable and record.config:
            command = _fit(record, finding.rule.replace("_", "-"), *FLAG.findall(runnable))
        when: When = "now" if finding.level == "alarm" else "soon"
        yield Question(when, cure, f"the doctor found {code(finding.rule)}", command)


def _seeds(record: Record) -> Iterator[Question]:
    if not record.config or not record.ended_well or record.status.parent:
        return
    configs = {record.name: record.config}
    for run in list_runs(record.run.path.parent)[-MOST_SIBLINGS:]:
        status = run.status()
        if status.state != "completed" or status.parent:
            continue
        with suppress(ValueError):
            configs.setdefault(run.name, run.config() or {})
    group = group_by_configuration(configs)[0]
    if len(set(group.seeds.values())) > 1:
        yield Question(
            "soon", "How far do seeds of this configuration spread?", f"{len(group.runs)} runs of it are complete",
            f"{LAB} compare {' '.join(map(quoted, group.runs))}{root_flag(record.run.path.parent)}",
        )  # fmt: skip
        return
    seed = record.settings.get("seed_everything")
    other = seed + 1 if isinstance(seed, int) else 2
    yield Question(
        "soon", "How much of its final loss is luck?", "it was trained with one seed",
        _fit(record, f"seed{other}", f"--seed_everything {other}"), record.seconds,
    )  # fmt: skip


def _length(record: Record) -> Iterator[Question]:
    tail = tail_slope(record.train)
    if tail is None or overfits(record) or not record.ended_well or not record.config:
        return
    change, error = tail
    if change < -SURE * error:
        yield Question(
            "soon", "What does twice the length bring?",
            f"its last {percent(TAIL)} still brought {abs(change):.3f} nats",
            _fit(record, "longer", f"--horizon.steps {2 * record.steps}"), 2 * (record.seconds or 0) or None,
        )  # fmt: skip


def _batch(record: Record) -> Iterator[Question]:
    critical, step = record.of("stats/critical_batch").last, record.tokens_per_step
    if not step or not record.config:
        return
    if critical is None:
        size, context = record.settings.get("data.batch_size"), record.data.get("context_length")
        whole = isinstance(size, int) and isinstance(context, int) and size * context == step
        if whole and isinstance(size, int) and size % 2 == 0:
            yield Question(
                "later", "How large a batch is worth having?",
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


def _overfitting(record: Record) -> Iterator[Question]:
    best = best_step(record)
    if best is None or not overfits(record) or not record.config:
        return
    dropout = record.settings.get("model.config.dropout")
    more = min(0.5, 2 * float(dropout)) if is_number(dropout) and dropout else 0.1
    yield Question(
        "now", "Does dropout keep it from learning its text by heart?",
        f"validation was lowest at step {best:,} of {record.steps:,}",
        _fit(record, "dropout", f"--model.config.dropout {more:g}"), record.seconds,
    )  # fmt: skip


def _clipping(record: Record) -> Iterator[Question]:
    clipped, norm = record.of("train/clipped"), record.of("train/grad_norm")
    if len(clipped) and len(norm) and float(clipped.values.mean()) > OFTEN and record.config:
        level = float(norm.values[len(norm) // 2 :].mean())
        yield Question(
            "later", "What does the clipping threshold decide here?",
            f"it acted in {percent(float(clipped.values.mean()))} of the steps",
            _fit(record, "clip", f"--model.optimizer.clip {3 * level:.2g}"), record.seconds,
        )  # fmt: skip


def _rate(record: Record) -> Iterator[Question]:
    lr, optimizer = record.settings.get("model.optimizer.lr"), record.settings.get("model.optimizer.name")
    if not is_number(lr) or not record.ended_well or record.status.parent or not record.config:
        return
    muon = record.settings.get("model.optimizer.muon_lr") if optimizer == "muon" else None
    both = [f"--model.optimizer.muon_lr {2 * float(muon):g}"] if is_number(muon) and muon is not None else []
    yield Question(
        "later", "Is the learning rate near its best?", f"only {float(lr):g} was tried in this run",
        _fit(record, "lr-double", f"--model.optimizer.lr {2 * float(lr):g}", *both), record.seconds,
    )  # fmt: skip


def _heads(record: Record) -> Iterator[Question]:
    heads = {head.kind: head for head in strongest(record)}
    induction, layers = heads.get("induction"), record.model.get("n_layers")
    if induction is None:
        return
    if induction.formed:
        yield Question(
            "soon", f"What does {induction.name} do for the loss?",
            f"its induction score is {number(induction.score, 2)}",
            f"python -m analysis_app --runs {quoted(record.run.path.parent)}  # Attention, {induction.name}",
        )  # fmt: skip
    elif layers == 1:
        yield Question(
            "later", "Does a second layer bring an induction head?", "one layer cannot make one",
            _fit(record, "two-layers", "--model.config.n_layers 2"), record.seconds,
        )  # fmt: skip
    else:
        yield Question(
            "later", "What does it take for an induction head to form?",
            f"the strongest head has a score of {number(induction.score, 2)}, chance is {number(induction.chance, 2)}",
            f"{LAB} fit --config configs/experiments/induction.yaml",
        )  # fmt: skip


def _foresight(record: Record) -> Iterator[Question]:
    if not predictions(record) and record.config:
        yield Question(
            "soon", "Could you have said beforehand where it would end?", "nobody predicted anything",
            f"{LAB} plan --config {config_path(record)}",
        )  # fmt: skip
