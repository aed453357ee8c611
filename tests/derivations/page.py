"""The page's analyses of a text: predictions, attention, activations, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tests.derivations.inside import share_at
from tests.derivations.network import activations, nats, unembedded, unembedding
from tests.derivations.register import Pair, derives
from tests.derivations.tiny_run import BATCH, CONTEXT, STEPS, TOKENS_PER_STEP, TinyRun

Found = dict[str, Tensor]
STREAM = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")


@cache
def of_text(run: TinyRun) -> Found:
    """All activations of the text that is asked about, by the last weights."""
    return activations(run.weights(STEPS), run.config, run.tokens)


def layers(run: TinyRun) -> range:
    """Of the model."""
    return range(run.config["n_layers"])


def stacked(run: TinyRun, site: str) -> Tensor:
    """A site of all layers, `[layer, batch, …]`."""
    return torch.stack([of_text(run)[f"blocks.{layer}.{site}"] for layer in layers(run)])


def label(run: TinyRun, token: Any) -> str:
    """How a character is shown."""
    return {" ": "·", "\n": "⏎"}.get(run.alphabet[int(token)], run.alphabet[int(token)])


def place(logits: Tensor, targets: Tensor) -> np.ndarray:
    """1 + how many tokens are likelier, by sorting."""
    order = logits.argsort(-1, descending=True)
    return (order == targets.unsqueeze(-1)).int().argmax(-1).numpy() + 1


@derives("page/predictions")
def predictions(run: TinyRun) -> Iterator[Pair]:
    """log-softmax of the logits: losses, ranks, best guesses; the lens by unembedding each layer's stream"""
    shown, found, tokens = run.ask("predictions"), of_text(run), run.tokens[0]
    logs = found["logits"][0].log_softmax(-1)
    loss = -logs[range(len(tokens) - 1), tokens[1:]]
    best = logs.topk(10)
    yield shown["uniform_loss"], math.log(len(run.alphabet))
    yield shown["mean_loss"], loss.mean()
    yield shown["loss"], loss
    yield shown["probability"], (-loss).exp()
    yield shown["rank"], place(logs[:-1], tokens[1:])
    yield shown["top_probabilities"], best.values.exp()
    assert shown["top_tokens"] == [[label(run, i) for i in row] for row in best.indices]
    lens = shown["lens"]
    streams = [*stacked(run, "resid_pre")[:, 0], found[f"blocks.{len(layers(run)) - 1}.resid_post"][0]]
    for row, stream in enumerate(streams):
        early = unembedded(run.weights(STEPS), run.config, stream).log_softmax(-1)
        yield lens["top_probabilities"][row], early.topk(5).values.exp()
        yield lens["target_loss"][row], -early[range(len(tokens) - 1), tokens[1:]]
        yield lens["target_rank"][row], place(early[:-1], tokens[1:])
        yield (
            lens["kl_to_final"][row],
            torch.nn.functional.kl_div(early, logs, log_target=True, reduction="none").sum(-1),
        )


@derives("page/predictions")
def attribution(run: TinyRun) -> Iterator[Pair]:
    """each part of the stream through the frozen final norm, on the unembedding less its mean over the vocabulary"""
    shown, found = run.ask("predictions")["attribution"], of_text(run)
    if run.config["norm_position"] == "post":
        yield shown is None, True
        return
    weights, config = run.weights(STEPS), run.config
    stream = found[f"blocks.{len(layers(run)) - 1}.resid_post"][0]
    kind, gain = config["norm"], weights["ln_final.weight"]
    less = stream.mean(-1, keepdim=True) if kind == "layernorm" else torch.zeros_like(stream[:, :1])
    size = ((stream - less).pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
    rows = unembedding(weights, config)[: config["vocab_size"]]
    targets = found["logits"][0].argmax(-1)
    wanted = (rows - rows.mean(0))[targets]

    def seen(part: Tensor) -> Tensor:
        part = part - part.mean(-1, keepdim=True) if kind == "layernorm" else part
        return ((part / size * gain) * wanted).sum(-1)

    parts = {"embed": seen(found["embed"][0])}
    if config["positions"] == "learned":
        parts["pos_embed"] = seen(found["pos_embed"][0])
    for layer in layers(run):
        out = weights[f"blocks.{layer}.attn.out.weight"].unflatten(1, (config["n_heads"], -1))
        for head in range(config["n_heads"]):
            parts[f"L{layer}H{head}"] = seen(found[f"blocks.{layer}.attn.z"][0, :, head] @ out[:, head].T)
        if config["bias"]:
            parts[f"{layer}_attn_bias"] = seen(weights[f"blocks.{layer}.attn.out.bias"].expand_as(stream))
        parts[f"{layer}_mlp_out"] = seen(found[f"blocks.{layer}.mlp_out"][0])
    if config["bias"] and kind == "layernorm":
        parts["ln_final_bias"] = wanted @ weights["ln_final.bias"]
    assert set(shown["parts"]) == set(parts)
    for name, values in zip(shown["parts"], shown["values"], strict=True):
        yield values, parts[name]
    yield shown["logits"], sum(parts.values())


@derives("page/next_token")
def next_token(run: TinyRun) -> Iterator[Pair]:
    """the logits after the fifth token, sorted"""
    shown, logits = run.ask("next_token", position=4), of_text(run)["logits"][0, 4]
    yield shown["logits"], logits.sort(descending=True).values
    assert shown["ids"] == logits.argsort(descending=True).tolist()


@derives("page/attention")
def attention(run: TinyRun) -> Iterator[Pair]:
    """softmax of the masked scores; three scores on the text, three on random tokens written twice"""
    shown = run.ask("attention")
    yield shown["patterns"], stacked(run, "attn.pattern")[:, 0]
    scores = {score.name: score.values for score in shown["scores"]}
    pattern = stacked(run, "attn.pattern")[:, 0, :, 1:].numpy()
    n = pattern.shape[-1]
    bits = np.where(pattern > 0, -pattern * np.log2(np.where(pattern > 0, pattern, 1)), 0).sum(-1)
    yield scores["entropy"], (bits / np.log2(np.arange(2, n + 1))).mean(-1)
    yield scores["first token"], pattern[..., 0].mean(-1)
    back = np.arange(1, n)[:, None] - np.arange(n)
    yield scores["distance"], (pattern * back).sum(-1).mean(-1)
    for name, distance in (("previous token", 1), ("duplicate token", 8), ("induction", 7)):
        derived = _on_repeats(run, distance, shown["period"])
        yield scores[name], derived


@cache
def _repeats(run: TinyRun) -> dict[str, np.ndarray]:
    """Random tokens written twice, drawn as the page draws them: eight permutations by PyTorch's generator, seed 0."""
    generator = torch.Generator().manual_seed(0)
    vocabulary, period = run.config["vocab_size"], CONTEXT // 2
    block = torch.stack([torch.randperm(vocabulary, generator=generator)[:period] for _ in range(8)])
    found = activations(run.weights(STEPS), run.config, torch.cat([block, block], 1))
    return {name: x.numpy() for name, x in found.items()}


def _on_repeats(run: TinyRun, distance: int, period: int) -> np.ndarray:
    return np.stack([share_at(_repeats(run), f"blocks.{layer}.", distance, period) for layer in layers(run)])


@derives("page/attention_row")
def attention_row(run: TinyRun) -> Iterator[Pair]:
    """q·k with each key after norm and rotation, over √d_head; masked, exponentiated, divided by the sum"""
    layer, head, query = 1, run.config["n_heads"] - 1, 9
    shown, found = run.ask("attention_row", layer=layer, head=head, query=query), of_text(run)
    masked = found[f"blocks.{layer}.attn.attn_scores"][0, head, query]
    width = run.config["d_model"] // run.config["n_heads"]
    yield shown["scores"][: query + 1], masked[: query + 1]
    yield shown["dot_products"][: query + 1], masked[: query + 1] * math.sqrt(width)
    powers = (masked - masked.max()).exp()
    yield shown["exponentials"], powers
    yield shown["total"], powers.sum()
    yield shown["pattern"], powers / powers.sum()


@derives("page/activations")
def activation_view(run: TinyRun) -> Iterator[Pair]:
    """norms and cosines of the stream and its branches, each head's own share, counts by np.histogram"""
    shown, weights = run.ask("activations"), run.weights(STEPS)
    streams = {site: stacked(run, site)[:, 0] for site in STREAM}
    assert shown["quantities"] == list(STREAM)
    yield shown["norms"], torch.stack([streams[site].norm(dim=-1) for site in STREAM])
    cosines = []
    for branch, into in (("attn_out", "resid_pre"), ("mlp_out", "resid_mid")):
        a, b = streams[branch], streams[into]
        cosines.append((a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1)))
    yield shown["cosines"], torch.stack(cosines)
    for layer in layers(run):
        out = weights[f"blocks.{layer}.attn.out.weight"].unflatten(1, (run.config["n_heads"], -1))
        z = of_text(run)[f"blocks.{layer}.attn.z"][0]
        yield shown["head_norms"][layer], torch.stack([(z[:, h] @ out[:, h].T).norm(dim=-1) for h in range(z.shape[1])])
        units = of_text(run)[f"blocks.{layer}.mlp.pre"][0]
        yield shown["dead_share"][layer], (units.amax(0) <= 0).double().mean()
        yield shown["saturated_share"][layer], (units.amin(0) > 0).double().mean()
    for i, site in enumerate(shown["sites"]):
        values = of_text(run)[site.replace("hook_", "")].float().numpy()
        edges = np.concatenate([[-np.inf], shown["edges"], [np.inf]])
        counted = np.histogram(values, edges)[0]
        moved = np.abs(np.cumsum(shown["counts"][i] - counted)).max()
        yield max(0, moved - 1), 0  # a number that lies on an edge to the last bit may fall on either side
        yield shown["minimum"][i], values.min()
        yield shown["maximum"][i], values.max()


@derives("page/neuron")
def neuron(run: TinyRun) -> Iterator[Pair]:
    """one unit after its activation function at each token, and the layer's strongest"""
    shown, units = run.ask("neuron", layer=1, unit=3), of_text(run)["blocks.1.mlp.post"][0]
    yield shown["activation"], units[:, 3]
    yield shown["strongest_values"], units.amax(0).sort(descending=True).values[:12]


@derives("page/neuron_examples")
def neuron_examples(run: TinyRun) -> Iterator[Pair]:
    """the same unit over the validation slice, its values sorted"""
    shown = run.ask("neuron_examples", layer=0, unit=5)
    found = activations(run.weights(STEPS), run.config, run.pieces)
    values = found["blocks.0.mlp.post"][..., 5].flatten()
    yield shown["n_tokens"], values.numel()
    yield shown["on_rate"], (found["blocks.0.mlp.pre"][..., 5] > 0).double().mean()
    yield [example["value"] for example in shown["examples"]], values.sort(descending=True).values[:20]


@derives("page/position_loss")
def position_loss(run: TinyRun) -> Iterator[Pair]:
    """mean over the validation slice's contexts at each position, with std / √contexts"""
    shown, pieces = run.ask("position_loss"), run.pieces
    losses = nats(run.weights(STEPS), run.config, pieces[:, :-1], pieces[:, 1:]).numpy()
    yield shown["loss"], losses.mean(0)
    yield shown["error"], np.sqrt(losses.var(0, ddof=1) / len(losses))
    yield shown["pieces"], len(losses)
    quarter = losses.shape[1] // 4
    yield shown["in_context"], losses[:, -quarter:].mean() - losses[:, :quarter].mean()


@derives("page/batch")
def batch(run: TinyRun) -> Iterator[Pair]:
    """the loss at each target of the batch, by the snapshot before its update"""
    step = 7
    shown = run.ask("batch", batch=step)
    tokens, targets = (x.flatten(0, 1) for x in run.batch(step))
    losses = nats(run.weights(step), run.config, tokens, targets)
    yield shown["step"], step
    yield shown["mean_loss"], losses.mean()
    yield shown["recorded_loss"], losses.mean()
    yield shown["uniform_loss"], math.log(len(run.alphabet))
    yield shown["n_sequences"], TOKENS_PER_STEP // CONTEXT
    trained = "".join(run.alphabet[i] for i in run.split["train"])
    for i, sequence in enumerate(shown["sequences"]):
        yield sequence["loss"], losses[i]
        yield sequence["mean_loss"], losses[i].mean()
        yield sequence["micro_batch"], i // BATCH
        assert "".join(run.alphabet[j] for j in sequence["ids"]) in trained


@derives("page/time")
def through_time(run: TinyRun) -> Iterator[Pair]:
    """losses, patterns and scores of every snapshot, opened one by one; a token is learned where half is gained"""
    start, *frames, end = list(run.ask("time", compute=True))
    steps, losses = [frame["step"] for frame in frames], []
    assert start["steps"] == steps == list(range(STEPS + 1))
    for frame in frames:
        found = activations(run.weights(frame["step"]), run.config, run.tokens)
        logs = found["logits"][0].log_softmax(-1)
        losses.append(-logs[range(run.tokens.shape[1] - 1), run.tokens[0, 1:]])
        yield frame["token_loss"], losses[-1]
        for layer in layers(run):
            shown = (frame["patterns"][layer].astype(float) / 255) ** 2
            root = found[f"blocks.{layer}.attn.pattern"][0].sqrt()
            yield np.maximum(0, np.abs(np.sqrt(shown) - root.numpy()) - 0.501 / 255), np.zeros_like(shown)
    curves = torch.stack(losses).numpy()
    derived = []
    for column in curves.T:
        half, fell = (column[0] + column.min()) / 2, column[0] - column.min() >= 0.5
        after = [step for step in steps if (column[step:] <= half).all()]
        derived.append(after[0] if fell and after else -1)
    yield [-1 if step is None else step for step in end["learned"]], derived


@derives("page/overlay", within=1e-9)
def overlay(run: TinyRun) -> Iterator[Pair]:
    """a metric's rows of the log, its minutes of training, and the weights counted"""
    shown = run.ask("overlay", runs=[run.path.name], metric="val/subset_loss")["runs"][0]
    curve, logged = shown["curve"], run["val/subset_loss"]
    yield curve.value, list(logged.values())
    yield curve.tokens, np.array(list(logged)) * TOKENS_PER_STEP
    times = {row["step"]: row["time"] for row in run.rows}  # of a step's lines the last
    yield curve.minutes, np.array([times[step] for step in logged]) / 60
    yield shown["parameters"], sum(weight.numel() for weight in run.weights(0).values())
    yield shown["flops_per_token"], training_flops(run)


def training_flops(run: TinyRun) -> float:
    """Of one token: what PyTorch's counter sees in a forward and a backward pass over one context, divided by it."""
    weights = {name: w.clone().requires_grad_() for name, w in run.weights(0).items()}
    tokens = run.pieces[:1]
    with FlopCounterMode(display=False) as counted:
        nats(weights, run.config, tokens, tokens).sum().backward()
    return counted.get_total_flops() / tokens.numel()
