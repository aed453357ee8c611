"""Every metric the lab logs, declared once: name, unit, formula, and how to read it.

The dashboards' tooltips, the diagnosis and the report take their texts from here. A name that ends in a layer or
a head (`stats/entropy.layer0`, `stats/entropy.layer0.head3`) belongs to the metric before the first dot.
"""

from __future__ import annotations

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


METRICS: dict[str, Metric] = {}
"""Name → its declaration."""


def _declare(
    name: str, unit: str, formula: str, how_to_read: str, better: Literal["lower", "higher"] | None = None
) -> str:
    METRICS[name] = Metric(name, unit, formula, how_to_read, better)
    return name


TRAIN_LOSS = _declare(
    "train/loss",
    "nats per token",
    "mean over the step's targets of -ln p(target | tokens before it), measured before the update",
    "Starts near ln(vocabulary size), the loss of guessing evenly; a plateau at the unigram loss "
    "means that context is not used yet.",
    "lower",
)
VAL_LOSS = _declare(
    "val/loss",
    "nats per token",
    "sum of -ln p(target) over the whole validation split / number of its targets, in disjoint windows of a context, "
    "each read from its own beginning",
    "The loss on text never trained on: falling with train/loss is learning, rising while that falls is memorising. "
    "The first targets of a window have hardly any context, so a longer context alone lowers it (validate --stride).",
    "lower",
)
VAL_LOSS_ERROR = _declare(
    "val/loss_error",
    "nats per token",
    "standard error of val/loss, from the spread of its windows' losses",
    "How far the loss on another held-out text of this kind and size would lie away. Two models validated on the same "
    "windows differ by far less by chance.",
)
VAL_SUBSET_LOSS = _declare(
    "val/subset_loss",
    "nats per token",
    "val/loss on a fixed random subset of the validation split's windows, the same in all runs on this text",
    "The curve of a run while it trains. Runs on one text compare on it exactly, window by window; val/loss is "
    "within two of its standard errors, 19 times in 20.",
    "lower",
)
VAL_SUBSET_LOSS_ERROR = _declare(
    "val/subset_loss_error",
    "nats per token",
    "standard error of val/subset_loss as an estimate of val/loss: spread of the windows' losses / sqrt(windows), less "
    "the share of the split that was read",
    "The band around the curve is twice that, up and down. It moves a whole curve, not one point against the next.",
)
VAL_SUBSET_BITS_PER_BYTE = _declare(
    "val/subset_bits_per_byte",
    "bits per byte",
    "val/subset_loss / ln 2 / bytes per token of the subset",
    "val/bits_per_byte on the subset.",
    "lower",
)
VAL_PERPLEXITY = _declare(
    "val/perplexity",
    "equally likely tokens",
    "exp(val/loss)",
    "How many equally likely next tokens the model is as unsure about; compares only between runs with one tokenizer.",
    "lower",
)
VAL_BITS_PER_BYTE = _declare(
    "val/bits_per_byte",
    "bits per byte",
    "val/loss / ln 2 / bytes per token of the validation text",
    "What compressing the text with this model would cost; the only loss that compares across "
    "tokenizers (and with xz).",
    "lower",
)
FORECAST_FINAL_VAL_LOSS = _declare(
    "forecast/final_val_loss",
    "nats per token",
    "power law through its own curve, less what annealing takes off, averaged with what was forecast before",
    "Where the run will end, by its curve so far; it should settle early and change little.",
    "lower",
)
FORECAST_LOW = _declare(
    "forecast/low",
    "nats per token",
    "lower bound of the 80 % interval of forecast/final_val_loss",
    "In 1 of 10 runs the end lies below it.",
)
FORECAST_HIGH = _declare(
    "forecast/high",
    "nats per token",
    "upper bound of the 80 % interval of forecast/final_val_loss",
    "In 1 of 10 runs the end lies above it.",
)
TRAIN_GRAD_NORM = _declare(
    "train/grad_norm",
    "nats per token per unit of weight",
    "sqrt(sum of squares of all gradients), before clipping",
    "Settles to a slowly changing level after warm-up; spikes precede spikes of the loss.",
)
TRAIN_CLIPPED = _declare(
    "train/clipped",
    "fraction of steps",
    "share of the steps since the last logged one whose grad_norm exceeded the clipping threshold",
    "Near 1: the threshold, not the learning rate, sets the size of the updates; occasional ones are its purpose.",
)
TRAIN_LR = _declare(
    "train/lr",
    "1",
    "schedule(step), after changes by command",
    "The learning rate of the matrices' optimizer; compare bends of the loss with bends of this.",
)
TRAIN_LOSS_SCALE = _declare(
    "train/loss_scale",
    "1",
    "the factor that fp16 training multiplies the loss with before the backward pass",
    "Halves when gradients overflow, doubles when they have not for a while. One that falls to 1 or below "
    "means that gradients or losses are too large for fp16.",
)
PERF_TOKENS_PER_SECOND = _declare(
    "perf/tokens_per_second",
    "tokens/s",
    "tokens trained on / seconds of their steps, waiting for batches included, since the last logged one",
    "Speed without pauses, validation and checkpoints; a drop in mid-run points to the machine, not the model.",
    "higher",
)
PERF_MFU = _declare(
    "perf/mfu",
    "fraction",
    "training FLOPs per token × tokens of a step / perf/step_seconds / peak FLOP/s of the device in this precision",
    "Share of what the device could do at best; unknown devices have none rather than a guess.",
    "higher",
)
PERF_STEP_SECONDS = _declare(
    "perf/step_seconds",
    "s",
    "seconds of steps, waiting for their batches included / steps, since the last logged one",
    "Wall time of one optimizer step with all its micro-batches; validation, instruments and checkpoints lie outside.",
    "lower",
)
PERF_DATA_SHARE = _declare(
    "perf/data_share",
    "fraction",
    "seconds waiting for batches / seconds of steps, waiting included, since the last logged one",
    "Above a few per cent the model waits for its data.",
    "lower",
)
PERF_MEMORY_BYTES = _declare(
    "perf/memory_bytes",
    "bytes",
    "peak memory so far: allocated on the GPU, or the process's resident set on a CPU",
    "Should be flat after the first steps; a steady rise is a leak.",
    "lower",
)
STATS_PROBE_LOSS = _declare(
    "stats/probe_loss",
    "nats per token",
    "mean loss on the fixed probe texts, in fp32 and evaluation mode",
    "A few hundred tokens of val/loss, measured beside every snapshot: which curve the other stats belong to.",
    "lower",
)
STATS_ENTROPY = _declare(
    "stats/entropy",
    "fraction",
    "mean over queries and a layer's heads of the attention's entropy / ln(keys it may see)",
    "1: attention is spread evenly; 0: every query reads one key. A layer that falls to 0 early and "
    "stays there has collapsed; one that stays at 1 has found nothing to look for.",
)
STATS_FIRST_TOKEN = _declare(
    "stats/first_token",
    "fraction",
    "mean share of attention on the first position",
    "Where heads attend that write nothing at a token; high values are normal in trained models.",
)
STATS_ATTN_DISTANCE = _declare(
    "stats/attn_distance",
    "tokens",
    "mean over queries of sum over keys of attention × (query - key)",
    "How far back a layer reads on average.",
)
STATS_ATTN_LOGIT_MAX = _declare(
    "stats/attn_logit_max",
    "1",
    "largest q·k/√d_head over visible pairs and a layer's heads",
    "From some 5 to above 50 announces instability: the softmax then passes on hardly any gradient "
    "(QK-norm or a lower learning rate help).",
)
STATS_PREVIOUS_TOKEN = _declare(
    "stats/previous_token",
    "fraction",
    "largest over a layer's heads of the attention on the token just before",
    "A head near 1 tells each position its previous token: the first half of an induction circuit.",
)
STATS_DUPLICATE_TOKEN = _declare(
    "stats/duplicate_token",
    "fraction",
    "largest over heads of the attention on the same token one period back, on repeated random tokens",
    "A head near 1 finds earlier copies of the present token.",
)
STATS_INDUCTION = _declare(
    "stats/induction",
    "fraction",
    "largest over heads of the attention on the token after the earlier copy, on repeated random tokens",
    "A jump towards 1, together with the loss on repeats, is an induction head forming. One layer cannot make one.",
)
STATS_INDUCTION_LOSS_GAP = _declare(
    "stats/induction_loss_gap",
    "nats per token",
    "loss on random tokens - loss on their repeats",
    "What the model gains from having seen it before in the same context: 0 until it can look back.",
    "higher",
)
STATS_REPEAT_LOSS = _declare(
    "stats/repeat_loss",
    "nats per token",
    "mean loss on the second half of repeated random tokens",
    "Near 0 where the model copies from its context; above ln(vocabulary size) where it only knows its text.",
    "lower",
)
STATS_RESID_NORM = _declare(
    "stats/resid_norm",
    "1",
    "mean L2 norm of the residual stream after a layer, first position left out",
    "Grows with depth. One that grows from step to step without end outweighs what later layers add.",
)
STATS_ATTN_OUT_NORM = _declare(
    "stats/attn_out_norm",
    "1",
    "mean L2 norm of what a layer's attention adds to the stream, first position left out",
    "Against stats/resid_norm: how much this attention matters.",
)
STATS_MLP_OUT_NORM = _declare(
    "stats/mlp_out_norm",
    "1",
    "mean L2 norm of what a layer's MLP adds to the stream, first position left out",
    "Against stats/resid_norm: how much this MLP matters.",
)
STATS_DEAD_SHARE = _declare(
    "stats/dead_share",
    "fraction",
    "share of a layer's MLP units whose input was above 0 at no token of the probe texts",
    "Some look dead on so short a text by chance; a rise over training is units that were lost.",
    "lower",
)
STATS_SATURATED_SHARE = _declare(
    "stats/saturated_share",
    "fraction",
    "share of a layer's MLP units whose input was above 0 at every token of the probe texts",
    "Units that no longer choose and are all but linear.",
    "lower",
)
STATS_UPDATE_RATIO = _declare(
    "stats/update_ratio",
    "fraction",
    "L2 norm of one update of a layer's matrices / L2 norm of these matrices",
    "How far one step moves a layer. At the peak of the learning rate 0.01 to 0.03 is usual for models of "
    "some million parameters, 1e-3 for large ones; far above is unstable, far below learns nothing.",
)
STATS_GRAD_NORM = _declare(
    "stats/grad_norm",
    "nats per token per unit of weight",
    "L2 norm of the gradients of a layer's matrices, before clipping",
    "Layers within a factor of some ten of each other are healthy; a first layer far below the last has a "
    "vanishing gradient.",
)
STATS_WEIGHT_NORM = _declare(
    "stats/weight_norm",
    "1",
    "L2 norm of a layer's matrices",
    "Grows as long as learning rate outweighs weight decay.",
)
STATS_LONGEST_COPY = _declare(
    "stats/longest_copy",
    "tokens",
    "longest run of tokens in the samples that also stands in the training text, verbatim",
    "Sentences of a corpus coming back whole are memorised; a few words in a row are language.",
)
STATS_GRADIENT_NOISE = _declare(
    "stats/gradient_noise",
    "squared gradient × tokens",
    "S = (|G_small|² - |G_big|²) / (1/small - 1/big), of micro-batches and whole steps, running mean",
    "The variance of one token's gradient (McCandlish et al. 2018); needs accumulation.",
)
STATS_GRADIENT_SIGNAL = _declare(
    "stats/gradient_signal",
    "squared gradient",
    "|G|² = (big·|G_big|² - small·|G_small|²) / (big - small), running mean",
    "The squared length of the true gradient, the noise taken off.",
)
STATS_CRITICAL_BATCH = _declare(
    "stats/critical_batch",
    "tokens",
    "stats/gradient_noise / stats/gradient_signal",
    "Tokens a step from which on a larger batch hardly saves steps; grows as the loss falls. "
    "Far fewer a step: a larger batch is nearly free.",
)
AUDIT_SEES_FUTURE = _declare(
    "audit/sees_future",
    "spreads of the logits",
    "largest change of a logit when only tokens after its position change / standard deviation of the logits",
    "0 behind a causal mask. Anything else: the model reads the answer, and its loss means nothing.",
    "lower",
)
AUDIT_NEXT_TARGETS = _declare(
    "audit/next_targets",
    "fraction",
    "share of a step's counted targets that are the token after theirs",
    "1. Anything else: the labels are shifted, and the model learns to predict something else.",
    "higher",
)
AUDIT_SAME_TARGETS = _declare(
    "audit/same_targets",
    "fraction",
    "share of a step's counted targets that are the very token they stand at",
    "As rare as a doubled letter. Near 1: the labels were never shifted, and the task is to repeat the input.",
)
AUDIT_CONSECUTIVE = _declare(
    "audit/consecutive",
    "fraction",
    "share of a step's neighbouring sequences of which the second begins where the first ends",
    "As rare as chance in a shuffled text. Near 1: sequences come in the order of the text.",
    "lower",
)
AUDIT_VAL_IN_TRAIN = _declare(
    "audit/val_in_train",
    "fraction",
    "share of 32 validation stretches (up to 64 tokens) that also stand in the training text, verbatim",
    "Some in texts that repeat themselves (licences, boilerplate). Most: validation measures memory.",
    "lower",
)
AUDIT_UNSEEN_ROWS = _declare(
    "audit/unseen_rows",
    "fraction",
    "share of the vocabulary's ids that never occur in the training text (its first 10 million tokens)",
    "Their embedding rows learn nothing; many of them in a large vocabulary are weights wasted.",
    "lower",
)
AUDIT_TRAINING_MODE = _declare(
    "audit/training_mode",
    "fraction",
    "share of the model's modules that are in training mode while it is validated",
    "0. Anything else: dropout is on, and val/loss is that of a damaged model.",
    "lower",
)


def of_layer(name: str, layer: int) -> str:
    """The name of a metric's value in one layer.

    >>> of_layer(STATS_ENTROPY, 0)
    'stats/entropy.layer0'
    """
    return of_part(name, f"layer{layer}")


def of_part(name: str, part: str) -> str:
    """The name of a metric's value in one part of the model, such as `embedding`."""
    return f"{name}.{part}"


def describe(name: str) -> Metric | None:
    """The declaration behind a logged name (`stats/entropy.layer0`: `stats/entropy`); None without one."""
    return METRICS.get(name) or METRICS.get(name.partition(".")[0])
