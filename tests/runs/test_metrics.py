"""The registry: every metric explained once."""

from __future__ import annotations

from lab.runs.metrics import METRICS, describe


def test_every_metric_says_what_it_is() -> None:
    for name, metric in METRICS.items():
        assert name == metric.name
        assert name.partition("/")[0] in {"train", "val", "perf", "stats", "audit", "forecast"}
        assert metric.unit
        assert metric.formula
        assert metric.how_to_read.endswith(".")
        assert metric.better in (None, "lower", "higher")


def test_what_every_run_logs_is_declared() -> None:
    promised = {
        *("train/loss", "train/grad_norm", "train/lr", "train/clipped", "val/loss", "val/perplexity"),
        *("val/bits_per_byte", "perf/tokens_per_second", "perf/mfu", "perf/data_share", "perf/memory_bytes"),
        "perf/step_seconds",
    }
    assert promised <= METRICS.keys()


def test_a_layer_belongs_to_its_metric() -> None:
    assert describe("train/loss") is METRICS["train/loss"]
    assert describe("train/loss.layer0.head3") is METRICS["train/loss"]
    assert describe("train/lossy") is None
    assert describe("my/thing") is None
