"""The recordings of the page's tab "Sick runs", from the runs of `scripts/benchmarks/diagnosis.py`.

    python -m scripts.benchmarks.diagnosis --folder /tmp/zoo        trains what is not there yet
    python scripts/record_zoo.py /tmp/zoo

Curves only, thinned to what a chart of 600 pixels can show, a few kilobytes each; no weights, no text.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab.diagnosis import Curve, Diagnosis, diagnose
from lab.diagnosis.zoo import TWIN, ZOO
from lab.runs import Run, open_run
from scripts.benchmarks.diagnosis import BROKEN, sick_args, train

FOLDER = Path(__file__).resolve().parents[1] / "analysis_app/analyses/broken_runs"
POINTS = 160
SHOWN = (
    *("train/loss", "val/loss", "train/grad_norm", "train/lr", "perf/step_seconds", "perf/data_share"),
    *("stats/update_ratio", "stats/entropy", "stats/attn_logit_max", "stats/resid_norm"),
    *("stats/dead_share", "stats/saturated_share", "stats/critical_batch"),
)
LINES = ("uniform", "unigram", "bigram")


def record(run: Run, name: str) -> dict[str, Any]:
    """All that the tab knows of a run."""
    diagnosis = diagnose(run)
    history = diagnosis.history
    curves = {metric: thinned(curve) for metric in SHOWN if (curve := merged(diagnosis, metric)) and len(curve)}
    evidence = {
        metric: thinned(history[metric])
        for metric in history.names()
        if metric.startswith(("audit/", "stats/weight_norm.embedding"))
    }
    text = (Path(BROKEN) / f"{name}.yaml").read_text("utf-8").splitlines()
    comment = " ".join(line.lstrip("# ") for line in text[1:] if line.startswith("#")).strip()
    return {
        "format": 1,
        "name": name,
        "rule": ZOO[name].rule if name in ZOO else None,
        "total_steps": history.facts.total_steps,
        "facts": {
            "parameters": history.facts.parameters,
            "tokens_per_step": history.facts.of_data("tokens_per_step"),
            "epochs": history.facts.epochs(history.step),
            "dropout": history.facts.number("model.config.dropout"),
            "clip": history.facts.number("model.optimizer.clip"),
        },
        "lines": {line: value for line in LINES if (value := history.facts.baseline(line))},
        "curves": curves,
        "evidence": evidence,
        "findings": [{"step": f.step, **f.payload()} for f in diagnosis.findings],
        "command": text[0].removeprefix("# "),
        "comment": comment,
    }


def merged(diagnosis: Diagnosis, metric: str) -> Curve:
    """A metric of a layer as its extreme over the layers: the lowest entropy, else the largest value."""
    layers = diagnosis.history.layers(metric)
    if not layers:
        return diagnosis.history[metric]
    found, choose = Curve(), min if metric == "stats/entropy" else max
    for step in layers[0].steps:
        values = [value for layer in layers if (value := layer.at(int(step))) is not None]
        found.add(int(step), float(choose(values)))
    return found


def thinned(curve: Curve) -> list[list[float]]:
    """`[steps, values]`: of each stretch the first, the lowest and the highest point, so that a spike stays one."""
    n = len(curve)
    keep = set(range(n))
    if n > POINTS:
        edges = np.linspace(0, n, POINTS // 3 + 1).astype(int)
        pairs = list(pairwise(edges))
        keep = {int(a) for a, _ in pairs} | {n - 1}
        keep |= {int(a + f(curve.values[a:b])) for a, b in pairs for f in (np.argmin, np.argmax)}
    at = sorted(keep)
    return [[int(s) for s in curve.steps[at]], [float(f"{v:.4g}") for v in curve.values[at]]]


def main(argv: list[str] | None = None) -> int:
    """Record every run of the zoo that is in the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="the folder of the benchmark's runs")
    args = parser.parse_args(argv)
    FOLDER.mkdir(exist_ok=True)
    for name in (TWIN, *(name for name, disease in ZOO.items() if disease.cause)):
        if not (args.runs / name).is_dir():
            print(f"{name}: not there, left out")
            continue
        write(record(open_run(name, args.runs), name), name)
        if name in ZOO and ZOO[name].twin:
            twin = f"{name}.{TWIN}"
            train([*sick_args(name), *ZOO[name].twin], args.runs, twin)
            write(record(open_run(twin, args.runs), name) | {"name": twin, "rule": None, "findings": []}, twin)
    return 0


def write(content: dict[str, Any], name: str) -> None:
    """One file, one line."""
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
