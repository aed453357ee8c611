"""Norms over training are those of the log."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis_app.analyses.training_norms import training_norms
from analysis_app.library import Library
from lab.runs import open_run


def test_norms_over_training_are_those_of_the_log(library: Library, runs: Path) -> None:
    found = training_norms(library, "tiny")
    assert found["places"] == ["layer0", "layer1", "embedding"]
    history = open_run("tiny", runs).metrics()
    for measure in found["measures"]:
        steps, values = history.series(f"{measure['name']}.layer1")
        assert steps
        at = [found["steps"].index(step) for step in steps]
        np.testing.assert_allclose(measure["values"][1, at], values, rtol=1e-6)
    assert found["measures"][1]["name"] == "stats/update_ratio"
