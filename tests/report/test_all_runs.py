"""All runs in one report."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.report.all_runs import Point, fit, report_on_all
from lab.report.markdown import render_markdown
from tests.report.runs import make_run


def test_a_law_is_fitted_to_enough_runs() -> None:
    points = [Point(str(n), 10**n, 10**n, 8 * (6.0 * 10 ** (2 * n)) ** -0.05) for n in range(3, 9)]
    law = fit(points)
    assert law is not None
    assert (law.slope, law.scale) == (pytest.approx(0.05), pytest.approx(8))
    assert law.off == pytest.approx(0, abs=1e-9)
    assert fit(points[:4]) is None, "too few"
    assert fit([Point("x", 1000 + i, 1000, 3.0) for i in range(9)]) is None, "too close together"


def test_runs_seeds_and_own_words(tmp_path: Path) -> None:
    for seed in range(2):
        make_run(tmp_path, f"run-{seed}", steps=40, seed=seed)
    (tmp_path / "run-1" / "report.md").write_text("<!-- yours: learned -->\npatience\n<!-- /yours: learned -->\n")
    text = render_markdown(report_on_all(tmp_path)({}), {}, {})
    assert "2 runs under" in text
    assert "| `run-0` and `run-1` | 2 | " in text
    assert "patience" in text
    assert "| `lr_too_high` | 2 | `run-0` and `run-1` |" in text
    assert "No prediction of any run can be scored yet." in text


def test_no_runs_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no run in"):
        report_on_all(tmp_path)
