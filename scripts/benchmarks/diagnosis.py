"""`diagnose`: whether the rules find every fault of `configs/broken`, how soon, and nothing in healthy runs; and how
long a run of many lines takes to examine, and to be sent to the page.

    python scripts/bench.py diagnose
    python -m scripts.benchmarks.diagnosis --folder /tmp/broken --seconds 200        a part, and what is known so far

Healthy runs are drawn at random from a seed: sizes, corpora, optimizers, schedules. A run that is there is not trained
again, so the whole can be cut into pieces; each run is a line of results.jsonl. Rules are applied each time, from the
run directories, at the steps at which the callback examines.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from lab.diagnosis import LEVELS, diagnose
from lab.diagnosis.broken_runs import BROKEN_RUNS, HEALTHY
from lab.runs import MetricsWriter, Run, create_run, open_run
from scripts.benchmarks.commands import fit, flags

if TYPE_CHECKING:
    from scripts.benchmarks.measure import Options, Row

BROKEN = "configs/broken"
HEALTHY_RUNS = 14
SERIES = "report"  # the series that is reported; thresholds were chosen on the series `tune`
LONG = (20_000, 40_000)  # lines of the runs that are timed; twice as many are to take twice as long
TIMES = 5
QUIET = ("--tensorboard", "false", "--checkpoint.every", "0")


@dataclass(frozen=True)
class Result:
    """What the rules found in one run.

    `named` is the step at which the right rule first found it, None if it never did; `highest` the highest level of all
    findings, None where there were none.
    """

    name: str
    rule: str | None
    total: int
    named: int | None
    highest: str | None
    levels: dict[str, str]
    args: list[str]


def broken_args(name: str) -> list[str]:
    """The arguments of `fit` for a broken run; of the healthy one for its name."""
    args = ["--config", f"{BROKEN}/{HEALTHY}.yaml"]
    return args if name == HEALTHY else [*args, "--config", f"{BROKEN}/{name}.yaml"]


def healthy_args(series: str, number: int) -> list[str]:
    """The arguments of `fit` for healthy run `number` of a series: a usual recipe."""
    rng = random.Random(f"{series}-{number}")
    texts: list[dict[str, Any]] = [
        {"data.corpus": "text", "data.path": "lab/**/*.py", "data.tokenizer": "bpe", "data.vocab_size": 512},
        {"data.corpus": "text", "data.path": "tests/**/*.py", "data.tokenizer": "char"},
        {"data.corpus": "text", "data.path": "analysis_app/**/*.js", "data.tokenizer": "bytes"},
        {"data.corpus": "markov", "data.corpus_options": json.dumps({"symbols": rng.choice([8, 16, 32])})},
        {"data.corpus": "arithmetic"},
        {"data.corpus": "copy"},
    ]
    if os.environ.get("LAB_DATA_DIR"):
        texts += [{"data.corpus": "shakespeare", "data.tokenizer": "char"}]
        texts += [{"data.corpus": "shakespeare", "data.tokenizer": "bpe", "data.vocab_size": 512}]
    layers, heads = rng.choice([1, 2, 2, 3]), rng.choice([2, 4])
    settings: dict[str, Any] = random.Random(f"{series}-{number}-text").choice(texts) | {
        "model.config.n_layers": layers,
        "model.config.n_heads": heads,
        "model.config.d_model": 16 * rng.choice([2, 4, 4, 6]),
        "model.config.context_length": rng.choice([32, 64]),
        "model.config.positions": rng.choice(["rope", "learned"]),
        "model.config.norm": rng.choice(["layernorm", "rmsnorm"]),
        "model.config.mlp": rng.choice(["gelu", "swiglu", "relu2"]),
        "model.config.qk_norm": rng.choice(["true", "false"]),
        "model.config.tie_embeddings": rng.choice(["true", "true", "false"]),
        "model.config.dropout": rng.choice([0.0, 0.0, 0.1]),
        "model.optimizer.name": rng.choice(["adamw", "adamw", "muon"]),
        "model.optimizer.lr": f"{10 ** rng.uniform(-3, -2.4):.1e}",
        "model.schedule.kind": rng.choice(["cosine", "wsd", "linear"]),
        "model.schedule.warmup_fraction": rng.choice([0.05, 0.1]),
        "data.batch_size": rng.choice([16, 32]),
        "data.val_tokens": 8192,
        "horizon.steps": rng.choice([200, 300, 400]),
        "seed_everything": rng.randrange(10_000),
    }
    return flags(settings)


def train(args: list[str], folder: Path, name: str, *more: str) -> None:
    """One fit in this process, unless it is there; weights are not kept."""
    if (folder / name).is_dir():
        if open_run(name, folder).status().state in ("completed", "failed"):
            return
        shutil.rmtree(folder / name)
    where = ["--run.root", str(folder), "--run.name", name]
    fit([*args, *QUIET, *where, *more], codes=(0, 1))
    for kind in ("checkpoints", "snapshots", "probes"):
        shutil.rmtree(folder / name / kind, ignore_errors=True)


def examine(run: Run, rule: str | None, args: list[str]) -> Result:
    """Examine a run as it grew."""
    diagnosis = diagnose(run)
    levels = {finding.rule: finding.level for finding in diagnosis.told if finding.ended is None}
    for finding in diagnosis.told:  # the highest it ever was
        if LEVELS.index(finding.level) > LEVELS.index(levels.get(finding.rule, "note")):
            levels[finding.rule] = finding.level
    named = next((finding.step for finding in diagnosis.told if finding.rule == rule), None)
    highest = max(levels.values(), key=LEVELS.index, default=None)
    total = diagnosis.evidence.facts.total_steps or diagnosis.evidence.step
    return Result(run.name, rule, total, named, highest, levels, args)


def plan(series: str, healthy: int) -> Iterator[tuple[str, list[str], str | None]]:
    """`(name, arguments, rule)` of every run, broken ones first; any series but the reported one is healthy alone."""
    if series == SERIES:
        for name, broken in BROKEN_RUNS.items():
            yield name, broken_args(name), broken.rule
    yield HEALTHY, broken_args(HEALTHY), None
    for number in range(healthy):
        yield f"{series}-{number}", healthy_args(series, number), None


def results(
    folder: Path,
    seconds: float = float("inf"),
    series: str = SERIES,
    healthy: int = HEALTHY_RUNS,
    first: str = "broken",
) -> list[Result]:
    """All runs that are there, as many of the others as can be begun within `seconds`; and results.jsonl.

    `first` says which to begin with, `broken` or `healthy` ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    begin, found = time.monotonic(), []
    for name, args, rule in sorted(plan(series, healthy), key=lambda run: (run[2] is None) == (first == "broken")):
        if not _done(folder, name) and time.monotonic() - begin > seconds:
            continue
        train(args, folder, name)
        found.append(examine(open_run(name, folder), rule, args))
    lines = [json.dumps(asdict(result)) for result in found]
    (folder / "results.jsonl").write_text("".join(line + "\n" for line in lines))
    return found


def _done(folder: Path, name: str) -> bool:
    return (folder / name).is_dir() and open_run(name, folder).status().state in ("completed", "failed")


def summary(found: list[Result]) -> dict[str, str]:
    """The bars and how far they are reached."""
    broken, healthy = [r for r in found if r.rule], [r for r in found if not r.rule]
    named = [r for r in broken if r.named is not None]
    early = [r for r in broken if r.named is not None and r.named < r.total / 2]
    quiet = [r for r in healthy if r.highest in (None, "note")]
    when = f", at {statistics.median(r.named / r.total for r in named):.0%} of the run in the median" if named else ""
    share = f"{len(early)} of {len(broken)} = {len(early) / max(1, len(broken)):.0%}{when}"
    return {
        "faults found by their own rule (bar: all)": f"{len(named)} of {len(broken)}",
        "before half of the run (bar: 80 %)": share,
        "healthy runs with nothing above a note (bar: all)": f"{len(quiet)} of {len(healthy)}",
    }


def run(options: Options) -> list[Row]:
    """For `scripts/bench.py`: a row a bar, a row a run; `--quick` takes two runs of a few steps."""
    from scripts.benchmarks.measure import Row

    with tempfile.TemporaryDirectory(prefix="lab-bench-") as folder:
        if options.quick:
            for name, args in (("no_mask", broken_args("no_mask")), ("quick-0", healthy_args("quick", 0))):
                train(args, Path(folder), name, "--horizon.steps", "4")
            found = [examine(open_run(n, folder), r, []) for n, r in (("no_mask", "sees_future"), ("quick-0", None))]
        else:
            found = results(Path(folder))
        timed = [row for lines in ((200, 400) if options.quick else LONG) for row in time_long_run(Path(folder), lines)]
    bars = [Row("diagnose", "", bar, unit="", note=reached) for bar, reached in summary(found).items()]
    return [*timed, *bars] + [
        Row("diagnose", "broken" if r.rule else "healthy", r.name, value=r.named, unit="named at step", note=_said(r))
        for r in found
    ]


def make_long_run(folder: Path, lines: int) -> Run:
    """A run with a line for every step, noise and spikes in it, and no run.json: its plan is not known."""
    rng, run = random.Random(lines), create_run(folder, f"long-{lines}")
    with MetricsWriter(run) as log:
        for step in range(lines):
            loss = (2 + 3.5 * math.exp(-20 * step / lines)) * (1 + 0.03 * rng.gauss(0, 1))
            values = {
                "train/loss": 2 * loss if step % 997 == 996 else loss,
                "train/grad_norm": 0.5 + rng.random(),
                "train/lr": 1e-3 * min(1, step / 100),
                "perf/step_seconds": 0.01 + 0.01 * rng.random(),
            }
            layers = {f"stats/entropy.layer{i}": 0.5 for i in range(4)} if step % 100 == 0 else {}
            log.write(step, 1024 * step, 0.01 * step, values | layers | ({"val/loss": loss} if layers else {}))
    return run


def time_long_run(folder: Path, lines: int) -> list[Row]:
    """Processor time of examining a long run, and of making it ready for a page that opens it."""
    from analysis_app.library.cursor import Place, messages_of, read_delta
    from scripts.benchmarks.measure import Row, percentile

    run = make_long_run(folder, lines)

    def send() -> None:
        place, behind = Place(), True
        while behind:
            delta = read_delta(run, place)
            for message in messages_of(delta, place):
                orjson.dumps(message)
            place, behind = delta.place, delta.behind

    rows = []
    for name, work in (("all rules, as it grew", lambda: diagnose(run)), ("sent to the page", send)):
        times = []
        for _ in range(TIMES):
            begin = time.process_time()
            work()
            times.append(1000 * (time.process_time() - begin))
        median, p10 = statistics.median(times), percentile(times, 0.1)
        rows.append(Row("diagnose", f"{lines:,} lines", name, 1, milliseconds=median, p10=p10, unit="run"))
    return rows


def _said(result: Result) -> str:
    said = ", ".join(f"{rule} ({level})" for rule, level in result.levels.items()) or "nothing"
    return f"of {result.total}; {said}"


def main(argv: list[str] | None = None) -> int:
    """The whole or a part of it, in a folder of one's own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the runs are kept")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no run after this many")
    parser.add_argument("--series", default=SERIES, help="which draw of healthy runs")
    parser.add_argument("--healthy", type=int, default=HEALTHY_RUNS, help="how many of them")
    parser.add_argument("--first", choices=["broken", "healthy"], default="broken", help="which runs to begin with")
    args = parser.parse_args(argv)
    found = results(args.folder, args.seconds, args.series, args.healthy, args.first)
    for result in found:
        print(f"{result.name:24} {result.rule or '(healthy)':22} named at {result.named}  {_said(result)}")
    for bar, reached in summary(found).items():
        print(f"{bar}: {reached}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
