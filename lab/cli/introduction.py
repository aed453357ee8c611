"""The first words of a fit: what is about to happen, in a few lines."""

from __future__ import annotations

import os
from typing import Any

from rich.table import Table
from rich.text import Text

from lab.model import GPTConfig, count_parameters, flops_per_token
from lab.runs import Run


def introduction(run: Run, rows: dict[str, str]) -> Table:
    """A table of a few named lines, the run's folder first."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold")
    for name, text in {"run": str(run.path), **rows}.items():
        table.add_row(name, Text(text))
    return table


def model_line(config: GPTConfig) -> str:
    """The model in one line: shape, size, cost."""
    shape = f"{config.n_layers} layers, {config.n_heads} heads, {config.d_model} wide, context {config.context_length}"
    total, flops = count_parameters(config)["total"], float(flops_per_token(config))
    size = f"{total / 1e6:.2f}M" if total >= 1e5 else f"{total:,}"
    return f"{shape}: {size} parameters, {flops / 1e6:.2f} MFLOP a token"


def data_line(facts: dict[str, Any]) -> str:
    """The data in one line: corpus, vocabulary, how much of it."""
    train = facts["splits"].get("train", {}).get("tokens")
    amount = f"{train:,} tokens to learn from" if train else "made as it is read, without end"
    return (
        f"{facts['corpus']['name']}, {facts['tokenizer']['kind']} tokenizer of {facts['vocab_size']:,}:"
        f" {amount}, {facts['validation']['tokens']:,} held out"
    )


def epochs_clause(epochs: float | None) -> str:
    """How often the run reads its text: many passes over a small one are how a model learns it by heart."""
    return "" if epochs is None else f": {epochs:.2g} passes over the text"


def root_flag(settings: Any) -> str:
    """` --run.root DIR` where it is not the default."""
    return "" if settings.run.root == "runs" else f" --run.root {os.fspath(settings.run.root)}"
