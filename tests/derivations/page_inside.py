"""The page's analyses that take a model apart: its parts, its embeddings, what it does without some."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from tests.derivations.network import activations, nats
from tests.derivations.page import label, layers, of_text
from tests.derivations.register import Pair, derives
from tests.derivations.tiny_run import STEPS, TinyRun


def summary(x: Tensor) -> list[float]:
    """Mean, deviation, least and largest of the finite numbers."""
    finite = x[x.isfinite()]
    return [float(f) for f in (finite.mean(), finite.std(correction=0), finite.min(), finite.max())]


def told(numbers: object) -> list[float]:
    """The same of what the page says."""
    return [getattr(numbers, name) for name in ("mean", "std", "minimum", "maximum")]


@derives("page/anatomy")
def anatomy(run: TinyRun) -> Iterator[Pair]:
    """each part's activation by its name: statistics and norms; weights counted; the best guesses' softmax"""
    shown, found, weights = run.ask("anatomy"), of_text(run), run.weights(STEPS)
    for part in shown["parts"]:
        if part.numbers is None:
            continue
        name = part.site and part.site.replace("hook_", "")
        at = f"blocks.{part.layer}."
        sums = {"add1": ("resid_pre", "attn_out"), "add2": ("resid_mid", "mlp_out")}
        x = found[name] if name else sum(found[at + site] for site in sums[part.key])
        yield told(part.numbers), summary(x[0])
        yield part.numbers.norms, x[0].norm(dim=-1)
        yield part.n_parameters, sum(weights[name].numel() for name, _ in part.weights)
    yield shown["n_parameters"], sum(w.numel() for w in weights.values())
    best = found["logits"][0].topk(10)
    yield shown["top_logits"], best.values
    yield shown["top_probabilities"], found["logits"][0].softmax(-1).gather(-1, best.indices)


@derives("page/anatomy_part")
def anatomy_part(run: TinyRun) -> Iterator[Pair]:
    """each activation inside attention, the MLP, a norm and a sum by its name"""
    found, head = of_text(run), run.config["n_heads"] - 1
    heads, kv_heads = run.config["n_heads"], run.config["n_kv_heads"] or run.config["n_heads"]
    for part in ("embed", "ln1", "attn", "add1", "ln2", "mlp", "add2"):
        for step in run.ask("anatomy_part", part=part, layer=1, head=head)["steps"]:
            if step.site is None:
                continue
            x = found[step.site.replace("hook_", "")][0]
            if step.square:
                x = x[head]
            elif x.ndim == 3:
                x = x[:, head if x.shape[1] == heads else head * kv_heads // heads]
            yield told(step.numbers), summary(x)


@derives("page/embeddings")
def embeddings(run: TinyRun) -> Iterator[Pair]:
    """the first two right singular vectors of the centred embedding of the last weights, here for an earlier step"""
    last, vocabulary = run.weights(STEPS)["token_embedding.weight"], run.config["vocab_size"]
    last = last[:vocabulary]
    directions = torch.linalg.svd(last - last.mean(0)).Vh[:2]
    directions = directions * directions.gather(1, directions.abs().argmax(1, keepdim=True)).sign()
    for step in (STEPS, 4):
        shown = run.ask("embeddings", step=step)
        matrix = run.weights(step)["token_embedding.weight"][:vocabulary]
        points = (matrix - last.mean(0)) @ directions.T
        yield shown["points"], points
        yield shown["explained"], points.var(0) / matrix.var(0).sum()
        yield shown["extent"], ((last - last.mean(0)) @ directions.T).abs().max()
        ids = run.data["val_slice"]["tokens"]
        yield shown["counts"], [ids.count(i) for i in range(vocabulary)]


@derives("page/neighbours")
def neighbours(run: TinyRun) -> Iterator[Pair]:
    """cosines of all rows of the embedding with one, sorted"""
    shown = run.ask("neighbours", token=3)
    matrix = run.weights(STEPS)["token_embedding.weight"][: run.config["vocab_size"]]
    cosines = torch.nn.functional.cosine_similarity(matrix, matrix[3:4])
    order = [i for i in cosines.argsort(descending=True).tolist() if i != 3][:12]
    yield shown["cosines"], cosines[order]
    yield shown["ids"], order


@derives("page/piece", within=0)
def piece(run: TinyRun) -> Iterator[Pair]:
    """the place of a character in the sorted alphabet"""
    for character in ("t", "\n"):
        shown = run.ask("piece", text=character)
        yield shown["id"], run.alphabet.index(character)
        assert shown["token"] == label(run, shown["id"])


def loss(run: TinyRun, tokens: Tensor, edits: dict[str, Callable[[Tensor], Tensor]]) -> Tensor:
    """Mean loss of each text with some activations replaced."""
    logits = activations(run.weights(STEPS), run.config, tokens, edits)["logits"][:, :-1]
    return torch.nn.functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none").mean(-1)


def without(run: TinyRun, tokens: Tensor, means: dict[str, Tensor] | None) -> tuple[np.ndarray, np.ndarray]:
    """The rise of each text's loss without each head `[layer, head, text]` and each MLP `[layer, text]`."""
    whole, heads, mlps = loss(run, tokens, {}), [], []
    for layer in layers(run):
        z, mlp = f"blocks.{layer}.attn.z", f"blocks.{layer}.mlp_out"
        for head in range(run.config["n_heads"]):

            def replaced(x: Tensor, head: int = head, z: str = z) -> Tensor:
                x[:, :, head] = 0 if means is None else means[z][head]
                return x

            heads.append(loss(run, tokens, {z: replaced}) - whole)
        gone = torch.tensor(0.0, dtype=whole.dtype) if means is None else means[mlp]
        mlps.append(loss(run, tokens, {mlp: lambda x, gone=gone: gone.expand_as(x)}) - whole)
    return torch.stack(heads).unflatten(0, (-1, run.config["n_heads"])).numpy(), torch.stack(mlps).numpy()


@derives("page/ablation")
def ablation(run: TinyRun) -> Iterator[Pair]:
    """zeros, or the mean over the first half of the validation slice, in a part's place; paired error over pieces"""
    shown, half = run.ask("ablation"), len(run.pieces) // 2
    found = activations(run.weights(STEPS), run.config, run.pieces[:half])
    means = {name: x.mean((0, 1)) for name, x in found.items() if name.endswith(("attn.z", "mlp_out"))}
    yield shown["mean_over"], half * run.pieces.shape[1]
    yield shown["loss"], loss(run, run.tokens, {}).mean()
    for prefix, by in (("", means), ("zero_", None)):
        heads, mlps = without(run, run.tokens, by)
        yield shown[f"{prefix}heads"], heads[..., 0]
        yield shown[f"{prefix}mlps"], mlps[..., 0]
    rest = run.pieces[half : half + 16]
    over, (heads, mlps) = shown["validation"], without(run, rest, means)
    yield over.loss, nats(run.weights(STEPS), run.config, rest[:, :-1], rest[:, 1:]).mean()
    for name, each in (("head", heads), ("mlp", mlps)):
        yield getattr(over, f"{name}s"), each.mean(-1)
        yield getattr(over, f"{name}_errors"), each.std(-1, ddof=1) / np.sqrt(len(rest))


@derives("page/patching")
def patching(run: TinyRun) -> Iterator[Pair]:
    """one activation of the first text at a time in the run on the second: (patched - second) / (first - second)"""
    other = "a dog was asleep"
    shown = run.ask("patching", other=other, site="resid_mid")
    second = torch.tensor([run.ids(other)])
    clean, corrupt = (activations(run.weights(STEPS), run.config, x) for x in (run.tokens, second))
    ends = [x["logits"][0, -1] for x in (clean, corrupt)]
    answer, wrong = (int(end.argmax()) for end in ends)
    if answer == wrong:
        first, then = (end.log_softmax(-1) for end in ends)
        best = first.topk(5).indices
        answer, wrong = int(best[(first - then)[best].abs().argmax()]), -1

    def metric(logits: Tensor) -> Tensor:
        return logits.log_softmax(-1)[answer] if wrong < 0 else logits[answer] - logits[wrong]

    good, bad = (metric(end) for end in ends)
    yield [shown["clean"], shown["corrupt"]], [good, bad]
    derived = torch.zeros(len(layers(run)), second.shape[1])
    for layer in layers(run):
        site = f"blocks.{layer}.resid_mid"
        for position in range(second.shape[1]):

            def put(x: Tensor, site: str = site, position: int = position) -> Tensor:
                x[:, position] = clean[site][:, position]
                return x

            logits = activations(run.weights(STEPS), run.config, second, {site: put})["logits"]
            derived[layer, position] = (metric(logits[0, -1]) - bad) / (good - bad)
    yield shown["restored"], derived
