"""Rules about overfitting and memorisation: each finds its own fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.runs.facts import Facts
from lab.runs.seams import Seam, Seams
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


@pytest.mark.parametrize(("held_out", "found"), [("other", False), ("same", True)])
def test_losses_of_what_was_held_out_before_are_of_another_text(held_out: str, found: bool) -> None:
    """Such as where the context was changed: other windows are validated on."""
    curves = changed("val/loss", lambda s, v: v + (s >= 300))
    seams = Seams([Seam(0, 0, 0, 64, 16, held_out="same"), Seam(300, 19_200, 1_200, 64, 32, held_out=held_out)])
    assert ("overfitting" in names(told(curves, replace(facts(), seams=seams)))) is found
