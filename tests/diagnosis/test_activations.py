"""Rules about units and the residual stream: each finds its own fault."""

from __future__ import annotations

from typing import Any

import pytest

from lab.runs.facts import Facts
from tests.diagnosis.runs import (
    LOOKS,
    both_layers,
    check_finding,
    facts,
    healthy,
)

FAULTY: dict[str, tuple[dict[str, dict[int, Any]], Facts]] = {
    "dead_units": (both_layers("dead_share", 0.9), facts()),
    "saturated_units": (both_layers("saturated_share", 0.9), facts()),
    "residual_growth": (
        healthy() | {"stats/resid_norm.layer1": {s: 0.2 * 1.03**s for s in LOOKS}},
        facts(),
    ),
}


@pytest.mark.parametrize("rule", FAULTY)
def test_each_rule_finds_its_own_fault(rule: str) -> None:
    check_finding(rule, *FAULTY[rule])
