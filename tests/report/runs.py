"""A whole run made by hand: every file that a report reads, with numbers that are known."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml

from lab.diagnosis import RULES
from lab.diagnosis.finding import Found
from lab.files import write_json
from lab.report import report_on
from lab.report.document import Document, Section
from lab.report.markdown import render_markdown
from lab.report.run_record import RunRecord
from lab.runs import EventWriter, MetricsWriter, Run, SampleWriter, StatusWriter, create_run
from lab.runs.checkpoints import SNAPSHOT_SUFFIX, step_path, write_facts
from lab.runs.events import Completed, LrChanged, Paused, Started, Unpaused
from lab.runs.reference_texts import encode_pattern, write_bundle
from lab.runs.series import Columns
from tests.checkpoints import write_checkpoint

MODEL = {
    "n_layers": 2, "n_heads": 2, "n_kv_heads": None, "d_model": 32, "context_length": 16, "vocab_size": 100,
    "positions": "rope", "norm": "rmsnorm", "norm_position": "pre", "mlp": "swiglu", "qk_norm": True,
    "tie_embeddings": True, "bias": False, "dropout": 0.0,
}  # fmt: skip
BASELINES = {"uniform": math.log(100), "unigram": 4.0, "bigram": 3.0, "xz": 2.5}
DATA = {
    "corpus": {"name": "text", "source": "a <b>book</b>", "licence": "public domain", "fingerprint": "f"},
    "tokenizer": {"name": "bpe", "kind": "bpe", "vocab_size": 100, "fingerprint": "t"},
    "vocab_size": 100,
    "splits": {"train": {"tokens": 50_000, "bytes": 150_000}, "val": {"tokens": 5_000, "bytes": 15_000}},
    "validation": {"tokens": 5_000},
    "val_slice": {"text": "Once"},
    "bytes_per_token": 3.0,
    "context_length": 16,
    "tokens_per_step": 64,
    "steps_per_epoch": 781.0,
    "seed": 1,
    "baselines": {"nats_per_token": BASELINES, "bits_per_byte": {}},
}
CONFIG: dict[str, Any] = {
    "seed_everything": 1,
    "model": {"config": MODEL, "optimizer": {"name": "adamw", "lr": 1e-3, "clip": 1.0}, "schedule": {"kind": "cosine"}},
    "data": {"corpus": "text", "batch_size": 4, "seed": 1},
    "samples": {"tokens": 32},
    "run": {"root": "runs", "note": ""},
}
SCORES = ("entropy", "first_token", "distance", "attn_logit_max", "previous_token", "duplicate_token", "induction")


def curve(step: int, steps: int) -> float:
    """From guessing evenly through all baselines down to 2 nats."""
    return 2.0 + (BASELINES["uniform"] - 2.0) * math.exp(-8 * step / steps)


def make_run(root: Path, name: str = "whole", *, steps: int = 400, seed: int = 1, lr: float = 1e-3) -> Run:
    """A completed run of `steps`, its losses the `curve` with a noise that hangs on the seed and the step."""
    run = create_run(root, name)
    rng = random.Random(seed)
    shift = rng.gauss(0, 0.004)
    config = CONFIG | {"seed_everything": seed}
    config["model"] = CONFIG["model"] | {"optimizer": {"name": "adamw", "lr": lr, "clip": 1.0}}
    details = {"parameters": 20_000, "defaults": {"model.config.positions": "learned", "model.optimizer.lr": 3e-4}}
    levers = {"device": {"value": "cpu", "reason": ""}, "threads": {"value": 1, "reason": ""}}
    with StatusWriter(run, total_steps=steps, details=details, levers=levers) as status:
        status.update(state="running")
        write_metrics(run, steps, seed, shift + 20 * lr)
        write_what_happened(run, steps)
        status.update(step=steps, tokens=64 * steps, state="completed")
    run.config_path.write_text(yaml.safe_dump(config))
    write_json(run.data_path, DATA)
    run.tokenizer_path.write_text("{}")
    for step in (0, steps // 2, steps):
        snapshot = step_path(run.snapshots_dir, step, SNAPSHOT_SUFFIX)
        snapshot.write_bytes(b"weights")
        write_facts(snapshot, step, model_config=MODEL, kind="snapshot")
        write_bundle(run, step, bundle(step, steps))
    write_checkpoint(run, steps, lambda file: file.write(b"x" * 300), best=True, model_config=MODEL)
    return run


def write_metrics(run: Run, steps: int, seed: int, shift: float, every: int = 1) -> None:
    """Losses, rates, gradients, speed; the inside of the model a hundred times."""
    noise = np.random.default_rng(seed).normal(0, 0.03, steps + 1)
    with MetricsWriter(run) as metrics:
        for step in range(0, steps + 1, every):
            done = step / steps
            values: dict[str, Any] = {
                "train/loss": curve(step, steps) + shift + noise[step], "train/grad_norm": 2 - done,
                "train/lr": 1e-3 * min(1.0, step / (0.1 * steps)) * (1 - done), "train/clipped": 0.0,
                "perf/tokens_per_second": 6400.0,
            }  # fmt: skip
            if step % max(1, steps // 100) == 0:
                values |= {"val/loss": curve(step, steps) + shift, "val/bits_per_byte": 1.0, "perf/memory_bytes": 1e8}
                values |= {"perf/data_share": 0.01, "stats/critical_batch": 100 + 1000 * done, "stats/induction": done}
                for layer in range(2):
                    values |= {f"stats/{n}.layer{layer}": 0.1 + done / (1 + layer) for n in ("entropy", "first_token")}
                    values |= {
                        f"stats/previous_token.layer{layer}": done,
                        f"stats/induction.layer{layer}": done * layer,
                    }
                    values |= {f"stats/{n}.layer{layer}": 1 + done for n in ("resid_norm", "grad_norm", "weight_norm")}
                    values |= {f"stats/update_ratio.layer{layer}": 1e-3, f"stats/dead_share.layer{layer}": 0.25 * done}
            metrics.write(step, 64 * step, step / 50, values)


def write_what_happened(run: Run, steps: int) -> None:
    """Events and samples."""
    with EventWriter(run) as events, SampleWriter(run) as samples:
        events.write(Started(step=0, changed={}))
        events.write(Paused(step=steps // 2))
        events.write(Unpaused(step=steps // 2, seconds=90.0))
        events.write(LrChanged(step=steps // 2, before=1.0, to=0.5))
        found = Found("warning", "updates are large", steps // 4, "stats/update_ratio", 0.1, 0.01)
        events.write(replace(RULES["lr_too_high"].finding(found, steps // 2), tries=("a lower rate",)))
        for step in (0, steps // 2, steps):
            text = f"<script>alert({step})</script> ```"
            samples.write(step, "Once | upon", text, temperature=0.8, longest_copy={"tokens": 5})
        events.write(Completed(step=steps))


def bundle(step: int, steps: int) -> dict[str, Any]:
    """A probe bundle in which layer 1 head 0 becomes an induction head."""
    scores = np.full((len(SCORES), 2, 2), 0.05, dtype=np.float32)
    scores[SCORES.index("induction"), 1, 0] = 0.05 + 0.9 * step / steps
    scores[SCORES.index("previous_token"), 0, 1] = 0.05 + 0.9 * step / steps
    even = np.tril(np.ones((8, 8))) / np.arange(1, 9)[:, None]
    return {
        "score_names": np.array(SCORES), "scores": scores, "score_chance": np.full(len(SCORES), 0.05, dtype=np.float32),
        "patterns": encode_pattern(np.broadcast_to(even, (2, 1, 2, 8, 8))), "tokens": 64 * step,
        "lens_labels": np.array(["0_pre", "1_pre", "final"]), "lens_tokens": np.zeros((3, 1, 8), dtype=np.int32),
    }  # fmt: skip


def lines(*rows: dict[str, object]) -> bytes:
    """Rows as JSON lines."""
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def text_of(run: Run) -> str:
    """The report as Markdown, pictures left out: they take most of the time."""
    return render_markdown(report_on(run)({}), {}, {})


def text_in(section: Section) -> str:
    """A section as Markdown."""
    return render_markdown(Document("", "", [], [section], ""), {}, {})


def with_metrics(record: RunRecord, **series: Any) -> RunRecord:
    """The record with other curves: `train__loss` for `train/loss`, a number or an array over steps 0, 1, …"""
    changed = {name.replace("__", "/", 1).replace("__", "."): values for name, values in series.items()}
    columns = Columns()
    kept = {
        name: record.of(name) for name in (*record.columns.names(), "time", "wall", "tokens") if name not in changed
    }
    rows: dict[int, dict[str, Any]] = {}
    for name, curve in kept.items():
        for step, value in zip(curve.steps.tolist(), curve.values.tolist(), strict=True):
            rows.setdefault(step, {"step": step})[name] = value
    for name, values in changed.items():
        for step, value in enumerate(np.atleast_1d(values).tolist()):
            rows.setdefault(step, {"step": step})[name] = value
    columns.add(rows[step] for step in sorted(rows))
    return replace(record, columns=columns)
