"""Rules about overfitting and memorisation: each finds its own fault."""

from __future__ import annotations

from typing import Any

import pytest

from lab.runs.facts import Facts
from tests.diagnosis.runs import (
    at_looks,
    changed,
    check_finding,
    facts,
    flat,
    healthy,
    names,
    told,
)

FAULTY: dict[str, tuple[dict[str, dict[int, Any]], Facts]] = {
    "overfitting": (changed("val/loss", lambda s, v: v + max(0, s - 150) / 300), facts()),
    "memorised": (
        healthy() | {"stats/longest_copy": at_looks(32), "train/loss": flat(0.5)},
        facts(),
    ),
}


@pytest.mark.parametrize("rule", FAULTY)
def test_each_rule_finds_its_own_fault(rule: str) -> None:
    check_finding(rule, *FAULTY[rule])


def test_a_rise_too_small_to_matter_is_no_overfitting() -> None:
    """1.5 % over the lowest counts for the forecast `overfit` (`lab.runs.predictions`), and is no finding."""
    lowest = min(healthy()["val/loss"].values())
    curves = changed("val/loss", lambda s, v: 1.015 * lowest if s > 300 else v)
    assert "overfitting" not in names(told(curves))
