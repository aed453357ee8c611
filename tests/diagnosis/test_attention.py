"""Rules about attention: each finds its own fault."""

from __future__ import annotations

from typing import Any

import pytest

from lab.runs.facts import Facts
from tests.diagnosis.runs import (
    BASELINES,
    at_looks,
    both_layers,
    check_finding,
    facts,
    names,
    resting,
    told,
)

FAULTY: dict[str, tuple[dict[str, dict[int, Any]], Facts]] = {
    "attention_logits": (both_layers("attn_logit_max", 90.0), facts()),
    "attention_collapse": (both_layers("entropy", 0.01), facts()),
    "attention_idle": (both_layers("attn_out_norm", 0.0), facts()),
    "uniform_heads": (both_layers("entropy", 1.0), facts()),
}


@pytest.mark.parametrize("rule", FAULTY)
def test_each_rule_finds_its_own_fault(rule: str) -> None:
    check_finding(rule, *FAULTY[rule])


def test_the_cause_silences_what_follows_from_it() -> None:
    curves = resting(BASELINES["bigram"]) | {f"stats/entropy.layer{i}": at_looks(1.0) for i in range(2)}
    assert "uniform_heads" in names(told(curves))
    assert "bigram_plateau" not in names(told(curves))
