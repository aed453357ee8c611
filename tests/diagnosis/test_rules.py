"""Each rule speaks of its own disease, and all are silent on healthy runs."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.diagnosis import RULES, THRESHOLDS, Doctor, History, limits
from lab.diagnosis.zoo import ZOO
from lab.runs.metrics import describe
from tests.diagnosis.histories import BASELINES, STEPS, curve, facts, healthy, names, told

ROOT = Path(__file__).parents[2]
LOOKS = sorted(healthy()["stats/entropy.layer0"])


def at_looks(value: float) -> dict[int, float]:
    return dict.fromkeys(LOOKS, value)


def flat(level: float, steps: int = STEPS) -> dict[int, float]:
    """A loss that falls to a line and stays on it."""
    values = curve(BASELINES["uniform"], level, steps, 0.005)
    return dict(enumerate(values))


def resting(level: float) -> dict[str, dict[int, Any]]:
    """A run whose loss rests on a line, on both texts."""
    losses = flat(level)
    return healthy() | {"train/loss": losses, "val/loss": {s: losses[min(s, STEPS - 1)] for s in LOOKS}}


def changed(name: str, change: Any) -> dict[str, dict[int, Any]]:
    found = healthy()
    found[name] = {step: change(step, value) for step, value in found[name].items()}
    return found


def after(step: int, factor: float) -> Any:
    return lambda s, value: value * factor if s >= step else value


def both_layers(name: str, value: float) -> dict[str, dict[int, Any]]:
    return healthy() | {f"stats/{name}.layer{layer}": at_looks(value) for layer in range(2)}


SICK: dict[str, tuple[dict[str, dict[int, Any]], Any]] = {
    "initial_loss": (changed("train/loss", lambda s, v: v + 4 * math.exp(-s / 5)), facts()),
    "head_scale": (changed("stats/weight_norm.embedding", lambda s, v: 30 * v), facts()),
    "warmup_missing": (
        healthy() | {"train/lr": dict.fromkeys(range(STEPS), 1e-2), "stats/update_ratio.layer0": at_looks(0.1)},
        facts(),
    ),
    "non_finite": (changed("val/loss", lambda s, v: None if s > 200 else v), facts()),
    "loss_spike": (changed("train/loss", lambda s, v: v + 2 if 200 <= s < 205 else v), facts()),
    "divergence": (changed("train/loss", lambda s, v: v + max(0, s - 150) / 80), facts()),
    "fp16_scale": (healthy() | {"train/loss_scale": {s: 2.0 ** (16 - s // 8) for s in range(STEPS)}}, facts()),
    "uniform_plateau": (resting(BASELINES["uniform"]), facts()),
    "unigram_plateau": (resting(BASELINES["unigram"]), facts()),
    "bigram_plateau": (resting(BASELINES["bigram"]), facts()),
    "lr_too_high": (both_layers("update_ratio", 0.3), facts()),
    "lr_too_low": (both_layers("update_ratio", 1e-4), facts()),
    "gradient_growth": (changed("train/grad_norm", after(300, 40)), facts()),
    "clipping_always": (healthy(), facts(model__optimizer__clip=0.02)),
    "attention_logits": (both_layers("attn_logit_max", 90.0), facts()),
    "attention_collapse": (both_layers("entropy", 0.01), facts()),
    "attention_idle": (both_layers("attn_out_norm", 0.0), facts()),
    "uniform_heads": (both_layers("entropy", 1.0), facts()),
    "dead_units": (both_layers("dead_share", 0.9), facts()),
    "saturated_units": (both_layers("saturated_share", 0.9), facts()),
    "residual_growth": (
        healthy() | {"stats/resid_norm.layer1": {s: 0.2 * 1.03**s for s in LOOKS}},
        facts(),
    ),
    "overfitting": (changed("val/loss", lambda s, v: v + max(0, s - 150) / 300), facts()),
    "memorised": (
        healthy() | {"stats/longest_copy": at_looks(32), "train/loss": flat(0.5)},
        facts(),
    ),
    "sees_future": (changed("audit/sees_future", lambda s, v: 0.3), facts()),
    "labels": (changed("audit/next_targets", lambda s, v: 0.05), facts()),
    "too_good": (healthy() | {"train/loss": flat(0.3)}, facts()),
    "leakage": (healthy() | {"audit/val_in_train": {0: 1.0}}, facts()),
    "dropout_in_evaluation": (healthy() | {"audit/training_mode": {0: 1.0}}, facts(model__config__dropout=0.1)),
    "unshuffled": (changed("audit/consecutive", lambda s, v: 0.95), facts()),
    "repeated_batch": (healthy(), facts(data__repeat_first_batch=True)),
    "unseen_rows": (healthy() | {"audit/unseen_rows": {0: 0.8}}, facts(data={"vocab_size": 50257})),
    "batch_size": (healthy() | {"stats/critical_batch": at_looks(300)}, facts(data={"tokens_per_step": 65536})),
    "undertrained": (healthy(), facts(parameters=10_000_000)),
    "overtrained": (healthy() | {"train/loss": flat(2.2)}, facts(parameters=300)),
    "data_bound": (healthy() | {"perf/data_share": at_looks(0.6)}, facts()),
    "slowing_down": (changed("perf/step_seconds", after(200, 8)), facts()),
}


def test_every_rule_has_a_sick_run_here_and_every_disease_of_the_zoo_a_rule() -> None:
    assert SICK.keys() == RULES.keys()
    assert {disease.rule for disease in ZOO.values()} <= RULES.keys()
    files = {path.stem for path in (ROOT / "configs/broken").glob("*.yaml")} - {"healthy"}
    assert files == ZOO.keys()


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_speaks_of_its_own_disease(rule: str) -> None:
    curves, about = SICK[rule]
    found = [finding for finding in told(curves, about) if finding.rule == rule]
    assert found, names(told(curves, about))
    finding = found[0]
    assert finding.level in ("note", "warning", "alarm")
    assert 0 <= finding.since <= finding.step <= STEPS
    assert finding.what[0].islower() or finding.what[0].isdigit()
    assert finding.why
    assert finding.tries
    assert finding.metric is None or describe(finding.metric), "the metric it names is declared"


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), steps=st.sampled_from([60, 200, 400]))
def test_all_rules_are_silent_on_healthy_runs(seed: int, steps: int) -> None:
    assert not [(f.rule, f.what) for f in told(healthy(steps, seed), facts(steps)) if f.level != "note"]


@settings(max_examples=15, deadline=None)
@given(
    values=st.dictionaries(
        st.sampled_from(sorted(healthy())),
        st.dictionaries(st.integers(0, 100), st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=12),
        max_size=12,
    )
)
def test_no_rule_breaks_over_any_curve(values: dict[str, dict[int, float | None]]) -> None:
    with np.errstate(all="ignore"):
        for finding in told(values, facts(100)):
            assert finding.step <= 100


def test_nothing_is_said_of_nothing() -> None:
    assert Doctor(History()).examine() == []


def test_a_spike_is_a_note_once_the_loss_is_back_and_a_warning_when_it_stays() -> None:
    back = told(changed("train/loss", lambda s, v: v + 2 if 200 <= s < 205 else v))
    assert [f.level for f in back if f.rule == "loss_spike"] == ["note"]
    stays = told(changed("train/loss", lambda s, v: v + 1 if s >= 200 else v))
    assert [f.level for f in stays if f.rule == "loss_spike"] == ["note", "warning"]


def test_the_cause_silences_what_follows_from_it() -> None:
    curves = resting(BASELINES["bigram"]) | {f"stats/entropy.layer{i}": at_looks(1.0) for i in range(2)}
    assert "uniform_heads" in names(told(curves))
    assert "bigram_plateau" not in names(told(curves))


def test_validation_far_below_training_is_a_leak_unless_the_text_is_made() -> None:
    curves = changed("val/loss", lambda s, v: 0.7 * v if s > 100 else v)
    assert "leakage" in names(told(curves))
    assert "leakage" not in names(told(curves, facts(data={"steps_per_epoch": None})))
    assert "leakage" not in names(told(curves, facts(model__config__dropout=0.2)))


def test_a_markov_source_may_rest_on_its_floor() -> None:
    """There the bigram is all there is to know."""
    about = facts(baselines={"floor": BASELINES["bigram"]})
    assert "bigram_plateau" not in names(told(resting(BASELINES["bigram"]), about))


def test_a_model_below_the_floor_is_too_good() -> None:
    assert "too_good" in names(told(healthy(), facts(baselines={"floor": 3.0})))


def test_a_threshold_can_be_overridden_and_must_exist() -> None:
    assert "attention_logits" in names(told(healthy(), logit_high=10))
    with pytest.raises(ValueError, match="logit_high'\\?"):
        limits({"logit_hihg": 1})
    with pytest.raises(ValueError, match="give a number"):
        limits({"logit_high": True})


def test_every_threshold_is_used_and_has_a_source() -> None:
    used = {"induction_formed"}  # by the probes, which know the head
    for path in (ROOT / "lab/diagnosis").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "limits":
                used.add(node.attr)
    assert used == set(THRESHOLDS)
    assert all(threshold.meaning and threshold.source for threshold in THRESHOLDS.values())
