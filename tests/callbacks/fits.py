"""Short fits with all instruments, and what their tests ask of a run directory."""

from __future__ import annotations

from pathlib import Path

from lab.__main__ import main
from lab.callbacks.instruments import INSTRUMENTS
from lab.runs import open_run
from lab.runs.events import InstrumentFailed, of_kind
from tests.tiny import tiny_args

OFF = [x for instrument in INSTRUMENTS for x in (f"--{instrument.group}.every", "0")]
ACCUMULATING = ("--data.tokens_per_step", "128")  # two micro-batches
PICTURES = {
    "attention/text",
    "attention/repeated",
    "attention/scores",
    "attention/layer1.head0",
    "predictions/token_loss",
    "predictions/logit_lens",
    "residual/norms",
}
LOOKS = [0, 1, 2, 4, 8, 10, 12]


def fit(tmp_path: Path, name: str, *more: str, steps: int = 12) -> Path:
    assert main(["fit", *tiny_args(tmp_path, *more, name=name, steps=steps)]) == 0
    return tmp_path / "runs" / name


def failures(run: Path) -> list[InstrumentFailed]:
    return of_kind(open_run(run).events(), InstrumentFailed)
