"""A comparison of runs as plain data: groups of seeds, settings that differ, whether the difference exceeds chance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from lab.checks import did_you_mean
from lab.runs import metrics
from lab.runs.aligned_losses import PER_TOKEN, Axis, compare_losses
from lab.runs.configurations import SEEDS, Group, config_differences, flatten, group_by_configuration, matters
from lab.runs.difference import by_seed, judge, paired_steps, spread_between_seeds
from lab.runs.facts import dig, text_of, vocabulary_of
from lab.runs.metrics_log import MetricsHistory
from lab.runs.run import Run, list_runs
from lab.runs.seams import Seams, held_out_of
from lab.runs.statistics import Estimate, mean_interval
from lab.runs.validation import SUBSET_OF

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


UNITS = {"tokens": "{:,.0f} tokens", "step": "step {:,.0f}", "time": "{:,.0f} seconds of training"}


LATE = 0.02
"""A last validation earlier than this share before the point of comparison becomes a note."""


@dataclass
class Runs:
    """What is compared: runs by name, what their files say, and what is wrong with these."""

    runs: dict[str, Run]
    configs: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    histories: dict[str, MetricsHistory] = field(default_factory=dict)
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    seams: dict[str, Seams | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read(runs: Iterable[Run]) -> Runs:
    """Everything needed of each run; what cannot be read becomes a note, and the run stays."""
    found = Runs({})
    for run in runs:
        name = run.name if run.name not in found.runs or found.runs[run.name].path == run.path else str(run.path)
        found.runs[name] = run
        for what, get in (("configs", run.config), ("data", run.data), ("histories", run.metrics)):
            value: Any = None
            try:
                value = get()
            except (ValueError, OSError) as error:
                found.notes.append(f"{name}: {error}.")
            getattr(found, what)[name] = value if value is not None or what == "configs" else _empty(what)
        found.seams[name] = seams = run.seams()
        config = found.configs[name]
        if config is not None and seams is not None:  # one that was changed on its way is no run of its settings alone
            found.configs[name] = config | seams.decisive
        if config is None:
            found.notes.append(f"{name}: its configuration is not known, so it is a group of its own.")
        if not len(found.histories[name]):
            found.notes.append(f"{name}: no metrics yet, so nothing of it can be compared.")
    return found


def _empty(what: str) -> Any:
    return MetricsHistory() if what == "histories" else {}


def choose_metric(found: Runs, asked: str | None) -> str:
    """The metric asked for, or the loss that compares; notes on vocabularies and texts that differ.

    Raises ValueError for a metric that no run has.
    """
    vocabularies = _kinds(found, vocabulary_of)
    whole = metrics.VAL_BITS_PER_BYTE if len(vocabularies) > 1 else metrics.VAL_LOSS
    metric = asked or _validation_metric(found, whole)
    known = sorted({name for history in found.histories.values() for name in history.names()})
    if asked and known and asked not in known:
        hint = did_you_mean(asked, known, f"there are {', '.join(name for name in known if '.' not in name)}")
        raise ValueError(f"--metric {asked!r}: none of these runs has it; {hint}")
    if len(vocabularies) > 1 and metric in PER_TOKEN:
        found.notes.append("The vocabularies differ: losses per token do not compare, --metric val/bits_per_byte does.")
    contexts = sorted({int(length) for data in found.data.values() if (length := data.get("context_length"))})
    if len(contexts) > 1 and metric.startswith("val/"):
        found.notes.append(
            f"The contexts differ ({', '.join(map(str, contexts))} tokens), and validation reads disjoint windows of"
            " one: with a longer one fewer targets have hardly any context before them, which is part of the"
            " difference. validate --stride measures that part."
        )
    if len(_kinds(found, text_of)) > 1:
        found.notes.append("The runs learned from different texts: no loss compares between them.")
    elif len(_kinds(found, held_out_of)) > 1:
        found.notes.append(
            "The held-out texts differ (data.seed chooses the documents): part of the spread is the text's."
            " Vary --seed_everything alone to leave it out."
        )
    return metric


def _validation_metric(found: Runs, whole: str) -> str:
    """The loss on the whole split where all runs have it at the same point, else on the subset where all have that."""
    histories = [history for history in found.histories.values() if len(history)]
    ends = [last["tokens"] for history in histories if (last := _last_with(history, whole)) is not None]
    level = len(ends) == len(histories) and (not ends or min(ends) >= (1 - LATE) * max(ends))
    subset = SUBSET_OF[whole]
    if level or not all(history.series(subset)[0] for history in histories):
        return whole
    sizes = {dig(data, "val_subset", "windows") for data in found.data.values()}
    found.notes.append(
        f"Compared on {subset}, what all of them read while they trained"
        + (": the same random windows of the held-out text." if len(sizes) < 2 else ", of different sizes.")
        + f" {whole} was measured at their ends alone."
    )
    return subset


def _last_with(history: MetricsHistory, metric: str) -> dict[str, Any] | None:
    """The newest row that has the metric."""
    return next((row for row in reversed(history.rows) if row.get(metric) is not None), None)


def _kinds(found: Runs, of: Callable[[dict[str, Any]], str | None]) -> set[str]:
    """How many different texts (vocabularies, …) the runs have; runs without it are left out."""
    return {kind for data in found.data.values() if (kind := of(data)) is not None}


def elsewhere(found: Runs, metric: str, axis: Axis, root: str) -> float | None:
    """The spread between seeds of other runs under the root on the same text and vocabulary; None if there are none."""
    wanted = {(text_of(data), vocabulary_of(data)) for data in found.data.values()}
    mine = {run.path.resolve() for run in found.runs.values()}
    others = {}
    for run in list_runs(root):
        if run.path.resolve() in mine or run.status().state != "completed":
            continue
        try:
            data, config = run.data() or {}, run.config()
        except ValueError:
            continue
        if config is not None and (text_of(data), vocabulary_of(data)) in wanted:
            others[run.name] = (run, config)
    groups = group_by_configuration({name: config for name, (_, config) in others.items()})
    groups = [group for group in groups if len(set(group.seeds.values())) > 1]
    spreads = []
    for group in groups:
        histories = {name: others[name][0].metrics() for name in group.runs}
        at = compare_losses(histories, axis, [metric])
        spreads.append(by_seed(group, {name: values[metric] for name, values in at.values.items()}))
    return spread_between_seeds(spreads)


def compare(found: Runs, metric: str, axis: Axis, spread: float | None) -> dict[str, Any]:
    """All that `compare` prints, as plain data."""
    with_rows = {name: history for name, history in found.histories.items() if len(history)}
    at = compare_losses(with_rows, axis, [metric])
    values = {name: at.values[name][metric] if name in at.values else None for name in found.runs}
    groups = group_by_configuration(found.configs)
    names = _letters(len(groups))
    configs = {name: _shown_settings(found.configs[group.runs[0]]) for name, group in zip(names, groups, strict=True)}
    told = [by_seed(group, values) for group in groups]
    pairs = list(combinations(range(len(groups)), 2)) if len(groups) <= 4 else [(0, i) for i in range(1, len(groups))]
    verdicts = [
        judge(
            (names[i], names[j]), told[i], told[j], metric, spread, same_start=_same_start(found, groups[i], groups[j])
        )
        for i, j in pairs
    ]
    notes = found.notes + _notes_on_axis(with_rows, metric, axis, at.at)
    if sum(v.real is not None for v in verdicts) > 2:
        notes.append(f"{len(verdicts)} comparisons: one interval in twenty misses the true value by chance.")
    if spread is not None and any(v.elsewhere for v in verdicts):
        notes.append("The spread elsewhere is that of other runs on this text and vocabulary, at their own lengths.")
    return {
        "metric": metric,
        "axis": axis,
        "at": at.at,
        "groups": [_group(n, g, values, t) for n, g, t in zip(names, groups, told, strict=True)],
        "settings": config_differences(configs) if all(configs.values()) else {},
        "differences": [verdict.as_dict() for verdict in verdicts],
        "same_batches": [same for i, j in pairs if (same := _same_batches(found, names, groups, i, j))],
        "notes": notes,
    }


def _letters(n: int) -> list[str]:
    return [LETTERS[i] if n <= len(LETTERS) else f"G{i + 1}" for i in range(n)]


def _shown_settings(config: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in flatten(config or {}).items() if matters(name) and name not in SEEDS}


def _group(name: str, group: Group, values: dict[str, Any], told: dict[Any, float]) -> dict[str, Any]:
    estimate: Estimate | None = mean_interval(list(told.values())) if told else None
    seeds = {run: {"weights": group.seeds[run][0], "data": group.seeds[run][1]} for run in group.runs}
    return {
        "name": name,
        "runs": {run: {"value": values[run], "seeds": seeds[run]} for run in group.runs},
        "n": len(told),
        "mean": estimate.mean if estimate else None,
        "spread": estimate.spread if estimate else None,
        "low": estimate.low if estimate else None,
        "high": estimate.high if estimate else None,
    }


def _same_batches(found: Runs, names: list[str], groups: list[Group], i: int, j: int) -> dict[str, Any] | None:
    """Training losses of the first two runs of the groups that saw the same batches, step by step."""
    for a in groups[i].runs:
        for b in groups[j].runs:
            if _batches_of(found, a) is None or _batches_of(found, a) != _batches_of(found, b):
                continue
            if (pairs := paired_steps(found.histories[a], found.histories[b])) is None:
                continue
            start, end, estimate = pairs
            return {
                "first": a, "second": b, "groups": [names[i], names[j]], "from": start, "to": end,
                "mean": estimate.mean, "low": estimate.low, "high": estimate.high,
            }  # fmt: skip
    return None


def _same_start(found: Runs, first: Group, second: Group) -> bool:
    """Whether runs of one seed began with the same weights and read the same batches in both groups."""
    twins = [(a, b) for a in first.runs for b in second.runs if first.seeds[a] == second.seeds[b]]
    return all(of(found, a) == of(found, b) is not None for a, b in twins for of in (_first_weights, _batches_of))


def _first_weights(found: Runs, run: str) -> str | None:
    """The checksum of the weights before the first update; None where no snapshot of them is left."""
    return next((snapshot.sha256 for snapshot in found.runs[run].snapshots() if snapshot.step == 0), None)


def _batches_of(found: Runs, run: str) -> tuple[Any, ...] | None:
    """What batch n follows from; None where data.json lacks it."""
    data = found.data[run]
    seams = found.seams.get(run)
    parts = [data.get("seed"), seams.reading if seams else None]
    parts += [(data.get(group) or {}).get("fingerprint") for group in ("corpus", "tokenizer")]
    return None if None in parts else tuple(map(str, parts))


def _notes_on_axis(histories: dict[str, MetricsHistory], metric: str, axis: Axis, at: float | None) -> list[str]:
    """Runs that went on beyond the point of comparison, or were measured well before it."""
    notes: list[str] = []
    ends: defaultdict[float, list[str]] = defaultdict(list)
    if not at:
        return notes
    for name, history in histories.items():
        rows = [row for row in history.rows if row.get(axis) is not None]
        end = max((row[axis] for row in rows), default=0)
        if end > (1 + LATE) * at:
            ends[end].append(name)
        measured = [row[axis] for row in rows if row.get(metric) is not None and row[axis] <= at]
        if measured and measured[-1] < (1 - LATE) * at:
            where = UNITS[axis].format(measured[-1])
            notes.append(f"{name}: {metric} was measured last at {where}, not at the point of comparison.")
    for end, names in ends.items():
        notes.append(
            f"To {UNITS[axis].format(end)} {'goes' if len(names) == 1 else 'go'} {', '.join(names)}: at the point of"
            " comparison in the middle of the schedule, which costs some loss."
        )
    return notes
