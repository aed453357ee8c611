"""A plan's forecasts, kept for the fit that follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.forecasting.kept import keep_plan, kept_plan, plan_path
from lab.forecasting.law import Forecast

SETTINGS = {"model": {"config": {"n_layers": 2}}, "run": {"note": "a"}, "tensorboard": True}


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    said = {"minutes": Forecast(4.0, 3.5, 4.5, "measured")}
    path = plan_path(SETTINGS, str(tmp_path))
    keep_plan(path, said)
    assert kept_plan(path) == said


def test_only_settings_that_matter_name_the_file(tmp_path: Path) -> None:
    same = SETTINGS | {"run": {"note": "b"}, "tensorboard": False}
    other = SETTINGS | {"model": {"config": {"n_layers": 3}}}
    assert plan_path(same, str(tmp_path)) == plan_path(SETTINGS, str(tmp_path)) != plan_path(other, str(tmp_path))


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"forecasts": {"minutes": 3}}', '{"forecasts": 3}'])
def test_a_damaged_plan_is_no_plan(content: str | None, tmp_path: Path) -> None:
    path = plan_path(SETTINGS, str(tmp_path))
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_text(content)
    assert kept_plan(path) == {}
