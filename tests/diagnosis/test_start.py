"""Rules about the first steps: each finds its own fault."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lab.runs.facts import Facts
from tests.diagnosis.runs import (
    STEPS,
    at_looks,
    changed,
    check_finding,
    facts,
    healthy,
)

FAULTY: dict[str, tuple[dict[str, dict[int, Any]], Facts]] = {
    "initial_loss": (changed("train/loss", lambda s, v: v + 4 * math.exp(-s / 5)), facts()),
    "head_scale": (changed("stats/weight_norm.embedding", lambda s, v: 30 * v), facts()),
    "warmup_missing": (
        healthy() | {"train/lr": dict.fromkeys(range(STEPS), 1e-2), "stats/update_ratio.layer0": at_looks(0.1)},
        facts(),
    ),
}


@pytest.mark.parametrize("rule", FAULTY)
def test_each_rule_finds_its_own_fault(rule: str) -> None:
    check_finding(rule, *FAULTY[rule])
