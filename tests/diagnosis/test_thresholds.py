"""Thresholds: each used, each with a source; overrides by name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lab.diagnosis import THRESHOLDS, limits
from tests.diagnosis.runs import healthy, names, told

ROOT = Path(__file__).parents[2]


def test_a_threshold_can_be_overridden_and_must_exist() -> None:
    assert "attention_logits" in names(told(healthy(), logit_high=10))
    with pytest.raises(ValueError, match="logit_high'\\?"):
        limits({"logit_hihg": 1})
    with pytest.raises(ValueError, match="give a number"):
        limits({"logit_high": True})


def test_every_threshold_is_used_and_has_a_source() -> None:
    used = {"induction_formed"}  # by the callback that knows the head
    for path in (ROOT / "lab/diagnosis").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "limits":
                used.add(node.attr)
    assert used == set(THRESHOLDS)
    assert all(threshold.meaning and threshold.source for threshold in THRESHOLDS.values())
