"""What all instruments share: when they look, and that a look which fails is named once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from lab.__main__ import main
from lab.callbacks.instruments import INSTRUMENTS
from lab.callbacks.metrics_log import MetricsLog
from lab.callbacks.reference_texts import ReferenceTexts
from lab.callbacks.samples import Samples
from lab.runs import open_run
from lab.training.looking import LookTimes
from tests.callbacks.fits import failures, fit
from tests.tiny import tiny_args


def test_a_failing_instrument_is_named_once_and_the_run_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("nothing to divide by")

    monkeypatch.setattr(ReferenceTexts, "look", broken)
    run = fit(tmp_path, "run", "--samples.prompts", '["✗✗✗"]', steps=6)
    found = {event.instrument: event for event in failures(run)}
    assert len(failures(run)) == 2
    assert found["probes"].error == "ZeroDivisionError: nothing to divide by"
    assert found["probes"].step == 0
    assert "not in the vocabulary" in found["samples"].error
    assert open_run(run).status().state == "completed"


def test_a_model_gone_nan_is_told_and_does_not_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.callbacks.metrics_log import MetricsLog

    spoil = MetricsLog.after_step

    def spoiling(self: MetricsLog, fit: Any) -> None:
        spoil(self, fit)
        if fit.step == 4:
            with torch.no_grad():
                next(fit.model.blocks[0].mlp.parameters()).fill_(float("nan"))

    monkeypatch.setattr(MetricsLog, "after_step", spoiling)
    assert main(["fit", *tiny_args(tmp_path, "--tensorboard", "true", name="nan", steps=12)]) == 1
    run = tmp_path / "runs" / "nan"
    named = [event.instrument for event in failures(run)]
    assert len(named) == len(set(named))
    assert "probes" in named
    assert "not finite" in next(e.error for e in failures(run) if e.instrument == "probes")
    assert open_run(run).status().state == "failed"  # the loss, not an instrument


def test_it_looks_at_its_cadence_in_the_main_process_alone() -> None:
    fits = [SimpleNamespace(total_steps=100, is_main_process=it, looks=LookTimes()) for it in (True, False)]
    main_process, other = cast(Any, fits)
    assert [n for n in range(101) if Samples(every=30).due(main_process, n)] == [0, 1, 2, 4, 8, 16, 30, 60, 90, 100]
    assert not any(Samples(every=30).due(other, n) for n in range(101))
    assert not any(Samples(every=0).due(main_process, n) for n in range(101))


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda instrument: instrument.group)
def test_a_cadence_that_cannot_be_is_refused_by_name(instrument: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{instrument.group}\.every is -1: give a number of steps, or 0 to switch"):
        instrument(every=-1)
