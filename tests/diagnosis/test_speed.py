"""Rules about speed: each finds its own fault."""

from __future__ import annotations

from typing import Any

import pytest

from lab.runs.facts import Facts
from tests.diagnosis.runs import (
    after,
    at_looks,
    changed,
    check_finding,
    facts,
    healthy,
)

FAULTY: dict[str, tuple[dict[str, dict[int, Any]], Facts]] = {
    "data_bound": (healthy() | {"perf/data_share": at_looks(0.6)}, facts()),
    "slowing_down": (changed("perf/step_seconds", after(200, 8)), facts()),
}


@pytest.mark.parametrize("rule", FAULTY)
def test_each_rule_finds_its_own_fault(rule: str) -> None:
    check_finding(rule, *FAULTY[rule])
