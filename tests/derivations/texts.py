"""What is said of the text and the batches, by counting."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import torch

from tests.derivations.network import activations
from tests.derivations.register import Pair, derives
from tests.derivations.tiny_run import CONTEXT, TinyRun


@derives("stats/longest_copy", within=0)
def longest_copy(run: TinyRun) -> Iterator[Pair]:
    """the longest stretch of a sample that `in` finds in the training text"""
    trained = "".join(run.alphabet[i] for i in run.split["train"])
    lines = [json.loads(line) for line in (run.path / "samples.jsonl").read_text().splitlines()]
    for step, shown in run["stats/longest_copy"].items():
        samples = [line["text"] for line in lines if line["step"] == step]
        yield (
            shown,
            max(len(s[a:b]) for s in samples for a in range(len(s)) for b in range(a, len(s) + 1) if s[a:b] in trained),
        )


@derives("audit/sees_future", within=1e-6)
def sees_future(run: TinyRun) -> Iterator[Pair]:
    """largest change of the first half's logits when each later token becomes the next id"""
    text = torch.from_numpy(run.split["val"][:CONTEXT])[None]
    other = text.clone()
    other[:, CONTEXT // 2 :] = (other[:, CONTEXT // 2 :] + 1) % run.config["vocab_size"]
    for step, shown in run["audit/sees_future"].items():
        a, b = (activations(run.weights(step), run.config, x)["logits"][0] for x in (text, other))
        yield shown, (a - b)[: CONTEXT // 2].abs().max() / a.std()


@derives("audit/next_targets", "audit/same_targets", "audit/consecutive", within=1e-9)
def batches(run: TinyRun) -> Iterator[Pair]:
    """counted target by target and sequence by sequence"""
    for step in run["audit/next_targets"]:
        tokens, targets = (x.flatten(0, 1).tolist() for x in run.batch(step - 1))
        places = [(row, i) for row in range(len(tokens)) for i in range(CONTEXT - 1)]
        follow = [targets[row][i] == tokens[row][i + 1] for row, i in places]
        same = [targets[row][i] == tokens[row][i] for row, i in places]
        joined = [a[-1] == b[0] for a, b in zip(targets, tokens[1:], strict=False)]
        yield run["audit/next_targets"][step], np.mean(follow)
        yield run["audit/same_targets"][step], np.mean(same)
        yield run["audit/consecutive"][step], np.mean(joined)


@derives("audit/val_in_train", within=1e-9)
def held_out_text_in_training_text(run: TinyRun) -> Iterator[Pair]:
    """32 windows, evenly spread over the held-out ones, looked for as text"""
    tokens, targets = run.windows
    at = [int(i) for i in np.linspace(0, len(tokens) - 1, 32)]
    trained = "".join(run.alphabet[i] for i in run.split["train"])
    stretches = ["".join(run.alphabet[i] for i in tokens[row][targets[row] >= 0].tolist()) for row in at]
    for shown in run["audit/val_in_train"].values():
        yield shown, np.mean([stretch in trained for stretch in stretches])


@derives("audit/unseen_rows", within=1e-9)
def unseen_rows(run: TinyRun) -> Iterator[Pair]:
    """ids of the vocabulary that a set of the training text's lacks"""
    vocabulary = run.data["vocab_size"]
    for shown in run["audit/unseen_rows"].values():
        yield shown, len(set(range(vocabulary)) - set(run.split["train"].tolist())) / vocabulary


@derives("audit/training_mode", within=0)
def training_mode(run: TinyRun) -> Iterator[Pair]:
    """0: with dropout at work validation would not give val/loss, which is derived without"""
    for shown in run["audit/training_mode"].values():
        yield shown, 0.0
