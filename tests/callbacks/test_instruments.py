"""All instruments in real fits: what reaches run directory and dashboards, and what never happens to the losses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lab
from analysis_app.analyses.curves import landmarks
from lab.__main__ import main
from lab.callbacks.instruments import INSTRUMENTS
from lab.callbacks.reference_texts import ReferenceTexts
from lab.interp import logit_lens, record_texts, summarise, token_losses
from lab.interp.attention import attention_patterns
from lab.report.run_record import read_record
from lab.runs import open_run
from lab.runs.events import Finding, InstrumentFailed, of_kind
from lab.runs.metrics import undeclared
from lab.runs.reference_texts import decode_pattern, read_bundle
from tests.callbacks.wandb_log import history
from tests.tiny import losses, tiny_args

OFF = [x for instrument in INSTRUMENTS for x in (f"--{instrument.group}.every", "0")]
ACCUMULATING = ("--data.tokens_per_step", "128")  # two micro-batches


def fit(tmp_path: Path, name: str, *more: str, steps: int = 12) -> Path:
    assert main(["fit", *tiny_args(tmp_path, *more, name=name, steps=steps)]) == 0
    return tmp_path / "runs" / name


def failures(run: Path) -> list[dict[str, Any]]:
    return of_kind(open_run(run).events(), InstrumentFailed)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything on, both dashboards, and one head drawn large."""
    tmp_path = tmp_path_factory.mktemp("watched")
    return fit(
        tmp_path, "watched", *ACCUMULATING, "--tensorboard", "true", "--wandb", "offline", "--attention_maps.heads",
        '["1.0"]', "--throughput.every", "4",
    )  # fmt: skip


@pytest.fixture(scope="module")
def tensorboard(watched: Path) -> Any:
    """TensorBoard's own reader of the run's event files, keeping everything."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    keep = dict.fromkeys(("scalars", "images", "histograms", "tensors"), 0)
    return EventAccumulator(str(watched / "tensorboard"), size_guidance=keep).Reload()


@pytest.fixture(scope="module")
def wandb_rows(watched: Path) -> list[dict[str, Any]]:
    return history(watched)


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


def test_no_instrument_failed_and_every_metric_is_declared(watched: Path) -> None:
    assert failures(watched) == []
    names = open_run(watched).metrics().names()
    assert undeclared(names) == []
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


def test_pictures_reach_tensorboard_and_are_legible_in_size(tensorboard: Any) -> None:
    assert set(tensorboard.Tags()["images"]) == PICTURES
    for name in PICTURES:
        images = tensorboard.Images(name)
        assert {image.step for image in images} <= {0, 1, 2, 4, 8, 10, 12}, name
        assert {0, 12} <= {image.step for image in images}, name
        for image in images:
            assert image.encoded_image_string.startswith(b"\x89PNG")
            assert 600 <= image.width <= 960, name
            assert image.height >= 150, name


def test_histograms_reach_tensorboard_with_counts_and_edges(tensorboard: Any) -> None:
    tags = set(tensorboard.Tags()["histograms"])
    assert {"activations/resid_post.layer0", "weights/layer1", "weights/embedding", "gradients/layer0"} <= tags
    event = tensorboard.Histograms("activations/resid_post.layer0")[-1]
    value = event.histogram_value
    assert event.step == 12
    assert sum(value.bucket) == value.num == 3 * 16 * 32  # texts × positions × d_model
    assert len(value.bucket) == len(value.bucket_limit) == 66
    assert value.bucket_limit[0] == pytest.approx(-8)  # the first bucket: all below the first edge
    centre = value.sum / value.num
    assert abs(centre) < 1


def test_samples_reach_tensorboard_as_text(watched: Path, tensorboard: Any) -> None:
    tensors = tensorboard.Tensors("samples/text_summary")
    assert [tensor.step for tensor in tensors] == LOOKS
    text = tensors[-1].tensor_proto.string_val[0].decode()
    assert text.startswith("| prompt | text | longest copy |")
    assert len(text.splitlines()) == 2 + 2


def test_scalars_reach_tensorboard_at_the_step_of_metrics_jsonl(watched: Path, tensorboard: Any) -> None:
    steps, values = open_run(watched).metrics().series("stats/entropy.layer0")
    found = tensorboard.Scalars("stats/entropy.layer0")
    assert [event.step for event in found] == steps
    np.testing.assert_allclose([event.value for event in found], values, rtol=1e-6)


def test_weights_and_biases_gets_pictures_histograms_tables_and_both_axes(wandb_rows: list[dict[str, Any]]) -> None:
    rows = {name: [row for row in wandb_rows if name in row] for name in (*PICTURES, "samples", "weights/layer0")}
    for name in PICTURES:
        assert rows[name][-1][name]["_type"] == "image-file", name
    assert rows["samples"][-1]["samples"]["_type"] == "table-file"
    histogram = rows["weights/layer0"][-1]["weights/layer0"]
    assert histogram["_type"] == "histogram"
    assert len(histogram["bins"]) == len(histogram["values"]) + 1
    for name, found in rows.items():
        assert found[-1]["trainer/global_step"] == 12, name
        assert found[-1]["tokens"] == 12 * 128, name


def test_a_w_and_b_table_holds_the_samples(watched: Path, wandb_rows: list[dict[str, Any]]) -> None:
    last = next(row for row in reversed(wandb_rows) if "samples" in row)
    (folder,) = watched.glob("wandb/offline-run-*/files")
    table = json.loads((folder / last["samples"]["path"]).read_text())
    assert table["columns"] == ["step", "prompt", "text", "longest copy"]
    written = [s for s in open_run(watched).samples() if s["step"] == 12]
    assert [row[2] for row in table["data"]] == [sample["text"] for sample in written]


def test_samples_are_repeatable_and_say_what_was_copied(watched: Path) -> None:
    samples = open_run(watched).samples()
    assert sorted({s["step"] for s in samples}) == LOOKS
    by_step = {step: [s for s in samples if s["step"] == step] for step in (0, 12)}
    assert [s["prompt"] for s in by_step[0]] == [s["prompt"] for s in by_step[12]]
    assert by_step[0][0]["prompt"] == ""
    text = (watched.parent.parent / "corpus.txt").read_text()
    for sample in samples:
        copied = sample["longest_copy"]
        assert copied["text"] in sample["text"]
        assert copied["text"] in text
        assert copied["tokens"] == len(copied["text"])  # characters here


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


def test_the_update_ratio_is_that_of_the_snapshots(watched: Path) -> None:
    from lab.callbacks.activation_histograms import layers

    before, after = (dict(layers(lab.load(str(watched), step=step).model)) for step in (7, 8))
    row = next(row for row in open_run(watched).metrics().rows if row["step"] == 8)
    for place in after:
        moved = sum(((a - b) ** 2).sum().item() for a, b in zip(after[place], before[place], strict=True)) ** 0.5
        size = sum((a**2).sum().item() for a in after[place]) ** 0.5
        assert row[f"stats/update_ratio.{place}"] == pytest.approx(moved / size, rel=1e-4)
    total = sum(row[f"stats/grad_norm.{place}"] ** 2 for place in after) ** 0.5
    step_7 = next(row for row in open_run(watched).metrics().rows if row["step"] == 7)
    assert total <= step_7["train/grad_norm"] * (1 + 1e-5)  # gains and biases are not in it
    assert total > 0.9 * step_7["train/grad_norm"]


def test_page_and_report_find_the_induction_head_that_a_fit_tells_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.callbacks.reference_texts.INDUCTION_FORMED", 0.0)  # any head will do
    run = open_run(fit(tmp_path, "run", "--doctor.every", "0", steps=4))
    (head,) = of_kind(run.events(), Finding)
    assert (head.rule, head.step, head.metric) == ("induction_head", 0, f"stats/induction.layer{head.layer}")
    onset = next(mark for mark in landmarks(run, run.metrics()) if mark.name == "induction onset")
    assert (onset.step, onset.why.partition(" puts")[0]) == (0, f"head {head.layer}.{head.head}")
    record = read_record(run)
    assert (record.milestones, record.watched) == ([head], False)


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


def test_settings_that_cannot_be_are_refused_all_at_once() -> None:
    from lab.callbacks.attention_maps import AttentionMaps
    from lab.callbacks.samples import Samples

    with pytest.raises(ValueError, match=r"samples\.every is -1") as caught:
        Samples(every=-1, temperature=-2.0, tokens=0, prompts=[])
    assert [line.split(".")[1].split("=")[0].split(" ")[0] for line in str(caught.value).splitlines()] == [
        "every", "tokens", "temperature", "prompts",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"attention_maps\.heads has '1-3'"):
        AttentionMaps(heads=["1-3"])


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
