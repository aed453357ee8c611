"""All runs under a root in one report: which sizes were trained, how loss scaled, how good the forecasts were."""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lab.figures.scaling import draw_scaling
from lab.report.document import Block, BulletList, Document, Paragraph, Picture, Section, Table, UserText, Verbatim
from lab.report.formatting import day, listed, loss, number, percent, plural
from lab.report.markup import code
from lab.report.run_record import RunRecord, read_record
from lab.report.sections.findings import problems
from lab.report.sections.forecast import predictions, quantity_name
from lab.report.sections.goals import guessed
from lab.report.user_text import user_texts_in
from lab.runs import list_runs
from lab.runs.configurations import group_by_configuration
from lab.runs.facts import dig, text_of, vocabulary_of
from lab.runs.predictions import BY, Predictions, calibration
from lab.runs.statistics import pooled_spread, t_quantile
from lab.units import count, duration

ENOUGH = 5  # different amounts of compute, over a factor of ten, that a line with two free numbers is fitted to
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
    `off`: the spread of the points around it, as a share.
    """

    scale: float
    slope: float
    error: float
    off: float


def report_on_all(root: Path) -> Callable[[dict[str, str]], Document]:
    """Read all runs under a root; the result makes the report, given the user's texts by name.

    Raises ValueError where there is none.
    """
    runs = list_runs(root)
    if not runs:
        raise ValueError(f"there is no run in {str(root)!r} yet: start one with `python -m lab fit`")
    records = [read_record(run) for run in runs[-MOST_RUNS:]]
    now, left_out = time.time(), len(runs) - len(records)
    return lambda texts: document_of(root, records, left_out, now)


def document_of(root: Path, records: list[RunRecord], left_out: int, now: float) -> Document:
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
            [
                UserText("across-learned", "What did you learn from all these runs?"),
                UserText("across-next", "What next?"),
            ],
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
        made=f"Written {day(now)} by `python -m lab report --all` from the runs' files alone.",
    )


def _trained(records: list[RunRecord], left_out: int) -> Section:
    rows = []
    for record in sorted(records, key=lambda r: (r.parameters or 0, r.name)):
        rows.append(
            (
                code(record.name, 60), record.status.state, count(record.parameters), count(record.tokens),
                loss(record.final_val), loss(record.final_bits), duration(record.seconds),
            )
        )  # fmt: skip
    heads = ("run", "state", "parameters", "tokens", "val loss", "bits/byte", "time")
    blocks: list[Block] = [Table(heads, rows, numbers=(2, 3, 4, 5, 6))]
    if left_out > 0:
        blocks.append(Paragraph(f"The newest {len(records)} runs; {plural(left_out, 'older one')} left out."))
    broken = [
        f"{code(r.name)}: {r.status.reason}"
        for r in records
        if r.status.state in ("broken", "stale") and r.status.reason
    ]
    blocks += [BulletList(broken)] if broken else []
    return Section("What was trained", blocks)


def _scaling(done: list[RunRecord]) -> list[Section]:
    """A section for each text and vocabulary on which more than one size was trained."""
    groups: dict[tuple[str, str], list[RunRecord]] = defaultdict(list)
    for record in done:
        text, vocabulary = text_of(record.data), vocabulary_of(record.data)
        if text and vocabulary and record.parameters and record.tokens and record.final_val is not None:
            groups[text, vocabulary].append(record)
    sections = []
    for group in groups.values():
        points = [Point(r.name, r.parameters or 1, r.tokens or 1, float(r.final_val or 0)) for r in group]
        if len({point.compute for point in points}) < 2 or min(point.loss for point in points) <= 0:
            continue
        named = dig(group[0].data, "corpus", "name"), dig(group[0].data, "tokenizer", "name")
        sections.append(_scaling_on(str(named[0]), str(named[1]), points))
    return sections


def _scaling_on(corpus: str, tokenizer: str, points: list[Point]) -> Section:
    law, name = fit(points), re.sub(r"[^A-Za-z0-9]", "-", f"{corpus}-{tokenizer}")[:60]
    if law is None:
        sizes = len({point.parameters for point in points})
        told = (
            f"{plural(sizes, 'size')} in {plural(len(points), 'run')}: too few, or too close together, for a line"
            f" through them (it takes {ENOUGH} amounts of compute over a factor of ten)."
        )
    else:
        told = (
            f"Ten times the compute multiplied the loss by **{10**-law.slope:.3f}** (exponent {law.slope:.3f} ±"
            f" {law.error:.3f}); the runs are within {percent(law.off)} of that line. It describes these runs and"
            " predicts nothing beyond them: schedules, sizes and token counts vary along it."
        )
    caption = "Final validation loss over compute (6 · parameters · tokens), both logarithmic; a dot is a run."
    picture = Picture(f"scaling-{name}", lambda dark: _draw(points, law, corpus, dark), caption)
    return Section(f"How loss scaled on {corpus} ({tokenizer})", [picture, Paragraph(told)])


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


def _seeds(done: list[RunRecord]) -> Section:
    """Configurations trained with several seeds: a difference between runs has to exceed their spread."""
    losses = {r.name: float(r.final_val) for r in done if r.config and r.final_val is not None and not r.status.parent}
    configs = {record.name: record.config for record in done if record.name in losses}
    rows = []
    for group in group_by_configuration(configs):
        if len(set(group.seeds.values())) > 1:
            values = [losses[name] for name in group.runs]
            names = listed([code(name, 40) for name in group.runs[:8]])
            spread = number(pooled_spread([values]), 2)
            rows.append((names, str(len(values)), loss(float(np.mean(values))), spread))
    headings = ("runs", "seeds", "mean val loss", "spread")
    return Section("Seeds", [Table(headings, rows, numbers=(1, 2, 3))] if rows else [])


def _calibration(records: list[RunRecord]) -> Section:
    """How often intervals contained the outcome, by predictor and quantity."""
    table = calibration([Predictions(found) for record in records if (found := predictions(record))])
    if not table:
        return Section("Forecasts", [Paragraph("No prediction of any run can be scored yet.")])
    told = "; ".join(line.sentence for line in table if line.quantity == "all")
    rows = [
        (
            BY[line.by][0], quantity_name(line.quantity), str(line.scored),
            f"{line.inside} of {line.intervals}", percent(line.width), percent(line.score), percent(line.error),
        )
        for line in table
        if line.quantity != "all"
    ]  # fmt: skip
    headings = ("by", "what", "scored", "inside the interval", "its width", "interval score", "typically off by")
    meaning = (
        "Width and interval score are means, in per cent of the outcome. The score is the width, and for an outcome"
        " outside ten times the distance to it for an interval of 80 %: the smaller, the better; a wide interval that"
        " always holds scores badly (Gneiting and Raftery 2007)."
    )
    told = f"{told[:1].upper()}{told[1:]}."
    scores = Table(headings, rows, numbers=(2, 3, 4, 5, 6))
    return Section("Forecasts", [Paragraph(told), scores, Paragraph(meaning)])


def _findings(root: Path, records: list[RunRecord]) -> Section:
    """Which problems the diagnosis found how often, and how many broken runs the user diagnosed."""
    where: dict[str, list[str]] = defaultdict(list)
    for record in records:
        for finding in problems(record):
            where[finding.rule].append(record.name)
    guesses = guessed(root)
    told = Paragraph(f"{guesses[:1].upper()}{guesses[1:]}.")
    if not where:
        return Section("Findings", [Paragraph("The diagnosis found no problem in any of these runs."), told])
    rows = [
        (code(rule), str(len(names)), listed([code(name, 40) for name in names[:6]]))
        for rule, names in sorted(where.items(), key=lambda item: -len(item[1]))
    ]
    return Section("Findings", [Table(("rule", "runs", "in"), rows, numbers=(1,)), told])


def _learned(records: list[RunRecord]) -> Section:
    """What the user wrote into the reports of single runs."""
    blocks: list[Block] = []
    for record in records:
        with suppress(OSError):
            texts = user_texts_in(record.run.report_path)
            if said := texts.get("learned") or texts.get("surprised"):
                blocks.append(Verbatim(code(record.name), said.strip()[:2000]))
    return Section("What was learned", blocks)
