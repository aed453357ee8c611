"""The inside of the model on the reference texts, at every snapshot."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

import lab
from analysis_app.analyses.curves import landmarks
from lab.__main__ import main
from lab.callbacks.reference_texts import ReferenceTexts, induction_finding
from lab.callbacks.snapshots import Snapshots
from lab.interp import logit_lens, record_texts, summarise, token_losses
from lab.interp.attention import attention_patterns
from lab.report.run_record import read_record
from lab.runs import open_run
from lab.runs.events import Finding, of_kind
from lab.runs.reference_texts import decode_pattern, read_bundle
from lab.training.looking import LookTimes
from tests.callbacks.fits import fit


def test_bundles_are_what_the_snapshots_weights_compute(watched: Path) -> None:
    run = open_run(watched)
    bundles = run.reference_texts()
    assert [info.step for info in bundles] == [info.step for info in run.snapshots()]
    for info in (bundles[0], bundles[-1]):
        arrays = read_bundle(info.path)
        model, tokenizer = lab.load(str(watched), step=info.step)
        texts, repeated = torch.tensor(arrays["token_ids"]), torch.tensor(arrays["repeated_ids"])
        text, twice = record_texts(model, texts, repeated)
        assert twice is not None
        np.testing.assert_allclose(decode_pattern(arrays["patterns"]), attention_patterns(text), atol=0.004)
        np.testing.assert_allclose(arrays["token_loss"], token_losses(text), atol=1e-4)
        lens = logit_lens(model, text, top_k=1)
        np.testing.assert_array_equal(arrays["lens_tokens"], lens.top_tokens[..., 0])
        np.testing.assert_allclose(arrays["lens_probabilities"], lens.top_probabilities[..., 0], atol=1e-4)
        summary = summarise(text, twice, int(arrays["period"]))
        scores = dict(zip(arrays["score_names"].tolist(), arrays["scores"], strict=True))
        assert summary.induction_loss is not None
        np.testing.assert_allclose(scores["induction"], summary.scores["induction"].values, atol=1e-5)
        np.testing.assert_allclose(scores["entropy"], summary.scores["entropy"].values, atol=1e-5)
        first = "".join(arrays["token_strings"][0])
        assert first == tokenizer.decode(texts[0].tolist()).replace(" ", "·").replace("\n", "⏎")
        named = dict(zip(arrays["scalar_names"].tolist(), arrays["scalars"], strict=True))
        row = next(row for row in run.metrics().rows if row["step"] == info.step)
        assert {name: row[name] for name in named} == pytest.approx(named)


def test_a_resumed_run_forgets_the_bundles_of_the_abandoned_future(tmp_path: Path) -> None:
    run = fit(tmp_path, "run", "--checkpoint.every", "6", "--checkpoint.keep", "9")
    whole = {info.step: read_bundle(info.path)["patterns"] for info in open_run(run).reference_texts()}
    for path in (*run.glob("checkpoints/step-00000012*"), *run.glob("checkpoints/last*")):
        path.unlink()
    root = str(tmp_path / "runs")
    assert main(["fit", "--resume", "run", "--run.root", root]) == 0
    again = {info.step: read_bundle(info.path)["patterns"] for info in open_run(run).reference_texts()}
    assert again.keys() == whole.keys()
    for step, patterns in whole.items():
        np.testing.assert_array_equal(again[step], patterns)


def test_page_and_report_find_the_induction_head_that_a_fit_tells_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.callbacks.reference_texts.INDUCTION_FORMED", 0.0)  # any head will do
    run = open_run(fit(tmp_path, "run", "--doctor.every", "0", steps=4))
    (head,) = of_kind(run.events(), Finding)
    assert (head.rule, head.step, head.metric) == ("induction_head", 0, f"stats/induction.layer{head.layer}")
    onset = next(mark for mark in landmarks(run, run.metrics()) if mark["name"] == "induction onset")
    assert (onset["step"], onset["why"].partition(" puts")[0]) == (0, f"head {head.layer}.{head.head}")
    record = read_record(run)
    assert (record.milestones, record.watched) == ([head], False)


def test_unset_it_looks_at_the_snapshots_and_draws_at_few_of_them() -> None:
    fit = cast(
        Any,
        SimpleNamespace(
            total_steps=100, is_main_process=True, looks=LookTimes(), find=lambda kind: Snapshots(every=30)
        ),
    )
    texts = ReferenceTexts()
    assert [n for n in range(101) if texts.due(fit, n)] == [0, 1, 2, 4, 8, 16, 30, 60, 90, 100]
    assert [n for n in range(101) if ReferenceTexts(every=40).due(fit, n)] == [0, 1, 2, 4, 8, 16, 32, 40, 80, 100]
    long = cast(Any, SimpleNamespace(total_steps=2000, is_main_process=True, looks=LookTimes()))
    assert [n for n in range(40, 2001) if ReferenceTexts(every=20).draws(long, n)] == [64, 128, *range(200, 2001, 200)]


def test_an_induction_head_is_a_milestone() -> None:
    found = induction_finding(1, 3, 0.7, 0.1, 40)
    assert (found.rule, found.level, found.family, found.since) == ("induction_head", "note", "milestones", 40)
    assert "head 3 of layer 1" in found.what
    assert found.threshold is not None
    assert found.threshold < 0.7
