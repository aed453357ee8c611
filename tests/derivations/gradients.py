"""Gradients, updates and what follows from them: autograd through the network of `network`, and `torch.optim`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor

from tests.derivations.network import nats
from tests.derivations.register import Pair, derives
from tests.derivations.tiny_run import FIT, TinyRun

BETAS, DECAY, EPS = (0.9, 0.95), 0.1, 1e-8  # AdamW's; of matrices alone weights decay
CLIP = FIT["model.optimizer.clip"]


@cache
def gradients(run: TinyRun, step: int, micro_batch: int | None = None) -> dict[str, Tensor]:
    """Of the mean loss over a step's targets, or over one micro-batch's, by the weights before the update."""
    weights = {name: w.clone().requires_grad_() for name, w in run.weights(step).items()}
    part = slice(None) if micro_batch is None else slice(micro_batch, micro_batch + 1)
    tokens, targets = (x[part].flatten(0, 1) for x in run.batch(step))
    nats(weights, run.config, tokens, targets).mean().backward()
    return {name: torch.zeros_like(w) if w.grad is None else w.grad for name, w in weights.items()}


def length(tensors: list[Tensor]) -> float:
    """The L2 norm of all their numbers together."""
    return float(torch.cat([t.flatten() for t in tensors]).norm())


def places(run: TinyRun) -> dict[str, list[str]]:
    """Names of the matrices of each layer, and of the embeddings and the head."""
    found: dict[str, list[str]] = {}
    for name, weight in run.weights(0).items():
        if weight.ndim > 1:
            place = f"layer{name.split('.')[1]}" if name.startswith("blocks.") else "embedding"
            found.setdefault(place, []).append(name)
    return found


@derives("train/grad_norm")
def grad_norm(run: TinyRun) -> Iterator[Pair]:
    """length of the gradient of the mean loss over all weights"""
    for step, shown in run["train/grad_norm"].items():
        yield shown, length(list(gradients(run, step).values()))


@derives("train/clipped")
def clipped(run: TinyRun) -> Iterator[Pair]:
    """1 where that length is above the threshold, a line a step"""
    shown = run["train/clipped"]
    derived = {step: float(length(list(gradients(run, step).values())) > CLIP) for step in shown}
    assert len(set(derived.values())) == 2, "some steps are clipped and some are not"
    yield list(shown.values()), list(derived.values())


@derives("train/lr", within=1e-5)
def learning_rate(run: TinyRun) -> Iterator[Pair]:
    """what torch.optim.AdamW must be given to move the matrices as far as they were moved"""
    names = [name for some in places(run).values() for name in some]
    steps = sorted(run["train/lr"])
    assert steps == list(range(len(steps)))
    weights = {name: torch.zeros_like(run.weights(0)[name], requires_grad=True) for name in names}
    optimizer = torch.optim.AdamW(list(weights.values()), lr=1.0, betas=BETAS, weight_decay=DECAY, eps=EPS)
    for step in steps:
        found = gradients(run, step)
        norm = length(list(found.values()))
        before, after = run.weights(step), run.weights(step + 1)
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(before[name])
                weight.grad = found[name] * min(1.0, CLIP / (norm + 1e-6))
        optimizer.step()
        moved, unit = ([], [])
        for name, weight in weights.items():
            moved.append((after[name] - before[name]).flatten())
            unit.append((weight.detach() - before[name]).flatten())
        ratio = torch.cat(moved) / torch.cat(unit)
        yield run["train/lr"][step], ratio[ratio.isfinite()].median()


@derives("train/lr", within=1e-9)
def schedule(run: TinyRun) -> Iterator[Pair]:
    """a linear rise over a twentieth of the run, from above 0; then half a cosine down to a tenth"""
    steps, total, warmup = np.array(sorted(run["train/lr"])), 12, 1
    progress = (steps - warmup) / (total - warmup)
    falling = 0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * progress))
    rate = FIT["model.optimizer.lr"] * np.where(steps < warmup, (steps + 1) / (warmup + 1), falling)
    yield [run["train/lr"][step] for step in steps], rate


@derives("train/loss_scale", within=0, only=("gpt2",))
def loss_scale(run: TinyRun) -> Iterator[Pair]:
    """65,536, halved by each overflow and doubled by three steps without, by PyTorch's GradScaler"""
    overflows = [False, True, True, False, False, False, False, True]
    yield run.loss_scales(overflows), [2.0**n for n in (16, 15, 14, 14, 14, 15, 15, 14)]


@derives("stats/grad_norm")
def layer_gradients(run: TinyRun) -> Iterator[Pair]:
    """length of the gradient of a layer's matrices, before clipping"""
    for place, names in places(run).items():
        for step, shown in run[f"stats/grad_norm.{place}"].items():
            found = gradients(run, step - 1)  # logged with the step that the update made
            yield shown, length([found[name] for name in names])


@derives("stats/weight_norm")
def weight_norm(run: TinyRun) -> Iterator[Pair]:
    """length of a layer's matrices in the snapshot"""
    for place, names in places(run).items():
        for step, shown in run[f"stats/weight_norm.{place}"].items():
            yield shown, length([run.weights(step)[name] for name in names])


@derives("stats/update_ratio")
def update_ratio(run: TinyRun) -> Iterator[Pair]:
    """length of the difference of two neighbouring snapshots over that of the later one"""
    for place, names in places(run).items():
        for step, shown in run[f"stats/update_ratio.{place}"].items():
            before, after = run.weights(step - 1), run.weights(step)
            yield shown, length([after[n] - before[n] for n in names]) / length([after[n] for n in names])


def noise_and_signal(run: TinyRun, step: int) -> tuple[float, float]:
    """The two unknowns of E|G_b|² = |G|² + S/b, from the micro-batches and the whole step."""
    tokens, _ = run.batch(step)
    small, big = tokens[0].numel(), tokens.numel()
    of_small = np.mean([length(list(gradients(run, step, i).values())) ** 2 for i in range(len(tokens))])
    of_big = length(list(gradients(run, step).values())) ** 2
    noise, signal = np.linalg.solve([[1 / small, 1], [1 / big, 1]], [of_small, of_big])
    return float(noise), float(signal)


@derives("stats/gradient_noise", "stats/gradient_signal")
def gradient_noise(run: TinyRun) -> Iterator[Pair]:
    """E|G_b|² = |G|² + S/b solved for S and |G|² at the first measurement, which no other is averaged with"""
    step = min(run["stats/gradient_noise"])
    noise, signal = noise_and_signal(run, step - 1)
    yield run["stats/gradient_noise"][step], noise
    yield run["stats/gradient_signal"][step], signal


@derives("stats/critical_batch")
def critical_batch(run: TinyRun) -> Iterator[Pair]:
    """the ratio of the two that are shown beside it"""
    for step, shown in run["stats/critical_batch"].items():
        yield shown, run["stats/gradient_noise"][step] / run["stats/gradient_signal"][step]


@derives("page/norms", within=1e-6)
def page_norms(run: TinyRun) -> Iterator[Pair]:
    """the three norms of each layer as the log has them, NaN where it has none"""
    answer = run.ask("norms")
    for measure in answer["measures"]:
        for i, place in enumerate(answer["places"]):
            logged = run[f"{measure['name']}.{place}"]
            yield measure["values"][i], [logged.get(step, np.nan) for step in answer["steps"]]
