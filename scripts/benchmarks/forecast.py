"""`forecast`: what the lab forecasts against what was measured: size, time, memory, final loss.

Configurations are drawn at random from a seed; a series of another name was used while the forecasts were made. Each
finished piece of work is a line of a JSONL file, so that this benchmark can be cut into short ones and goes on where it
was:

    python -m scripts.benchmarks.forecast loss --file forecast.jsonl --seconds 200
    python -m scripts.benchmarks.forecast cost --file forecast.jsonl --seconds 170
    python -m scripts.benchmarks.forecast show --file forecast.jsonl

`loss` depends on no clock and may run beside others; `cost` wants the machine for itself.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from lab.forecasting.ladder import Rung, computing_parameters, ladder
from lab.forecasting.law import Trained
from lab.model import GPT, GPTConfig, count_parameters, flops_per_token
from lab.planning.pilots import pilots
from lab.training.bare import BareTraining
from lab.training.levers import LeverConfig, choose_levers
from lab.training.optimizers import OptimizerConfig
from lab.training.schedules import ScheduleConfig
from scripts.benchmarks.draws import Draw, draw, draw_for_cost
from scripts.benchmarks.measure import Options, Row
from scripts.benchmarks.verdicts import rows_of

TARGETS, COSTS, SIZES = 8, 12, 12
SEED = 1337
LOOKS = 20
PIECE_SECONDS = 200.0
SPARE_SECONDS = 40.0  # a rung is not begun when less than this is left


def run(options: Options) -> list[Row]:
    """All of it in one go, an hour or two; quick: one tiny target, and no run as a command of its own."""
    quick = options.quick
    with tempfile.TemporaryDirectory(prefix="lab-forecast-") as folder:
        file = Path(folder) / "forecast.jsonl"
        series = "quick" if quick else "test"
        deadline = float("inf")
        losses(file, series, range(1 if quick else TARGETS), 1 if quick else 2, deadline)
        costs(file, series, range(0 if quick else COSTS), deadline)
        return [*size_rows(2 if quick else SIZES), *rows_of(read(file))]


def read(file: Path) -> list[dict[str, Any]]:
    """What is done so far."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def append(file: Path, line: dict[str, Any]) -> None:
    """One finished piece of work."""
    with open(file, "a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


# ---------------------------------------------------------------- parameters and FLOPs


def size_rows(n: int) -> list[Row]:
    """Parameters against the meta device's, FLOPs against PyTorch's counter, over `n` random networks."""
    worst = {"parameters": 0.0, "FLOPs": 0.0}
    for number in range(n):
        config = GPTConfig(vocab_size=1000, **draw_for_cost("sizes", number).config)
        with torch.device("meta"):
            model = GPT(config)
            tokens = torch.zeros(2, config.context_length, dtype=torch.int64)
        model.set_attention_kernel("explicit")
        with FlopCounterMode(display=False) as counter:
            model(tokens).sum().backward()
        counted = {"parameters": sum(p.numel() for p in model.parameters()), "FLOPs": counter.get_total_flops()}
        expected = {"parameters": count_parameters(config)["total"], "FLOPs": flops_per_token(config) * tokens.numel()}
        worst = {k: max(worst[k], abs(expected[k] / counted[k] - 1)) for k in worst}
    return [
        Row("forecast", f"{n} random", name, value=100 * error, unit="% off at worst") for name, error in worst.items()
    ]


# ---------------------------------------------------------------- final loss


def losses(file: Path, series: str, numbers: range, seeds: int, deadline: float) -> None:
    """Train ladders and targets that are not in the file yet, until the time is up."""
    known = {(r["series"], r["number"], r["kind"], r["seed"]) for r in read(file) if "seed" in r}
    jobs = [("ladder", 0), *(("target", seed) for seed in range(seeds))]
    for number in sorted(numbers):
        missing = [job for job in jobs if (series, number, *job) not in known]
        if missing and not one_target(file, series, number, missing, deadline):
            return


def one_target(file: Path, series: str, number: int, jobs: list[tuple[str, int]], deadline: float) -> bool:
    """The ladder of one configuration, and itself with each seed; False where the time was up before."""
    one = draw(series, number)
    data = one.data()
    config = GPTConfig(vocab_size=data.vocab_size, **one.config)
    steps = one.steps(config)
    levers = choose_levers(LeverConfig(threads=1), config=config, device="cpu")
    recipe = OptimizerConfig(**one.optimizer), ScheduleConfig(**one.schedule)
    for kind, seed in jobs:
        if kind == "ladder":
            measure = pilots(config, *recipe, data, levers, steps, SEED)
            found = climb(ladder(config, steps), measure, file.with_name(f"{series}-{number}-rungs.json"), deadline)
        else:
            training = BareTraining(config, *recipe, data, levers, steps, SEED + seed)
            trained = train_on(training, file.with_name(f"{series}-{number}-{seed}.pt"), deadline)
            found = None if trained is None else [asdict(Rung(config, steps, seed)) | asdict(trained)]
        if found is None:
            return False
        line = {"series": series, "number": number, "kind": kind, "seed": seed, "steps": steps, "trained": found}
        append(file, line | {"draw": asdict(one), "vocab_size": data.vocab_size, "baselines": data.baselines})
    return True


def climb(rungs: list[Rung], measure: Any, kept: Path, deadline: float) -> list[dict[str, Any]] | None:
    """A ladder, in as many pieces as it takes; None where the time is up before its end."""
    found: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    for rung in rungs[len(found) :]:
        if time.monotonic() > deadline - SPARE_SECONDS:
            return None
        found.append(asdict(rung) | asdict(measure(rung)))
        kept.write_text(json.dumps(found))
    kept.unlink(missing_ok=True)
    return found


def train_on(training: BareTraining, state: Path, deadline: float) -> Trained | None:
    """A target, in as many pieces as it takes; None where the time is up before its end."""
    steps, start, seconds = training.total_steps, 0, 0.0
    curve: list[tuple[float, float]] = []
    if state.exists():
        kept = torch.load(state, weights_only=True)
        training.model.load_state_dict(kept["model"])
        training.optimizer.load_state_dict(kept["optimizer"])
        start, curve, seconds = kept["step"], kept["curve"], kept["seconds"]
    looks = {round(k * steps / LOOKS): k / LOOKS for k in range(1, LOOKS)}
    begin = time.process_time()
    for n in range(start, steps):
        if time.monotonic() > deadline:
            kept = {"model": training.model.state_dict(), "optimizer": training.optimizer.state_dict(), "step": n}
            torch.save(kept | {"curve": curve, "seconds": seconds + time.process_time() - begin}, state)
            return None
        if n in looks:
            curve.append((looks[n], training.val_loss()))
        training.step(n)
    loss = training.val_loss()
    seconds += time.process_time() - begin
    state.unlink(missing_ok=True)
    tokens = steps * training.data.tokens_per_step
    return Trained(computing_parameters(training.model.config), tokens, loss, (*curve, (1.0, loss)), seconds)


# ---------------------------------------------------------------- minutes and memory


def costs(file: Path, series: str, numbers: range, deadline: float) -> None:
    """`plan`, then the `fit` it speaks of, each as a command of its own, until the time is up."""
    known = {(r["series"], r["number"]) for r in read(file) if r["kind"] == "cost"}
    longest = 0.0
    for number in sorted(numbers):
        if (series, number) in known:
            continue
        begin = time.monotonic()
        if begin + longest > deadline:
            return
        one = draw_for_cost(series, number)
        append(file, {"series": series, "number": number, "kind": "cost", **forecast_and_measured(one)})
        longest = max(longest, time.monotonic() - begin)


def forecast_and_measured(one: Draw) -> dict[str, Any]:
    """What the plan forecast and the fit measured: minutes, bytes."""
    with tempfile.TemporaryDirectory(prefix="lab-forecast-") as folder:
        plan = json.loads(one.lab("plan", Path(folder), "--json"))
        one.lab("fit", Path(folder), "--run.name", "one")
        from lab.runs import open_run
        from lab.runs.predictions import outcomes

        measured = outcomes(open_run("one", folder).metrics())
    seen = plan["rehearsal"]
    return {
        "draw": asdict(one),
        "minutes": [plan["forecasts"]["minutes"][k] for k in ("value", "low", "high")] + [measured["minutes"]],
        "memory": [plan["memory_predicted"], seen["memory_bytes"], measured["peak_memory_bytes"]],
        "base": seen["memory_before"] - plan["memory"]["weights"],
        "peak": plan["memory"]["peak"],
        "step_seconds": seen["step_seconds"],
        "looks": seen["looks"],
    }


def main(argv: list[str]) -> int:
    """A piece of the work, or its results so far."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["loss", "cost", "show"])
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=PIECE_SECONDS)
    parser.add_argument("--series", default="test")
    parser.add_argument("--numbers", default=None, metavar="FROM:TO")
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args(argv)
    first, last = map(int, (args.numbers or f"0:{COSTS if args.what == 'cost' else TARGETS}").split(":"))
    deadline = time.monotonic() + args.seconds
    if args.what == "loss":
        losses(args.file, args.series, range(first, last), args.seeds, deadline)
    elif args.what == "cost":
        costs(args.file, args.series, range(first, last), deadline)
    else:
        from scripts.bench import table

        rows = [*size_rows(SIZES), *rows_of([r for r in read(args.file) if r["series"] == args.series])]
        Console(width=None if sys.stdout.isatty() else 160).print(table("forecast", rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
