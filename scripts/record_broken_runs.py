"""The recordings of the page's tab "Diagnosis quiz", from the runs of `scripts/benchmarks/diagnosis.py`.

    python -m scripts.benchmarks.diagnosis --folder /tmp/broken      trains what is not there yet
    python scripts/record_broken_runs.py /tmp/broken

Curves only, thinned to what a chart of 600 pixels can show, a few kilobytes each; no weights, no text.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab.diagnosis import Diagnosis, diagnose
from lab.diagnosis.broken_runs import BROKEN_RUNS, HEALTHY
from lab.runs import Run, open_run
from lab.runs.series import Series, extremes
from scripts.benchmarks.diagnosis import BROKEN, broken_args, train

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
    evidence, facts = diagnosis.evidence, diagnosis.evidence.facts
    curves = {metric: thinned(curve) for metric in SHOWN if (curve := merged(diagnosis, metric)) and len(curve)}
    proof = {
        metric: thinned(evidence[metric])
        for metric in evidence.columns.names()
        if metric.startswith(("audit/", "stats/weight_norm.embedding"))
    }
    text = (Path(BROKEN) / f"{name}.yaml").read_text("utf-8").splitlines()
    comment = " ".join(line.lstrip("# ") for line in text[1:] if line.startswith("#")).strip()
    return {
        "format": 1,
        "name": name,
        "rule": BROKEN_RUNS[name].rule if name in BROKEN_RUNS else None,
        "total_steps": facts.total_steps,
        "facts": {
            "parameters": facts.parameters,
            "tokens_per_step": facts.tokens_per_step,
            "epochs": facts.epochs(evidence.step),
            "dropout": facts.number("model.config.dropout"),
            "clip": facts.number("model.optimizer.clip"),
        },
        "lines": {line: value for line in LINES if (value := facts.baseline(line))},
        "curves": curves,
        "evidence": proof,
        "findings": [{"step": f.step, **f.payload()} for f in diagnosis.findings],
        "command": text[0].removeprefix("# "),
        "comment": comment,
    }


def merged(diagnosis: Diagnosis, metric: str) -> Series:
    """A metric of a layer as its extreme over the layers: the lowest entropy, else the largest value."""
    layers = list(diagnosis.evidence.layers(metric).values())
    if not layers:
        return diagnosis.evidence[metric]
    choose = min if metric == "stats/entropy" else max
    steps = layers[0].steps.tolist()
    return Series(steps, [choose(v for layer in layers if (v := layer.at(step)) is not None) for step in steps])


def thinned(curve: Series) -> list[list[float]]:
    """`[steps, values]`, so few that a file stays small; a spike stays one."""
    at = extremes(curve.values, POINTS, first=1)
    return [curve.steps[at].tolist(), [float(f"{v:.4g}") for v in curve.values[at]]]


def main(argv: list[str] | None = None) -> int:
    """Record every broken run that is in the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="the folder of the benchmark's runs")
    args = parser.parse_args(argv)
    FOLDER.mkdir(exist_ok=True)
    for name in (HEALTHY, *(name for name, broken in BROKEN_RUNS.items() if broken.cause)):
        if not (args.runs / name).is_dir():
            print(f"{name}: not there, left out")
            continue
        write(record(open_run(name, args.runs), name), name)
        if name in BROKEN_RUNS and BROKEN_RUNS[name].healthy:
            twin = f"{name}.{HEALTHY}"
            train([*broken_args(name), *BROKEN_RUNS[name].healthy], args.runs, twin)
            write(record(open_run(twin, args.runs), name) | {"name": twin, "rule": None, "findings": []}, twin)
    return 0


def write(content: dict[str, Any], name: str) -> None:
    """One file, one line."""
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
