"""All instruments together in real fits: they fail in nothing and change no bit of the losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.__main__ import main
from lab.callbacks.instruments import INSTRUMENTS
from lab.runs import open_run
from lab.runs.metrics import describe
from tests.callbacks.fits import ACCUMULATING, OFF, failures, fit
from tests.tiny import losses, tiny_args


def test_no_instrument_failed_and_every_metric_is_declared(watched: Path) -> None:
    assert failures(watched) == []
    names = open_run(watched).metrics().names()
    assert all(map(describe, names))
    layered = ("entropy", "update_ratio", "attn_logit_max", "grad_norm", "dead_share", "resid_norm", "induction")
    for name in layered:
        assert {f"stats/{name}.layer0", f"stats/{name}.layer1"} <= set(names), name
    assert {"perf/step_seconds", "perf/data_share", "perf/memory_bytes", "stats/longest_copy"} <= set(names)
    assert "perf/mfu" not in names  # of a CPU nobody knows the peak
    assert {"stats/gradient_noise", "stats/gradient_signal"} <= set(names)


def test_losses_are_the_same_bits_with_and_without_instruments(watched: Path, tmp_path: Path) -> None:
    plain = fit(tmp_path, "plain", *OFF, *ACCUMULATING)
    assert losses(plain) == losses(watched)
    assert not (plain / "probes").exists()
    assert not (plain / "samples.jsonl").exists()
    assert not [name for name in open_run(plain).metrics().names() if name.startswith("stats/")]


def test_dropout_and_a_resumed_run_keep_their_bits_too(tmp_path: Path) -> None:
    dropout = ("--model.config.dropout", "0.2", "--checkpoint.every", "5")
    plain, watched = fit(tmp_path, "plain", *OFF, *dropout), fit(tmp_path, "watched", *dropout)
    assert losses(plain) == losses(watched)


def test_instruments_leave_random_states_and_modes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[str] = []

    def checked(look: Any) -> Any:
        def checking(self: Any, fit: Any) -> None:
            def state() -> tuple[bytes, bytes, list[bool], bool]:
                modes = [m.training for m in fit.module.modules()]
                numpy_state = str(np.random.get_state()).encode()
                return torch.get_rng_state().numpy().tobytes(), numpy_state, modes, torch.is_grad_enabled()

            before = state()
            look(self, fit)
            if state() != before:
                changed.append(f"{self.group} at {fit.step}")

        return checking

    for instrument in INSTRUMENTS:
        monkeypatch.setattr(instrument, "look", checked(instrument.look))
    fit(tmp_path, "run", *ACCUMULATING, "--tensorboard", "true", steps=4)
    assert changed == []


@pytest.mark.parametrize(("corpus", "context"), [("markov", "4"), ("induction", "40")])
def test_made_corpora_and_tiny_contexts_are_looked_at_too(tmp_path: Path, corpus: str, context: str) -> None:
    args = tiny_args(tmp_path, "--tensorboard", "true", name="made", steps=2)
    at = args.index("--data.path")
    del args[at : at + 2]
    args[args.index("--data.corpus") + 1] = corpus
    args[args.index("--model.config.context_length") + 1] = context
    assert main(["fit", *args]) == 0
    run = tmp_path / "runs" / "made"
    assert failures(run) == []
    assert all(sample["longest_copy"] is None for sample in open_run(run).samples())
