"""Every metric the lab logs, declared once: name, unit, formula, and how to read it.

The dashboards' tooltips, the doctor and the report take their words from here. A name that ends in a layer or
a head (`stats/entropy.layer0`, `stats/entropy.layer0.head3`) belongs to the metric before the first dot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One metric. `better` says which way is good, None where neither is."""

    name: str
    unit: str
    formula: str
    how_to_read: str
    better: Literal["lower", "higher"] | None = None


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "train/loss",
            "nats per token",
            "mean over the step's targets of -ln p(target | tokens before it), measured before the update",
            "Starts near ln(vocabulary size), the loss of guessing evenly; a plateau at the unigram loss "
            "means that context is not used yet.",
            "lower",
        ),
        Metric(
            "val/loss",
            "nats per token",
            "sum of -ln p(target) over the validation split / number of its targets",
            "The loss on text never trained on: falling with train/loss is learning, rising while that falls "
            "is memorising.",
            "lower",
        ),
        Metric(
            "val/perplexity",
            "equally likely tokens",
            "exp(val/loss)",
            "How many equally likely next tokens the model is as unsure about; compares only between runs "
            "with one tokenizer.",
            "lower",
        ),
        Metric(
            "val/bits_per_byte",
            "bits per byte",
            "val/loss / ln 2 / bytes per token of the validation text",
            "What compressing the text with this model would cost; the only loss that compares across "
            "tokenizers (and with xz).",
            "lower",
        ),
        Metric(
            "train/grad_norm",
            "nats per token per unit of weight",
            "sqrt(sum of squares of all gradients), before clipping",
            "Settles to a slowly changing level after warm-up; spikes precede spikes of the loss.",
        ),
        Metric(
            "train/clipped",
            "fraction of steps",
            "share of the steps since the last logged one whose grad_norm exceeded the clipping threshold",
            "Near 1: the threshold, not the learning rate, sets the size of the updates; occasional ones "
            "are its purpose.",
        ),
        Metric(
            "train/lr",
            "1",
            "schedule(step), after changes by command",
            "The learning rate of the matrices' optimizer; compare bends of the loss with bends of this.",
        ),
        Metric(
            "perf/tokens_per_second",
            "tokens/s",
            "tokens trained on / training seconds, over the steps since the last logged one",
            "Speed without pauses, validation and checkpoints; a drop in mid-run points to the machine, not "
            "the model.",
            "higher",
        ),
        Metric(
            "perf/mfu",
            "fraction",
            "training FLOPs per token × tokens/s / peak FLOP/s of the device in this precision",
            "Share of what the device could do at best; unknown devices have none rather than a guess.",
            "higher",
        ),
        Metric(
            "perf/step_seconds",
            "s",
            "training seconds / steps, since the last logged one",
            "Wall time of one optimizer step with all its micro-batches.",
            "lower",
        ),
        Metric(
            "perf/data_share",
            "fraction",
            "seconds waiting for the next batch / training seconds, since the last logged one",
            "Above a few per cent the model waits for its data.",
            "lower",
        ),
        Metric(
            "perf/memory_bytes",
            "bytes",
            "peak memory so far: allocated on the GPU, or the process's resident set on a CPU",
            "Should be flat after the first steps; a steady rise is a leak.",
            "lower",
        ),
    )
}


def describe(name: str) -> Metric | None:
    """The declaration behind a logged name (`stats/entropy.layer0`: `stats/entropy`); None without one."""
    return METRICS.get(name) or METRICS.get(name.partition(".")[0])


def undeclared(names: Iterable[str]) -> list[str]:
    """Those of `names` that no metric declares, for a test that a run logs nothing unexplained."""
    return sorted(name for name in names if describe(name) is None)
