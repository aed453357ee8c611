"""What is said of the data before a fit, and the beginning that its last words offer to go on from."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from lab.console.fit import data_line, opening_of, scoreboard


def data(text: str) -> SimpleNamespace:
    """Validation text whose tokens are characters."""
    return SimpleNamespace(
        tokenizer=SimpleNamespace(decode=lambda ids: "".join(map(chr, ids)), specials={"</s>": 1}),
        sequences=SimpleNamespace(val_stream=lambda n: np.array([ord(c) for c in text[:n]])),
        context_length=64,
    )


@pytest.mark.parametrize(
    ("text", "opening"),
    [
        ("?\n\nGREMIO:\nGood morrow, neighbour", "GREMIO:"),
        ("def size(config: GPTConfig) -> int:", "def size(config:"),
        ("\n\n.;.;.;\n!!", ".;.;.;"),
        ("\n\n\n", "\n\n\n"),
        ("\ufffdto be</s>Or not", "to"),
        ("\ufffdbe</s>Or not", "be"),
    ],
)
def test_the_first_words_are_words_where_there_are_any(text: str, opening: str) -> None:
    assert opening_of(data(text)) == opening


def test_what_is_held_out_and_validated_on_is_said() -> None:
    facts = {
        "corpus": {"name": "text", "separators": 39},
        "tokenizer": {"kind": "char"},
        "vocab_size": 20,
        "splits": {"train": {"tokens": 9000, "bytes": 9000}, "val": {"tokens": 1000, "bytes": 1000}},
        "validation": {"tokens": 256, "random_windows": 16},
    }
    said = data_line(facts)
    assert "held out: 10.0% of the text (1 kB of 10 kB), validated on 16 random windows, 256 tokens of it" in said
    assert "39 lines of <|endoftext|> separate its documents" in said
    facts["corpus"] = {"name": "text"}
    facts["validation"] = {"tokens": 999}
    assert data_line(facts).endswith("validated on 999 tokens of it")


def test_the_tick_is_for_xz_that_has_seen_the_training_text() -> None:
    losses = {"val/loss": 1.0, "val/bits_per_byte": 1.5}

    def row(baselines: dict[str, float], name: str) -> str:
        console = Console(width=100, record=True, file=io.StringIO())
        console.print(scoreboard(losses, {"nats_per_token": {}, "bits_per_byte": baselines}))
        return next(line for line in console.export_text().splitlines() if line.startswith(name))

    both = {"xz": 1.7, "xz_trained": 1.4}
    assert not set("✓✗") & set(row(both, "xz alone"))
    assert "✗" in row(both, "xz trained")
    assert "✓" in row({"xz": 1.7, "xz_trained": 1.6}, "xz trained")
    assert "n/a" in row({"xz": 1.7}, "xz trained")  # of a run of an earlier version
    assert not set("✓✗") & set(row({"xz": 1.7}, "xz trained"))
