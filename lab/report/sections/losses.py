"""The loss curve, annotated, and what it shows."""

from __future__ import annotations

import math
from collections.abc import Iterator

from matplotlib.figure import Figure

from lab.diagnosis.stability import Spike
from lab.figures.loss import draw_loss
from lab.report.document import Block, Paragraph, Picture, Section, Table, bullets
from lab.report.formatting import listed, loss, percent, plural
from lab.report.loss_curve import (
    SURE,
    TAIL,
    loss_spikes,
    phases,
    smooth,
    steps_near,
    tail_slope,
    warm_up_and_decay,
    way_down,
)  # fmt: skip
from lab.report.markup import code
from lab.report.run_record import RunRecord
from lab.runs import metrics
from lab.runs.events import Failed
from lab.runs.facts import dig, label_of
from lab.runs.seams import Seam, told_changes
from lab.units import UNKNOWN, count

MOST_SPIKES = 5
MARK_LETTERS = 40
GAP, LEAST_GAP = 0.05, 0.02  # validation over training loss, as a share and in nats, below which they are called alike
SUDDEN = 0.15  # a fall whose middle half takes less of the run, and begins later, is called sudden
EVENTS = {
    "paused": "paused",
    "lr_changed": "lr changed",
    "resumed": "resumed",
    "rewound": "rewound",
    "stopped": "stopped",
    "failed": "failed",
    "finding": "finding",
}


def losses(record: RunRecord) -> Section:
    """Picture, phases, spikes, and sentences."""
    if not len(record.train) and not len(record.val):
        return Section("The loss curve", [Paragraph("No loss was logged that is a number: there is no curve to show.")])
    found = loss_spikes(record)
    caption = (
        f"Training loss of each step (faint), its moving average, and validation loss{_on_what(record)}. Shaded: the"
        " phases of the table below. Dotted lines: events."
    )
    blocks: list[Block] = [Picture("loss", lambda dark: draw(record, found, dark), caption)]
    blocks += bullets(list(_sentences(record, found)))
    return Section("The loss curve", [*blocks, *_phases(record), *_spikes(found)])


def _on_what(record: RunRecord) -> str:
    """What the validation curve was measured on, where that is not the whole split, and what its band is."""
    errors = record.val_errors
    if record.val_metric == metrics.VAL_LOSS or errors is None:
        return ""
    windows = dig(record.data, "val_subset", "windows")
    n = f"{windows:,} random windows" if isinstance(windows, int) else "a random subset"
    return (
        f" on {n} of the held-out text, the same at every step and in all runs on it (standard error"
        f" {errors[-1]:.3f} nats at the end; the band is twice that: inside lies the whole split's loss)"
    )


def draw(record: RunRecord, found: list[Spike], dark: bool) -> Figure:
    """Both losses between the baselines, with phases above and events below."""
    train = record.train if len(record.train) else record.val
    end = float(train.steps[-1])
    changed = [seam for seam in record.changes if 0 < seam.step <= end]
    marks = [(float(seam.step), words(seam)) for seam in changed]
    marks += [
        (float(event.step), EVENTS[event.kind])
        for event in record.events
        if event.kind in EVENTS
        and event.step is not None
        and 0 < event.step <= end
        and not (event.kind == "resumed" and any(seam.step == event.step for seam in changed))
    ]
    for info in record.checkpoints:
        if "best" in info.aliases and info.step < end:
            marks.append((float(info.step), "best"))
        elif "best" not in info.aliases and 0 < info.step < 0.98 * end:
            marks.append((float(info.step), "checkpoint"))
    marks += [(float(spike.step), "spike") for spike in found[:MOST_SPIKES]]
    lr = warm_up_and_decay(record.of(metrics.TRAIN_LR))
    if lr and lr[1] < end and lr[1] - lr[0] > 0.02 * max(1.0, end - float(train.steps[0])):
        marks.append((float(lr[1]), "decay"))
    stretches = phases(record)
    named: list[tuple[float, float, str]] = []
    for before, phase in zip([None, *stretches], stretches, strict=False):
        name = f"below {label_of(before.level)}" if before and before.level else ""
        name = f"to {label_of(phase.level)}" if phase.level else name
        named.append((phase.start, phase.end, name))
    return draw_loss(
        train.steps, train.values, trend=smooth(train).values, val=(record.val.steps, record.val.values),
        val_error=record.val_errors, val_name="val, subset" if record.val_metric != metrics.VAL_LOSS else "val",
        baselines={label_of(name): value for name, value in record.baselines.items()}, phases=named,
        marks=sorted(marks), title=f"{record.name}: loss", dark=dark,
    )  # fmt: skip


def words(seam: Seam) -> str:
    """What changed at a seam, as short as a mark in a picture has to be."""
    told = told_changes(seam.decisive or seam.changed)
    return told if len(told) <= MARK_LETTERS else f"{told[:MARK_LETTERS]}…"


def _phases(record: RunRecord) -> list[Block]:
    stretches = phases(record)
    if not stretches or (len(stretches) == 1 and not stretches[0].level):
        return []
    rows = []
    for phase in stretches:
        seen = record.facts.tokens(phase.end)
        tokens = UNKNOWN if seen is None else count(seen)
        ended = f"below {label_of(phase.level)}" if phase.level else "the run's end"
        rows.append((f"{phase.start:,} to {phase.end:,}", phase.learned, ended, tokens))
    caption = "Phases of learning: between which baselines of the held-out text the training loss was"
    return [Table(("steps", "the model …", "until", "tokens by then"), rows, numbers=(0, 3), caption=caption)]


def _spikes(found: list[Spike]) -> list[Block]:
    if not found:
        return []
    rows = [
        (f"{s.step:,}", loss(s.before), loss(s.top), "not in this run" if s.back is None else f"{s.back:,}")
        for s in found[:MOST_SPIKES]
    ]
    more = f", the largest {MOST_SPIKES} of {len(found)}" if len(found) > MOST_SPIKES else ""
    headings = ("step", "before", "peak", "back at step")
    return [Table(headings, rows, numbers=(0, 1, 2, 3), caption=f"Spikes of the training loss{more}")]


def _sentences(record: RunRecord, found: list[Spike]) -> Iterator[str]:
    """What the curve shows, a sentence each; empty where the numbers are missing."""
    yield _start(record)
    yield _end(record)
    yield _half(record)
    yield _plateau(record)
    yield _overfitting(record) if overfits(record) else _gap(record)
    yield _tail(record)
    if found:
        lasting = sum(spike.back is None for spike in found)
        told = f"{plural(len(found), 'spike')} of the training loss, the highest at step {found[0].step:,}"
        told += f" (from {loss(found[0].before)} to {loss(found[0].top)})"
        yield told + (f"; from {lasting} it never recovered." if lasting else "; it recovered from all.")
    failed = record.events_of(Failed)
    yield f"It failed: {code(failed[-1].message)}." if failed and failed[-1].message is not None else ""


def _start(record: RunRecord) -> str:
    first, uniform = record.train.first, record.baselines.get("uniform")
    if not record.whole or first is None or uniform is None or record.status.parent:
        return ""
    off = (first - uniform) / uniform
    normal = abs(off) <= record.limits.initial_loss_off
    verdict = "as expected of an untrained model" if normal else "which no well initialised model has"
    return (
        f"It started at **{first:.3f}**, {percent(abs(off))} {'above' if off > 0 else 'below'} guessing evenly"
        f" ({uniform:.3f}), {verdict}."
    )


def _end(record: RunRecord) -> str:
    last, ended = record.final_val, smooth(record.train).last
    if last is None:
        return f"There was no validation; the training loss ended at about {loss(ended)}." if ended is not None else ""
    bits = record.final_bits
    rivals = {label_of(name): value for name, value in record.baselines.items() if name != "floor"}
    beaten = [name for name, value in rivals.items() if last < value]
    missed = [name for name in rivals if name not in beaten]
    told = f"Validation ended at **{last:.3f}** nats per token (perplexity {math.exp(min(last, 50)):.3g}"
    told += f", {bits:.3f} bits per byte)" if bits is not None else ")"
    told += f", below {listed(beaten)}" if beaten else ""
    told += f"; not below {listed(missed)}" if missed else ""
    if floor := record.baselines.get("floor"):
        told += f"; {abs(last - floor):.3f} {'above' if last >= floor else 'below'} the entropy of its source"
    return f"{told}."


def _half(record: RunRecord) -> str:
    quarter, half, rest = (way_down(record.train, share) for share in (0.25, 0.5, 0.75))
    if half is None or not record.steps or not record.whole:
        return ""
    if quarter and rest and quarter > SUDDEN * record.steps > rest - quarter:
        return (
            f"It fell late and at once: half of its fall lies between the steps {quarter:,} and {rest:,}, after"
            f" {percent(quarter / record.steps)} of the run."
        )
    told = f"Half of its fall was done by step {half:,}, after {percent(half / record.steps)} of the run"
    pair = warm_up_and_decay(record.of(metrics.TRAIN_LR))
    return told + (", during the warm-up." if pair and half < pair[0] else ".")


def _plateau(record: RunRecord) -> str:
    stays = {name: steps_near(record, name) for name in ("uniform", "unigram", "bigram")}
    told = [f"for {plural(n, 'step')} near the {name} loss" for name, n in stays.items() if n > 0.1 * record.steps]
    return f"It stayed {listed(told)} (within {100 * record.limits.plateau_near:g} %)." if told else ""


def overfits(record: RunRecord) -> bool:
    """Whether the diagnosis finds overfitting at the end of the run."""
    return "overfitting" in record.holds


def _overfitting(record: RunRecord) -> str:
    last, best = record.val.last, record.best
    if last is None or best is None:
        return ""
    beside = smooth(record.train).as_of(float(record.val.steps[-1]))
    return (
        f"Validation was lowest at step {best[0]:,} ({loss(best[1])}) and ended {percent(last / best[1] - 1)} above"
        f" that, with the training loss at {loss(beside)}: from there on the model memorised its training text."
    )


def _gap(record: RunRecord) -> str:
    val, last = record.val, record.val.last
    beside = smooth(record.train).as_of(float(val.steps[-1])) if len(val) > 1 else None
    if beside is None or last is None or not beside > 0:
        return ""
    gap = (last - beside) / beside
    if abs(gap) < GAP or abs(last - beside) < LEAST_GAP:
        return f"Training ({loss(beside)}) and validation ({loss(last)}) ended {abs(last - beside):.3f} nats apart."
    if gap < 0:
        why = ", because dropout acts in training only" if record.settings.get("model.config.dropout") else ""
        return f"Validation ended {percent(-gap)} **below** training ({loss(beside)}){why}."
    told = f"Validation ended {percent(gap)} above training ({loss(beside)})"
    epochs = record.facts.epochs(record.steps)
    if epochs is not None and epochs < 1:
        return f"{told}, though no text was seen twice: the held-out text is harder, or of another kind."
    return f"{told}: it predicts its training text better, and validation still improved."


def _tail(record: RunRecord) -> str:
    found, lr = tail_slope(record.train), record.of(metrics.TRAIN_LR)
    if found is None:
        return ""
    change, error = found
    share = lr.last / float(lr.values.max()) if lr.last is not None and lr.values.max() > 0 else 1.0
    rate = f", at {percent(share)} of the peak learning rate at the end" if share < 0.2 else ""
    if change < -SURE * error:
        return f"It was still falling: by {abs(change):.3f} ± {error:.3f} nats over the last {percent(TAIL)}{rate}."
    if change > SURE * error:
        return f"Over the last {percent(TAIL)} the training loss **rose** by {change:.3f} ± {error:.3f} nats{rate}."
    noise = f"({change:+.3f} ± {error:.3f} nats)"
    return f"Over the last {percent(TAIL)} it changed by no more than the noise of its batches {noise}{rate}."
