"""Each experiment of configs/experiments, small: the thing its first comment promises happens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import lab
from lab.__main__ import main
from lab.interp import record_texts, repeated_random_tokens, summarise
from lab.runs import Run, open_run

FOLDER = Path("configs/experiments")
SMALL = "{symbols: 16, shortest: 4, longest: 10}"  # of the induction task: a head forms in a third of the steps
PERIOD = 10

pytestmark = pytest.mark.slow


def run_experiment(tmp_path: Path, *args: str) -> Run:
    """A run of these settings, on one thread, without dashboards."""
    everywhere = ("--run.root", str(tmp_path), "--run.name", "x", "--tensorboard=false", "--trainer.accelerator=cpu")
    quiet = ("--samples.every=0", "--attention_maps.every=0", "--activation_histograms.every=0", "--probes.every=0")
    assert main(["fit", *args, *everywhere, *quiet]) == 0
    return open_run(tmp_path / "x")


def induction(tmp_path: Path, *more: str) -> tuple[float, float]:
    """(largest induction score, loss on what repeats) after a small form of the induction experiment."""
    small = (f"--data.corpus_options={SMALL}", "--model.config.context_length=32", "--horizon.steps=350")
    run = run_experiment(tmp_path, "--config", str(FOLDER / "induction.yaml"), *more, *small)
    model, _ = lab.load(str(run.path))
    repeated = repeated_random_tokens(16, PERIOD, 16, 0)
    with torch.no_grad():
        scores = summarise(*record_texts(model, repeated[:2], repeated), PERIOD)
    return scores.scalars()["induction"], run.metrics().latest("val/loss") or 0.0


def test_two_layers_form_an_induction_head(tmp_path: Path) -> None:
    score, loss = induction(tmp_path)
    assert score > 0.8
    assert loss < 0.15


def test_one_layer_cannot(tmp_path: Path) -> None:
    score, loss = induction(tmp_path, "--config", str(FOLDER / "one_layer.yaml"))
    assert score < 0.3
    assert loss > 1.0


def test_without_positions_it_comes_much_later_if_at_all(tmp_path: Path) -> None:
    _, loss = induction(tmp_path, "--config", str(FOLDER / "no_positions.yaml"))
    assert loss > 0.5


def test_a_markov_source_is_learned_to_its_entropy_and_no_further(tmp_path: Path) -> None:
    small = ("--data.corpus_options={symbols: 8}", "--model.config.context_length=32", "--horizon.steps=200")
    run = run_experiment(tmp_path, "--config", str(FOLDER / "markov.yaml"), *small)
    floor = json.loads(run.data_path.read_text())["baselines"]["nats_per_token"]["floor"]
    loss = run.metrics().latest("val/loss")
    assert loss is not None
    assert 0.99 * floor < loss < 1.02 * floor


def deep(tmp_path: Path, shakespeare: Path, position: str) -> float:
    config = ("--config", "configs/shakespeare_char.yaml", "--config", str(FOLDER / "post_norm.yaml"))
    small = ("--horizon.steps=80", "--data.val_tokens=5000", f"--model.config.norm_position={position}")
    return run_experiment(tmp_path, *config, *small).metrics().latest("val/loss") or 0.0


def test_post_norm_fails_where_pre_norm_learns(tmp_path: Path, shakespeare: Path) -> None:
    assert deep(tmp_path / "post", shakespeare, "post") > deep(tmp_path / "pre", shakespeare, "pre") + 0.3


def test_width_and_depth_of_equal_size_learn_alike(tmp_path: Path, shakespeare: Path) -> None:
    config = ("--config", "configs/shakespeare_char.yaml")
    small = ("--horizon.steps=200", "--data.val_tokens=5000", "--model.schedule.warmup_steps=20")
    narrow = run_experiment(tmp_path / "narrow", *config, *small)
    wide = run_experiment(tmp_path / "wide", *config, "--config", str(FOLDER / "width_vs_depth.yaml"), *small)
    sizes = [run.status().details["parameters"] for run in (narrow, wide)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)
    losses = [run.metrics().latest("val/loss") for run in (narrow, wide)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
