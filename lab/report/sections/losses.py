"""The loss curve, annotated, and what it tells."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from lab.checks import is_number
from lab.figures.loss import draw_loss
from lab.report.curve import (
    TAIL,
    Spike,
    crossing,
    levels,
    lingering,
    phases,
    smooth,
    spikes,
    tail_slope,
    warm_up_and_decay,
    way_down,
)
from lab.report.document import Block, Picture, Points, Section, Table, Words
from lab.report.markup import code
from lab.report.record import Record
from lab.report.words import listed, loss, percent, plural
from lab.runs.events import Failed
from lab.units import count

MOST_SPIKES = 5
GAP = 0.05
"""Between the losses of both splits, as a share: below it they are called alike."""
LEAST_GAP = 0.02
"""In nats: a smaller difference between the splits is none, whatever its share of a loss near 0."""
RISE = 0.01
"""So much above its lowest value, a validation loss has risen."""
SUDDEN = 0.15
"""A fall whose middle half takes less of the run than this, and begins later than this, was a sudden one."""
SURE = 2.0
"""Standard errors that a slope has to be from 0."""
EVENTS = {
    "paused": "paused",
    "unpaused": "",
    "lr_changed": "lr changed",
    "resumed": "resumed",
    "rewound": "rewound",
    "stopped": "stopped",
    "failed": "failed",
    "finding": "finding",
}


def losses(record: Record) -> Section:
    """Picture, phases, spikes, and sentences."""
    if not len(record.train) and not len(record.val):
        return Section("The loss curve", [Words("No loss was measured that is a number: there is no curve to read.")])
    found = spikes(record.train)
    blocks: list[Block] = [
        Picture("loss", lambda dark: draw(record, dark), _caption(record)),
        Points(sentences(record, found)),
    ]
    stretches = phases(record)
    if len(stretches) > 1 or (stretches and stretches[0].level):
        rows = []
        for phase in stretches:
            tokens = count(phase.end * record.tokens_per_step) if record.tokens_per_step else "n/a"
            ended = f"below {phase.level}" if phase.level else "the run's end"
            rows.append((f"{phase.start:,} to {phase.end:,}", phase.says, ended, tokens))
        caption = "What the training loss had come below of when; the baselines are those of the held-out text"
        heads = ("steps", "the model …", "until", "tokens by then")
        blocks.append(Table(heads, rows, numbers=(0, 3), caption=caption))
    if found:
        rows = [
            (
                f"{s.step:,}",
                loss(s.before),
                loss(s.height),
                "not in this run" if s.recovered is None else f"{s.recovered:,}",
            )
            for s in found[:MOST_SPIKES]
        ]
        more = f", the largest {MOST_SPIKES} of {len(found)}" if len(found) > MOST_SPIKES else ""
        caption = f"Spikes of the training loss{more}"
        blocks.append(Table(("step", "before", "peak", "back at step"), rows, numbers=(0, 1, 2, 3), caption=caption))
    return Section("The loss curve", blocks)


def draw(record: Record, dark: bool) -> Figure:
    """Both losses between the baselines, with phases above and what happened below."""
    train = record.train if len(record.train) else record.val
    span = max(1.0, float(train.steps[-1] - train.steps[0]))
    found = phases(record)
    marks = [
        (float(event.step), EVENTS[event.kind])
        for event in record.events
        if EVENTS.get(event.kind) and event.step is not None and 0 < event.step <= train.steps[-1]
    ]
    best = [info.step for info in record.checkpoints if "best" in info.aliases]
    marks += [(float(step), "best") for step in best if step < train.steps[-1]]
    kept = [info.step for info in record.checkpoints if info.step not in best]
    marks += [(float(step), "checkpoint") for step in kept if 0 < step < 0.98 * train.steps[-1]]
    marks += [(float(spike.step), "spike") for spike in spikes(record.train)[:MOST_SPIKES]]
    lr = warm_up_and_decay(record.of("train/lr"))
    if lr and lr[1] < train.steps[-1] and lr[1] - lr[0] > 0.02 * span:
        marks.append((float(lr[1]), "decay"))
    named: list[tuple[float, float, str]] = []
    for before, phase in zip([None, *found], found, strict=False):
        name = f"to {phase.level}" if phase.level else f"below {before.level}" if before else ""
        named.append((phase.start, phase.end, name))
    return draw_loss(
        train.steps, train.values, trend=smooth(train).values, val=(record.val.steps, record.val.values),
        baselines=record.baselines, phases=named, marks=sorted(marks), title=f"{record.name}: loss", dark=dark,
    )  # fmt: skip


def _caption(record: Record) -> str:
    marks = "shaded: the phases of the table below; dotted: what happened"
    return f"Training loss of each step (faint), its moving average, and validation loss; {marks}."


def sentences(record: Record, found: list[Spike]) -> list[str]:
    """What the curve tells, one sentence each, with its numbers."""
    told = [_start(record), _end(record), _half(record), _plateau(record), _gap(record), _tail(record)]
    told += [_spikes(found), _missing(record)]
    return [sentence for sentence in told if sentence]


def _start(record: Record) -> str:
    first = record.train.first if len(record.train) and record.train.steps[0] == 0 else None
    uniform = record.baselines.get("uniform")
    if first is None or uniform is None or record.status.parent:
        return ""
    off = (first - uniform) / uniform
    near = "as an untrained model should be" if abs(off) < GAP else "where no well initialised model is"
    side = "above" if off > 0 else "below"
    return f"It started at **{first:.3f}**, {percent(abs(off))} {side} guessing evenly ({uniform:.3f}), {near}."


def _end(record: Record) -> str:
    last, ended = record.val.last, smooth(record.train).last
    if last is None:
        return f"There was no validation; the training loss ended at about {loss(ended)}." if ended is not None else ""
    bits = record.of("val/bits_per_byte").last
    rivals = {name: value for name, value in record.baselines.items() if name != "floor"}
    beaten = [name for name, value in rivals.items() if last < value]
    missed = [name for name in rivals if name not in beaten]
    told = f"Validation ended at **{last:.3f}** nats per token (perplexity {math.exp(min(last, 50)):.3g}"
    told += f", {bits:.3f} bits per byte)" if bits is not None else ")"
    told += f", below {listed(beaten)}" if beaten else ""
    told += f"; not below {listed(missed)}" if missed else ""
    floor = record.baselines.get("floor")
    if floor:
        told += f"; {abs(last - floor):.3f} {'above' if last >= floor else 'below'} the entropy of its source"
    return f"{told}."


def _half(record: Record) -> str:
    step, stretch = way_down(record.train, 0.5), (way_down(record.train, 0.25), way_down(record.train, 0.75))
    if step is None or not record.steps or record.train.steps[0] > 0:  # a fork begins in the middle
        return ""
    if stretch[0] and stretch[1] and stretch[0] > SUDDEN * record.steps > stretch[1] - stretch[0]:
        return (
            f"It fell late and at once: half of its fall lies between the steps {stretch[0]:,} and {stretch[1]:,},"
            f" {percent(stretch[0] / record.steps)} of the way in."
        )
    told = f"Half of its fall was done by step {step:,}, {percent(step / record.steps)} of the way"
    pair = warm_up_and_decay(record.of("train/lr"))
    return told + (", still in the warm-up." if pair and step < pair[0] else ".")


def _plateau(record: Record) -> str:
    told = []
    for name in ("uniform", "unigram", "bigram"):
        steps = lingering(record, name)
        if steps > 0.1 * max(1, record.steps):
            told.append(f"for {plural(steps, 'step')} near the {name} loss")
    return f"It lingered {listed(told)} (within 3 %)." if told else ""


def overfits(record: Record) -> bool:
    """Whether the validation loss ended more than 1 % above its lowest."""
    val = record.val
    return len(val) > 2 and val.last is not None and val.last > (1 + RISE) * float(val.values.min()) > 0


def _gap(record: Record) -> str:
    val, train = record.val, smooth(record.train)
    beside = train.as_of(float(val.steps[-1])) if len(val) > 1 else None
    if beside is None or val.last is None or not beside > 0:
        return ""
    if overfits(record):
        best = int(val.values.argmin())
        rise = float(val.last / val.values[best]) - 1
        return (
            f"Validation was lowest at step {int(val.steps[best]):,} ({loss(float(val.values[best]))}) and ended"
            f" {percent(rise)} above that, with the training loss at {loss(beside)}: from there on it learned its text"
            " by heart."
        )
    gap = float(val.last - beside) / beside
    if abs(gap) < GAP or abs(val.last - beside) < LEAST_GAP:
        apart = f"{abs(val.last - beside):.3f} nats apart"
        return f"Training ({loss(beside)}) and validation ({loss(val.last)}) ended {apart}."
    epochs = record.data.get("steps_per_epoch")
    if gap < 0:
        dropout = record.settings.get("model.config.dropout")
        why = ", for dropout acts in training alone" if dropout else ""
        return f"Validation ended {percent(-gap)} **below** training ({loss(beside)}){why}."
    told = f"Validation ended {percent(gap)} above training ({loss(beside)})"
    if is_number(epochs) and record.steps < epochs:
        return f"{told}, though no text was seen twice: the held-out text is harder, or unlike the rest."
    return f"{told}: it knows its own text better, and what it learns still helps on the other."


def _tail(record: Record) -> str:
    found, lr = tail_slope(record.train), record.of("train/lr")
    if found is None:
        return ""
    change, error = found
    share = lr.last / float(lr.values.max()) if lr.last is not None and lr.values.max() > 0 else 1.0
    rate = f", at {percent(share)} of the peak learning rate at the end" if share < 0.2 else ""
    if change < -SURE * error:
        return f"It was still falling: its last {percent(TAIL)} brought {abs(change):.3f} ± {error:.3f} nats{rate}."
    if change > SURE * error:
        return f"In its last {percent(TAIL)} the training loss **rose** by {change:.3f} ± {error:.3f} nats{rate}."
    noise = f"({change:+.3f} ± {error:.3f} nats)"
    return f"Its last {percent(TAIL)} changed nothing beyond the noise of its batches {noise}{rate}."


def _spikes(found: list[Spike]) -> str:
    if not found:
        return ""
    lasting = [s for s in found if s.recovered is None]
    worst = found[0]
    told = f"{plural(len(found), 'spike')} of the training loss, the highest at step {worst.step:,}"
    told += f" (from {loss(worst.before)} to {loss(worst.height)})"
    return told + (f"; {len(lasting)} never recovered." if lasting else "; all recovered.")


def _missing(record: Record) -> str:
    failed = record.events_of(Failed)
    message = failed[-1].message if failed else None
    return f"It failed: {code(message)}." if message is not None else ""


def best_step(record: Record) -> int | None:
    """The step of the lowest validation loss."""
    return int(record.val.steps[int(record.val.values.argmin())]) if len(record.val) else None


def crossing_of(record: Record, name: str) -> int | None:
    """When the training loss went below a baseline."""
    level = levels(record).get(name)
    return None if level is None else crossing(smooth(record.train), level)
