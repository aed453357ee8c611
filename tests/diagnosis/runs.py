"""Curves of runs made by hand, healthy ones and ones with a fault."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lab.diagnosis import CADENCE, LEVELS, Evidence, Finding, Monitor
from lab.runs.cadence import is_log_spaced
from lab.runs.facts import Facts
from lab.runs.metrics import describe
from lab.runs.metrics_log import MetricsDelta

BASELINES = {"uniform": math.log(256), "unigram": 3.08, "bigram": 2.43, "xz": 1.57}
SETTINGS = {
    "model.optimizer.clip": 1.0,
    "model.config.d_model": 64,
    "model.config.tie_embeddings": True,
    "model.config.positions": "rope",
    "model.config.dropout": 0.0,
    "samples.tokens": 32,
}
STEPS = 400


def facts(steps: int = STEPS, parameters: int = 120_000, **changed: Any) -> Facts:
    """What a healthy run knows of itself; `changed` settings have `__` for a dot."""
    data = {
        "baselines": {"nats_per_token": BASELINES | changed.pop("baselines", {})},
        "vocab_size": 256,
        "tokens_per_step": 1024,
        "steps_per_epoch": 700.0,
        "bytes_per_token": 1.0,
    } | changed.pop("data", {})
    settings = SETTINGS | {name.replace("__", "."): value for name, value in changed.items()}
    return Facts(settings, data, steps, parameters)


def curve(start: float, end: float, steps: int = STEPS, noise: float = 0.02, seed: int = 0) -> np.ndarray:
    """A loss that falls fast, then slowly, with a batch's noise."""
    t = np.arange(steps) / steps
    smooth = end + (start - end) * np.exp(-12 * t) * (1 - 0.1 * t)
    return smooth * (1 + noise * np.random.default_rng(seed).standard_normal(steps))


def healthy(steps: int = STEPS, seed: int = 0) -> dict[str, dict[int, float]]:
    """Curves of a sound run by name, each `{step: value}`."""
    rng = np.random.default_rng(seed)
    start, end = BASELINES["uniform"], rng.uniform(1.6, 2.1)
    loss = curve(start, end, steps, rng.uniform(0.01, 0.04), seed)
    loss[0] = start
    warm = max(2, steps // 20)
    lr = np.array(
        [1e-3 * min(1, (i + 1) / (warm + 1)) * (0.55 + 0.45 * math.cos(math.pi * i / steps)) for i in range(steps)]
    )
    norms = 0.4 + 2.5 * np.exp(-np.arange(steps) / (steps / 20)) + 0.05 * rng.standard_normal(steps)
    looks = [s for s in range(steps + 1) if is_log_spaced(s, max(5, steps // 20))]
    part = {s: s / steps for s in looks}
    found: dict[str, dict[int, float]] = {
        "train/loss": dict(enumerate(loss)),
        "train/lr": dict(enumerate(lr)),
        "train/grad_norm": dict(enumerate(norms)),
        "val/loss": {s: float(np.interp(s, np.arange(steps), curve(start, end * 1.02, steps, 0))) for s in looks[::2]},
        "audit/sees_future": dict.fromkeys(looks, 0.0),
        "audit/next_targets": dict.fromkeys(looks[1:], 1.0),
        "audit/same_targets": dict.fromkeys(looks[1:], 0.2),
        "audit/consecutive": {s: float(rng.uniform(0, 0.2)) for s in looks[1:]},
        "audit/val_in_train": {0: 0.03},
        "audit/unseen_rows": {0: 0.6},
        "audit/training_mode": {0: 0.0},
        "stats/weight_norm.embedding": {s: 2.56 + 15 * p for s, p in part.items()},
        "stats/longest_copy": {s: 4 + 8 * p for s, p in part.items()},
        "stats/critical_batch": {s: 2000 + 8000 * p for s, p in part.items() if s},
        "perf/data_share": {s: 0.02 for s in looks if s > 1},
        "perf/step_seconds": {s: float(rng.uniform(0.014, 0.02)) for s in looks if s > 1},
    }
    for layer in range(2):
        end_of = f".layer{layer}"
        found |= {
            f"stats/update_ratio{end_of}": {s: 0.003 + 0.03 * math.sin(math.pi * p**0.5) for s, p in part.items() if s},
            f"stats/entropy{end_of}": {s: 1 - 0.5 * p**0.5 for s, p in part.items()},
            f"stats/attn_logit_max{end_of}": {s: 0.1 + 22 * p**0.5 for s, p in part.items()},
            f"stats/attn_out_norm{end_of}": {s: 0.03 + p**0.5 for s, p in part.items()},
            f"stats/resid_norm{end_of}": {s: 0.2 + 6 * p**0.5 for s, p in part.items()},
            f"stats/dead_share{end_of}": {s: 0.3 if 4 <= s <= 16 else 0.02 for s in looks},
            f"stats/saturated_share{end_of}": {s: 0.35 if 4 <= s <= 16 else 0.0 for s in looks},
        }
    return found


def rows(curves: dict[str, dict[int, float | None]]) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl."""
    steps = sorted({step for values in curves.values() for step in values})
    return [
        {"step": step} | {name: values[step] for name, values in curves.items() if step in values} for step in steps
    ]


def told(curves: dict[str, dict[int, Any]], about: Facts | None = None, **thresholds: float) -> list[Finding]:
    """What is reported of a run as it grows."""
    monitor = Monitor(Evidence(about or facts()), thresholds)
    every, said = CADENCE.steps(monitor.evidence.facts.total_steps or 0), []
    for row in rows(curves):
        monitor.evidence.apply(MetricsDelta([row]))
        if is_log_spaced(row["step"], every):
            said += monitor.examine(row["step"])
    return said + monitor.examine()


def names(found: list[Finding]) -> set[str]:
    """The rules that found something."""
    return {finding.rule for finding in found}


LOOKS = sorted(healthy()["stats/entropy.layer0"])


def at_looks(value: float) -> dict[int, float]:
    """The same at every look."""
    return dict.fromkeys(LOOKS, value)


def flat(level: float, steps: int = STEPS) -> dict[int, float]:
    """A loss that falls to a level and stays there."""
    return dict(enumerate(curve(BASELINES["uniform"], level, steps, 0.005)))


def resting(level: float) -> dict[str, dict[int, Any]]:
    """A run whose loss stays at a level, on both texts."""
    losses = flat(level)
    return healthy() | {"train/loss": losses, "val/loss": {s: losses[min(s, STEPS - 1)] for s in LOOKS}}


def changed(name: str, change: Any) -> dict[str, dict[int, Any]]:
    """A healthy run but for one curve."""
    found = healthy()
    found[name] = {step: change(step, value) for step, value in found[name].items()}
    return found


def after(step: int, factor: float) -> Any:
    """A change for `changed`: `factor` times as much from a step on."""
    return lambda s, value: value * factor if s >= step else value


def both_layers(name: str, value: float) -> dict[str, dict[int, Any]]:
    """A healthy run but for one metric of its layers."""
    return healthy() | {f"stats/{name}.layer{layer}": at_looks(value) for layer in range(2)}


def check_finding(rule: str, curves: dict[str, dict[int, Any]], about: Facts | None = None) -> None:
    """The rule finds its own fault, and says all that a finding says."""
    found = [finding for finding in told(curves, about) if finding.rule == rule]
    assert found, names(told(curves, about))
    finding = found[0]
    assert finding.level in LEVELS
    assert 0 <= finding.since <= finding.step <= STEPS
    assert finding.what[0].islower() or finding.what[0].isdigit()
    assert finding.why
    assert finding.tries
    assert finding.source == f"lab/diagnosis/{finding.family}.py"
    assert finding.metric is None or describe(finding.metric), "the metric it names is declared"
