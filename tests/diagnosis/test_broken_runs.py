"""The runs of `configs/broken`: one file each, found by a rule that exists."""

from __future__ import annotations

from pathlib import Path

from lab.diagnosis import RULES
from lab.diagnosis.broken_runs import BROKEN_RUNS, HEALTHY

ROOT = Path(__file__).parents[2]


def test_every_broken_run_has_a_configuration_and_a_rule() -> None:
    assert {broken.rule for broken in BROKEN_RUNS.values()} <= RULES.keys()
    assert {path.stem for path in (ROOT / "configs/broken").glob("*.yaml")} == {HEALTHY, *BROKEN_RUNS}


def test_no_two_answers_of_the_quiz_are_alike() -> None:
    causes = [broken.cause for broken in BROKEN_RUNS.values() if broken.cause]
    assert len(set(causes)) == len(causes)
