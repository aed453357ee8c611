"""Rules about plateaus: each finds its own fault."""

from __future__ import annotations

from typing import Any

import pytest

from lab.runs.facts import Facts
from tests.diagnosis.runs import (
    BASELINES,
    check_finding,
    facts,
    names,
    resting,
    told,
)

FAULTY: dict[str, tuple[dict[str, dict[int, Any]], Facts]] = {
    "uniform_plateau": (resting(BASELINES["uniform"]), facts()),
    "unigram_plateau": (resting(BASELINES["unigram"]), facts()),
    "bigram_plateau": (resting(BASELINES["bigram"]), facts()),
}


@pytest.mark.parametrize("rule", FAULTY)
def test_each_rule_finds_its_own_fault(rule: str) -> None:
    check_finding(rule, *FAULTY[rule])


def test_a_markov_source_may_rest_on_its_floor() -> None:
    """There the bigram is all there is to know."""
    about = facts(baselines={"floor": BASELINES["bigram"]})
    assert "bigram_plateau" not in names(told(resting(BASELINES["bigram"]), about))
