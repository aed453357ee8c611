"""All rules together: each has a test of its own, all are silent on healthy runs, none fails on any curve."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.diagnosis import RULES, Evidence, Monitor
from lab.diagnosis.rules import FAMILIES
from tests.diagnosis import (
    test_activations,
    test_attention,
    test_budget,
    test_generalisation,
    test_leaks,
    test_learning_rate,
    test_plateaus,
    test_speed,
    test_stability,
    test_start,
    test_texts,
)  # fmt: skip
from tests.diagnosis.runs import facts, healthy, told

TESTED = (
    test_activations, test_attention, test_budget, test_generalisation, test_leaks, test_learning_rate, test_plateaus,
    test_speed, test_stability, test_start, test_texts,
)  # fmt: skip


def test_every_rule_has_a_faulty_run_in_its_familys_tests() -> None:
    tested = {module.__name__.rpartition("test_")[2]: set(module.FAULTY) for module in TESTED}
    assert tested == {family.name: {rule.name for rule in family.rules} for family in FAMILIES}


def test_what_a_rule_explains_is_a_rule() -> None:
    assert {other for rule in RULES.values() for other in rule.explains} <= RULES.keys()


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
def test_no_rule_fails_on_any_curve(values: dict[str, dict[int, float | None]]) -> None:
    with np.errstate(all="ignore"):
        for finding in told(values, facts(100)):
            assert finding.step <= 100


def test_nothing_is_found_in_nothing() -> None:
    assert Monitor(Evidence()).examine() == []
