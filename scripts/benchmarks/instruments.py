"""What the instruments cost: one configuration with all of them at their default cadence and with all off, paired.

Each pair is two fits of the same seed in processes of their own, in turn first and second, so that a slow minute of the
machine hits both alike. A step's cost is wall time between lines of metrics.jsonl, everything included that happens in
between, less what both runs do (validation, snapshots, checkpoints: off in both).
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lab.runs import open_run
from scripts.benchmarks import commands
from scripts.benchmarks.commands import LAB, switched_off
from scripts.benchmarks.measure import Options, Row, TimedProcess, run_by_turns
from scripts.benchmarks.overhead import fit_arguments
from scripts.benchmarks.workloads import WORKLOADS, Workload, benchmark_text

EARLY_STEPS = 1000  # the log-spaced part ends here at the latest: before it seconds are counted, after it shares
NOTHING_ELSE = ("--validation.every", "0", "--checkpoint.every", "0", "--snapshots.every", "0", "--log.every", "1")


@dataclass(frozen=True)
class InstrumentCost:
    """The cost of looking, medians over the pairs.

    Args:
        late_share: Time of the steps from 1000 to the last with instruments over without, less 1; None for shorter
            runs.
        early_seconds: What they add to the steps before, in seconds, step 0 included.
        closing_seconds: What the look after the last step takes: once a run, however long.
        identical: Whether every training loss was the same, bit for bit.
        pairs: (with, without) seconds after step 1000, for each pair.
    """

    late_share: float | None
    early_seconds: float
    closing_seconds: float
    identical: bool
    pairs: list[tuple[float, float]]


def measure_instruments(config: str, *more: str, pairs: int = 3) -> InstrumentCost:
    """Train `config` (a YAML; `more` are further arguments of `fit`) `pairs` times with instruments and without."""
    late: list[tuple[float, float]] = []
    early: list[float] = []
    closing: list[float] = []
    identical = True
    with tempfile.TemporaryDirectory() as folder:
        for i in range(pairs):
            order = (True, False) if i % 2 == 0 else (False, True)
            runs = {on: _fit(Path(folder), f"{i}-{'on' if on else 'off'}", config, more, on) for on in order}
            on, off = runs[True], runs[False]
            early.append(on.early - off.early)
            late.append((on.late, off.late))
            closing.append(on.closing - off.closing)
            identical &= on.losses == off.losses
    shares = [on / off - 1 for on, off in late if off > 0]
    share = statistics.median(shares) if shares else None
    return InstrumentCost(share, statistics.median(early), statistics.median(closing), identical, late)


@dataclass(frozen=True)
class _Times:
    """Seconds of one fit up to step 1000, from there to the last, after the last; and its training losses."""

    early: float
    late: float
    closing: float
    losses: list[float]


def _fit(root: Path, name: str, config: str, more: tuple[str, ...], on: bool) -> _Times:
    """One fit in a process of its own."""
    from lab.callbacks.instruments import INSTRUMENTS

    quiet = [] if on else switched_off(*(instrument.group for instrument in INSTRUMENTS))
    place = ("--config", config, "--run.root", str(root), "--run.name", name)
    commands.run(*LAB, "fit", *place, *NOTHING_ELSE, *quiet, *more)
    started = ended = 0.0
    for line in (root / name / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        started = event["wall"] if event["kind"] == "started" else started
        ended = event["wall"] if event["kind"] == "completed" else ended
    rows = [json.loads(line) for line in (root / name / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "train/loss" in row]
    # The line of step n is written when update n is done, before anything looks at it.
    last = rows[-1]["wall"]
    turn = next((row["wall"] for row in rows if row["step"] == EARLY_STEPS), last)
    return _Times(turn - started, last - turn, ended - last, [row["train/loss"] for row in rows])


# ---------------------------------------------------------------- as a benchmark: looks timed inside one run

STEPS = {"A": 2000, "B": 100}  # B's are enough to time its looks; how many there are is counted for a run like A's
LATE = STEPS["A"] - EARLY_STEPS


def run(options: Options) -> list[Row]:
    """What each instrument takes of a step's time after step 1000, and before it in seconds, timed in one run.

    Each look is timed where it happens, beside the steps of the same process, so a busy machine slows both alike. How
    many looks there are after step 1000 is that of a run of 2000 steps.
    """
    rows = []
    for threads in options.threads:
        for name in ("tiny",) if options.quick else ("A", "B"):
            for compiled in (False,) if options.quick or name == "B" else (False, True):
                steps = 20 if options.quick else STEPS[name]
                rows += _watched(WORKLOADS[name], steps, threads, compiled, options)
    return rows


def _watched(workload: Workload, steps: int, threads: int, compiled: bool, options: Options) -> list[Row]:
    text = str(benchmark_text(options.quick))
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as folder:
        one = TimedProcess("watched", build_watched, workload, steps, threads, compiled, text, folder, threads=threads)
        run_by_turns([one], blocks=1, steps=1, warm_up=0)
        found = json.loads((Path(folder) / "looks.json").read_text())
    step, half = found["step"], steps // 2
    rows, late_total, early_total = [], 0.0, 0.0
    for group, looks in found["looks"].items():
        early, last = (sum(took for n, took in looks if n in when) for when in (range(half + 1), (steps,)))
        late = [took for n, took in looks if half < n < steps]
        per_step = statistics.mean(late) * found["count"][group] / LATE if late else 0.0
        late_total, early_total = late_total + per_step, early_total + early
        each = f"a look {1000 * statistics.mean(late):.0f} ms, " if late else ""
        rows.append((group, per_step, f"{each}early part {early:.1f} s, after the last step {last:.2f} s"))
    kind = "compiled" if compiled else "eager"
    rows.append(("all", late_total, f"early part {early_total:.1f} s"))
    return [
        Row(
            "instruments",
            workload.name,
            f"{group}, {kind}",
            threads,
            ratio=step / (step + seconds),
            milliseconds=1000 * step,
            value=100 * seconds / step,
            unit="% of a step after step 1000",
            note=note,
        )
        for group, seconds, note in rows
    ]


def build_watched(workload: Workload, steps: int, threads: int, compiled: bool, text: str, folder: str) -> Any:
    """One `fit` with all instruments at their default cadence, its looks timed: into looks.json."""
    import warnings

    warnings.filterwarnings("ignore")
    from lab.callbacks.instrument import Instrument
    from lab.training.callback import FitContext

    looks: dict[str, list[tuple[int, float]]] = {}
    count: dict[str, int] = {}
    look_if_due = Instrument.look_if_due

    def timed_look(self: Instrument, fit: FitContext) -> None:
        begin, due = time.perf_counter(), self.due(fit, fit.step)
        look_if_due(self, fit)
        if not due:
            return
        looks.setdefault(self.group, []).append((fit.step, time.perf_counter() - begin))
        if self.group not in count:
            like_a: Any = SimpleNamespace(
                total_steps=STEPS["A"], is_main_process=True, n_processes=1, find=fit.find, looks=fit.looks
            )
            count[self.group] = sum(self.due(like_a, n) for n in range(EARLY_STEPS + 1, STEPS["A"]))

    def fit(n: int) -> None:
        Instrument.look_if_due = timed_look  # type: ignore[method-assign]
        arguments = fit_arguments(workload, steps, threads, text, Path(folder))
        arguments += ["--levers.compile", str(compiled).lower()]
        commands.fit([*arguments, "--run.name", f"n{n}"])
        rates = open_run(f"n{n}", Path(folder) / "runs").metrics().series("perf/tokens_per_second")[1]
        content = {
            "step": workload.tokens / statistics.median(rates[len(rates) // 2 :]),
            "looks": looks,
            "count": count,
        }
        (Path(folder) / "looks.json").write_text(json.dumps(content))

    return fit


def main() -> int:
    """Print the cost for a configuration: `… instruments.py configs/shakespeare_char.yaml [arguments of fit]`."""
    cost = measure_instruments(sys.argv[1], *sys.argv[2:])
    late = "n/a" if cost.late_share is None else f"{100 * cost.late_share:.2f} %"
    print(f"after step {EARLY_STEPS}: {late} more time a step; before: {cost.early_seconds:.1f} s more;", end=" ")
    print(f"after the last: {cost.closing_seconds:.1f} s;", end=" ")
    print("losses identical" if cost.identical else "LOSSES DIFFER")
    for on, off in cost.pairs:
        print(f"  {on:.2f} s with, {off:.2f} s without")
    return 0 if cost.identical else 1


if __name__ == "__main__":
    sys.exit(main())
