"""What the instruments log of the inside of a model, from the network of `network`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor

from tests.derivations.network import activations
from tests.derivations.register import Pair, derives
from tests.derivations.tiny_run import CONTEXT, TinyRun

PERIOD = CONTEXT // 2


@cache
def of_texts(run: TinyRun, step: int) -> dict[str, np.ndarray]:
    """Activations of the first three contexts of the held-out text."""
    texts = torch.from_numpy(run.split["val"][: 3 * CONTEXT]).view(3, CONTEXT)
    return {name: x.numpy() for name, x in activations(run.weights(step), run.config, texts).items()}


def repeated(run: TinyRun, step: int) -> Tensor:
    """The random tokens that a bundle was made of: each block comes twice, no token twice in a block."""
    with np.load(run.path / "probes" / f"step-{step:08d}.npz") as bundle:
        ids, period = bundle["repeated_ids"].astype(np.int64), int(bundle["period"])
    assert period == PERIOD
    np.testing.assert_array_equal(ids[:, :PERIOD], ids[:, PERIOD:])
    assert all(len(set(row[:PERIOD])) == PERIOD for row in ids)
    return torch.from_numpy(ids)


@cache
def of_repeats(run: TinyRun, step: int) -> dict[str, np.ndarray]:
    """Activations of the repeated random tokens."""
    found = activations(run.weights(step), run.config, repeated(run, step))
    return {name: x.numpy() for name, x in found.items()}


def by_layer(
    run: TinyRun, metric: str, derived: Callable[[dict[str, np.ndarray], str], float], repeats: bool = False
) -> Iterator[Pair]:
    """The values of each layer over all steps, beside those that `derived(activations, at)` gives."""
    read = of_repeats if repeats else of_texts
    for layer in range(run.config["n_layers"]):
        for step, shown in run[f"{metric}.layer{layer}"].items():
            yield shown, derived(read(run, step), f"blocks.{layer}.")


def share_at(found: dict[str, np.ndarray], at: str, distance: int, first: int) -> np.ndarray:
    """Mean attention of the queries from `first` on to the key `distance` before, `[head]`."""
    pattern = found[f"{at}attn.pattern"]
    shares = [pattern[:, :, query, query - distance] for query in range(first, pattern.shape[-1])]
    return np.stack(shares, -1).mean((0, 2))


def heads_on_repeats(run: TinyRun, metric: str, distance: int) -> Iterator[Pair]:
    """The largest head of each layer, and of all where no layer is named."""

    def largest(found: dict[str, np.ndarray], at: str) -> float:
        return float(share_at(found, at, distance, PERIOD).max())

    yield from by_layer(run, metric, largest, repeats=True)
    for step, shown in run[metric].items():
        found = of_repeats(run, step)
        yield shown, max(largest(found, f"blocks.{layer}.") for layer in range(run.config["n_layers"]))


@derives("stats/entropy")
def entropy(run: TinyRun) -> Iterator[Pair]:
    """1 - KL(row ‖ even) / ln(keys), mean over heads and all queries but the first"""

    def derived(found: dict[str, np.ndarray], at: str) -> float:
        rows = found[f"{at}attn.pattern"]
        keys = range(2, rows.shape[-1] + 1)
        seen = [rows[:, :, n - 1, :n].clip(1e-300) for n in keys]
        spread = [1 - (p * np.log(p * n)).sum(-1) / np.log(n) for n, p in zip(keys, seen, strict=True)]
        return float(np.mean(spread))

    yield from by_layer(run, "stats/entropy", derived)


@derives("stats/first_token")
def first_token(run: TinyRun) -> Iterator[Pair]:
    """mean over heads and all queries but the first of the weight on key 0"""
    yield from by_layer(run, "stats/first_token", lambda x, at: float(x[f"{at}attn.pattern"][:, :, 1:, 0].mean()))


@derives("stats/attn_distance")
def distance(run: TinyRun) -> Iterator[Pair]:
    """Σ over keys of weight times (query - key), written as two loops"""

    def derived(found: dict[str, np.ndarray], at: str) -> float:
        rows = found[f"{at}attn.pattern"]
        n = rows.shape[-1]
        back = [sum(rows[:, :, q, k] * (q - k) for k in range(q + 1)) for q in range(1, n)]
        return float(np.mean(back))

    yield from by_layer(run, "stats/attn_distance", derived)


@derives("stats/attn_logit_max")
def largest_logit(run: TinyRun) -> Iterator[Pair]:
    """the largest q·k/√d_head at or below the diagonal"""

    def derived(found: dict[str, np.ndarray], at: str) -> float:
        scores = found[f"{at}attn.attn_scores"]
        seen = np.tril(np.ones(scores.shape[-2:], dtype=bool))
        return float(scores[:, :, seen].max())

    yield from by_layer(run, "stats/attn_logit_max", derived)


@derives("stats/previous_token")
def previous_token(run: TinyRun) -> Iterator[Pair]:
    """weight on the key before, queries of the repeats, the layer's largest head"""
    yield from heads_on_repeats(run, "stats/previous_token", 1)


@derives("stats/duplicate_token")
def duplicate_token(run: TinyRun) -> Iterator[Pair]:
    """weight on the key one period back, the layer's largest head"""
    yield from heads_on_repeats(run, "stats/duplicate_token", PERIOD)


@derives("stats/induction")
def induction(run: TinyRun) -> Iterator[Pair]:
    """weight on the key one period less one back, the layer's largest head"""
    yield from heads_on_repeats(run, "stats/induction", PERIOD - 1)


def losses_on_repeats(run: TinyRun, step: int) -> np.ndarray:
    """Mean loss of the token at each position but the first, `[pos-1]`."""
    tokens, logits = repeated(run, step), torch.from_numpy(of_repeats(run, step)["logits"])
    losses = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    return losses.mean(0).numpy()


@derives("stats/repeat_loss")
def repeat_loss(run: TinyRun) -> Iterator[Pair]:
    """mean loss of the second block's tokens but its first, which nothing announces"""
    for step, shown in run["stats/repeat_loss"].items():
        yield shown, losses_on_repeats(run, step)[PERIOD:].mean()


@derives("stats/induction_loss_gap")
def induction_gap(run: TinyRun) -> Iterator[Pair]:
    """the same of the first block, its first token aside, less that"""
    for step, shown in run["stats/induction_loss_gap"].items():
        losses = losses_on_repeats(run, step)
        yield shown, losses[: PERIOD - 1].mean() - losses[PERIOD:].mean()


def _norm(site: str) -> Callable[[dict[str, np.ndarray], str], float]:
    return lambda x, at: float(np.sqrt((x[f"{at}{site}"][:, 1:] ** 2).sum(-1)).mean())


@derives("stats/resid_norm", "stats/attn_out_norm", "stats/mlp_out_norm")
def norms(run: TinyRun) -> Iterator[Pair]:
    """root of the sum of squares at each position but the first, mean"""
    for metric, site in (("resid_norm", "resid_post"), ("attn_out_norm", "attn_out"), ("mlp_out_norm", "mlp_out")):
        yield from by_layer(run, f"stats/{metric}", _norm(site))


@derives("stats/dead_share", "stats/saturated_share", within=1e-9)
def silent_units(run: TinyRun) -> Iterator[Pair]:
    """units whose largest input over the texts is not above 0; whose least is"""

    def dead(found: dict[str, np.ndarray], at: str) -> float:
        return float((found[f"{at}mlp.pre"].max((0, 1)) <= 0).mean())

    def saturated(found: dict[str, np.ndarray], at: str) -> float:
        return float((found[f"{at}mlp.pre"].min((0, 1)) > 0).mean())

    yield from by_layer(run, "stats/dead_share", dead)
    yield from by_layer(run, "stats/saturated_share", saturated)
