"""All runs under a root in one report: which sizes were trained, how loss scaled, how good the predictions were."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lab.figures.scaling import draw_scaling
from lab.report.document import Blank, Block, Document, Picture, Points, Section, Table, Verbatim, Words
from lab.report.files import words_of
from lab.report.markup import code
from lab.report.record import Record, read_record
from lab.report.sections.findings import diagnosed
from lab.report.sections.prediction import NAMES, predictions
from lab.report.sections.promises import guessed
from lab.report.words import day, listed, loss, number, percent, plural
from lab.runs import list_runs
from lab.runs.compare import group_by_configuration, text_of, vocabulary_of
from lab.runs.facts import dig
from lab.runs.predictions import Predictions, calibration
from lab.runs.statistics import pooled_spread, t_quantile
from lab.units import count, duration

ENOUGH = 5
"""Different amounts of compute that a line with two free numbers is drawn through, at least; and they have to span a
factor of ten."""
MOST_RUNS = 500


@dataclass(frozen=True)
class Point:
    """One completed run: its size, tokens, compute (6 · parameters · tokens FLOPs) and final loss."""

    name: str
    parameters: int
    tokens: int
    loss: float

    @property
    def compute(self) -> float:
        """FLOPs by the rule of thumb (Kaplan et al. 2020, §2.1)."""
        return 6.0 * self.parameters * self.tokens


@dataclass(frozen=True)
class Law:
    """loss = scale · compute^-slope, by least squares of the logarithms; `error`: half of the slope's 95 % interval;
    `off`: what the points are off it, as a share.
    """

    scale: float
    slope: float
    error: float
    off: float


def report_on_all(root: Path) -> Callable[[dict[str, str]], Document]:
    """Read all runs under a root; the result makes the report, given what the person has written so far.

    Raises ValueError where there is none.
    """
    runs = list_runs(root)
    if not runs:
        raise ValueError(f"there is no run in {str(root)!r} yet: start one with `python -m lab fit`")
    records = [read_record(run) for run in runs[-MOST_RUNS:]]
    now, left_out = time.time(), len(runs) - len(records)
    return lambda words: across(root, records, left_out, words, now)


def across(root: Path, records: list[Record], left_out: int, words: dict[str, str], now: float) -> Document:
    """The document of `report --all`."""
    done = [record for record in records if record.ended_well]
    seconds = [record.seconds for record in records if record.seconds]
    sections = [
        _trained(records, left_out),
        *_scaling(done),
        _seeds(done),
        _calibration(records),
        _findings(root, records),
        _learned(records),
        Section(
            "In your own words",
            [Blank("across-learned", "What have all these runs taught you?"), Blank("across-next", "What next?")],
        ),
    ]
    return Document(
        title="All runs",
        subtitle=f"{plural(len(records), 'run')} under {code(root)}, {len(done)} completed.",
        facts=[
            ("runs", str(len(records))),
            ("completed", str(len(done))),
            ("training time", duration(sum(seconds)) if seconds else "n/a"),
            ("tokens", count(sum(record.tokens or 0 for record in records))),
        ],
        sections=sections,
        made=f"Written {day(now)} by `python -m lab report --all` from the runs' files and from nothing else.",
    )


def _trained(records: list[Record], left_out: int) -> Section:
    rows = []
    for record in sorted(records, key=lambda r: (r.parameters or 0, r.name)):
        rows.append(
            (
                code(record.name, 60), record.status.state, count(record.parameters), count(record.tokens),
                loss(record.val.last), loss(record.of("val/bits_per_byte").last), duration(record.seconds),
            )
        )  # fmt: skip
    heads = ("run", "state", "parameters", "tokens", "val loss", "bits/byte", "time")
    blocks: list[Block] = [Table(heads, rows, numbers=(2, 3, 4, 5, 6))]
    if left_out > 0:
        blocks.append(Words(f"The newest {len(records)} runs; {plural(left_out, 'older one')} left out."))
    broken = [
        f"{code(r.name)}: {r.status.reason}"
        for r in records
        if r.status.state in ("broken", "stale") and r.status.reason
    ]
    blocks += [Points(broken)] if broken else []
    return Section("What was trained", blocks)


def _scaling(done: list[Record]) -> list[Section]:
    """A section for each text and vocabulary on which more than one size was trained."""
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in done:
        text, vocabulary = text_of(record.data), vocabulary_of(record.data)
        if text and vocabulary and record.parameters and record.tokens and record.val.last is not None:
            groups[text, vocabulary].append(record)
    sections = []
    for group in groups.values():
        points = [Point(r.name, r.parameters or 1, r.tokens or 1, float(r.val.last or 0)) for r in group]
        if len({point.compute for point in points}) < 2 or min(point.loss for point in points) <= 0:
            continue
        named = dig(group[0].data, "corpus", "name"), dig(group[0].data, "tokenizer", "name")
        sections.append(_scaling_on(str(named[0]), str(named[1]), points))
    return sections


def _scaling_on(corpus: str, tokenizer: str, points: list[Point]) -> Section:
    law = fit(points)
    sizes = len({point.parameters for point in points})
    blocks: list[Block] = [
        Picture(
            f"scaling-{''.join(c if c.isalnum() else '-' for c in f'{corpus}-{tokenizer}')[:60]}",
            lambda dark: _draw(points, law, corpus, dark),
            "Final validation loss against compute (6 · parameters · tokens), both logarithmic; a dot is a run.",
        )
    ]
    if law is None:
        blocks.append(
            Words(
                f"{plural(sizes, 'size')} in {plural(len(points), 'run')}: too few, or too close together, for a line"
                f" through them (it takes {ENOUGH} amounts of compute over a factor of ten)."
            )
        )
    else:
        blocks.append(
            Words(
                f"Ten times the compute multiplied the loss by **{10**-law.slope:.3f}** (exponent {law.slope:.3f} ±"
                f" {law.error:.3f}); the runs lie {percent(law.off)} off that line. It is a line through these runs and"
                " no promise beyond them: schedules, sizes and token counts vary along it."
            )
        )
    return Section(f"How loss scaled on {corpus} ({tokenizer})", blocks)


def fit(points: Sequence[Point]) -> Law | None:
    """A power law in compute through the runs; None for too few, or too close together."""
    compute = np.array([point.compute for point in points])
    if len(set(compute.tolist())) < ENOUGH or compute.max() < 10 * compute.min():
        return None
    x, y = np.log(compute), np.log([point.loss for point in points])
    slope, start = np.polyfit(x, y, 1)
    rest = y - start - slope * x
    spread = float(np.sqrt((rest * rest).sum() / (len(x) - 2)))
    error = t_quantile(0.975, len(x) - 2) * spread / float(np.sqrt(((x - x.mean()) ** 2).sum()))
    return Law(float(np.exp(start)), -float(slope), error, math.expm1(spread))


def _draw(points: list[Point], law: Law | None, corpus: str, dark: bool) -> Figure:
    line = (law.scale, law.slope) if law else None
    return draw_scaling(
        [p.compute for p in points], [p.loss for p in points], [count(p.parameters) for p in points], line,
        title=f"Loss and compute on {corpus}", dark=dark,
    )  # fmt: skip


def _seeds(done: list[Record]) -> Section:
    """Configurations trained with several seeds: their spread is what any comparison has to beat."""
    by_name = {
        record.name: record
        for record in done
        if record.config and record.val.last is not None and not record.status.parent
    }
    groups = [
        g for g in group_by_configuration({n: r.config for n, r in by_name.items()}) if len(set(g.seeds.values())) > 1
    ]
    rows = []
    for group in groups:
        values = [float(by_name[name].val.last or 0) for name in group.runs]
        spread = pooled_spread([values])
        rows.append(
            (
                listed([code(name, 40) for name in group.runs[:8]]),
                str(len(values)),
                loss(float(np.mean(values))),
                number(spread, 2),
            )
        )
    if not rows:
        return Section("Seeds", [])
    return Section("Seeds", [Table(("runs", "seeds", "mean val loss", "spread"), rows, numbers=(1, 2, 3))])


def _calibration(records: list[Record]) -> Section:
    """How often intervals held the truth, by predictor and quantity."""
    found = [Predictions(rows) for record in records if (rows := predictions(record))]
    table = calibration(found)
    if not table:
        return Section("Predictions", [Words("No prediction of any run can be scored yet.")])
    told = [line.sentence for line in table if line.quantity == "all"]
    rows = [
        (
            {"lab": "the lab", "person": "you"}.get(line.by, line.by), NAMES.get(line.quantity, line.quantity),
            str(line.scored), f"{line.inside} of {line.intervals}", percent(line.error),
        )
        for line in table
        if line.quantity != "all"
    ]  # fmt: skip
    heads = ("by", "what", "scored", "inside the interval", "typically off by")
    sentence = "; ".join(told)
    return Section(
        "Predictions", [Words(f"{sentence[:1].upper()}{sentence[1:]}."), Table(heads, rows, numbers=(2, 3, 4))]
    )


def _findings(root: Path, records: list[Record]) -> Section:
    """Which diseases occurred how often, and how many sick runs the person has told."""
    tally: Counter[str] = Counter()
    where: dict[str, list[str]] = defaultdict(list)
    for record in records:
        for finding in diagnosed(record):
            if finding.level in ("alarm", "warning"):
                tally[finding.rule] += 1
                where[finding.rule].append(record.name)
    told = Words(f"Sick runs: {guessed(root)}.")
    if not tally:
        return Section("Findings", [Words("The doctor named no trouble in any of these runs."), told])
    rows = [
        (code(rule), str(n), listed([code(name, 40) for name in where[rule][:6]])) for rule, n in tally.most_common()
    ]
    return Section("Findings", [Table(("rule", "runs", "in"), rows, numbers=(1,)), told])


def _learned(records: list[Record]) -> Section:
    """What the person wrote into the reports of single runs."""
    blocks: list[Block] = []
    for record in records:
        try:
            words = words_of(record.run.report_path)
        except OSError:
            continue
        said = words.get("learned") or words.get("surprised")
        if said:
            blocks.append(Verbatim(code(record.name), said.strip()[:2000]))
    return Section("What was learned", blocks)
