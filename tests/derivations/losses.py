"""Losses on training and validation text, from the network of `network`."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tests.derivations.network import nats
from tests.derivations.register import FP64, Pair, derives
from tests.derivations.tiny_run import TinyRun


def window_nats(run: TinyRun, step: int, windows: tuple[Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Nats and counted targets of each window, `[window]`."""
    tokens, targets = windows
    each = nats(run.weights(step), run.config, tokens, targets.clamp(min=0))
    counts = targets >= 0
    return (each * counts).sum(-1).numpy(), counts.sum(-1).numpy()


def target_bytes(run: TinyRun, targets: Tensor) -> int:
    """Bytes of the text of the targets that count."""
    return len("".join(run.alphabet[i] for i in targets[targets >= 0].tolist()).encode())


def in_bits_per_byte(run: TinyRun, metric: str, losses: dict[int, float], targets: Tensor) -> Iterator[Pair]:
    """`metric` beside the bits of all targets that count over the bytes of their text, from the loss at each step."""
    for step, shown in run[metric].items():
        bits = losses[step] * int((targets >= 0).sum()) / math.log(2)
        yield shown, bits / target_bytes(run, targets)


def standard_error(each: np.ndarray, counts: np.ndarray, of: float = math.inf) -> float:
    """Of Σ nats / Σ targets over windows drawn without replacement from `of` (Cochran 1977, §6.4 and §2.6)."""
    n, loss = len(each), each.sum() / counts.sum()
    deviations = (each - loss * counts) / counts.mean()
    return math.sqrt((deviations**2).sum() / (n - 1) / n * (1 - n / of))


@derives("train/loss")
def train_loss(run: TinyRun) -> Iterator[Pair]:
    """mean of -ln p(target) over the step's batch, by the snapshot before the update"""
    for step, shown in run["train/loss"].items():
        tokens, targets = (part.flatten(0, 1) for part in run.batch(step))
        yield shown, nats(run.weights(step), run.config, tokens, targets).mean()


@derives("val/loss")
def val_loss(run: TinyRun) -> Iterator[Pair]:
    """the held-out text in disjoint windows, each read from its start: Σ nats / Σ targets"""
    for step, shown in run["val/loss"].items():
        each, counts = window_nats(run, step, run.windows)
        assert counts.sum() == len(run.split["val"]) - 1, "each held-out token but the first is predicted once"
        yield shown, each.sum() / counts.sum()


@derives("val/loss_error")
def val_loss_error(run: TinyRun) -> Iterator[Pair]:
    """the standard error of a ratio of sums, from the windows' residuals"""
    for step, shown in run["val/loss_error"].items():
        yield shown, standard_error(*window_nats(run, step, run.windows))


@derives("val/perplexity", within=FP64)
def perplexity(run: TinyRun) -> Iterator[Pair]:
    """e to the loss that is shown beside it"""
    for step, shown in run["val/perplexity"].items():
        yield shown, math.e ** run["val/loss"][step]


@derives("val/bits_per_byte", within=FP64)
def bits_per_byte(run: TinyRun) -> Iterator[Pair]:
    """bits of all targets over the bytes of their text in UTF-8"""
    return in_bits_per_byte(run, "val/bits_per_byte", run["val/loss"], run.windows[1])


@derives("val/subset_loss")
def subset_loss(run: TinyRun) -> Iterator[Pair]:
    """the same over the windows that looks read"""
    for step, shown in run["val/subset_loss"].items():
        each, counts = window_nats(run, step, run.subset)
        yield shown, each.sum() / counts.sum()


@derives("val/subset_loss_error")
def subset_loss_error(run: TinyRun) -> Iterator[Pair]:
    """spread of the windows' mean losses / √windows, less the share of the split that was read"""
    of = len(run.windows[0])
    for step, shown in run["val/subset_loss_error"].items():
        yield shown, standard_error(*window_nats(run, step, run.subset), of=of)


@derives("val/subset_bits_per_byte", within=FP64)
def subset_bits_per_byte(run: TinyRun) -> Iterator[Pair]:
    """bits of the subset's targets over the bytes of their text"""
    return in_bits_per_byte(run, "val/subset_bits_per_byte", run["val/subset_loss"], run.subset[1])


@derives("stats/probe_loss")
def reference_text_loss(run: TinyRun) -> Iterator[Pair]:
    """mean loss of the first three contexts of the held-out text, each read from its start"""
    texts = torch.from_numpy(run.split["val"][: 3 * 16]).view(3, 16)
    for step, shown in run["stats/probe_loss"].items():
        yield shown, nats(run.weights(step), run.config, texts[:, :-1], texts[:, 1:]).mean()


@derives("page/reproduction")
def reproduction(run: TinyRun) -> Iterator[Pair]:
    """the loss of the run's fixed text, one context of it"""
    answer, ids = run.ask("reproduction"), torch.tensor(run.data["probe"]["tokens"][:17])
    derived = nats(run.weights(answer["step"]), run.config, ids[None, :-1], ids[None, 1:]).mean()
    yield answer["computed"], derived
    yield answer["recorded"], derived
    yield answer["reproduces"], True
