"""Broken runs as recorded: each is named by its rule, and has one right answer among its choices."""

from __future__ import annotations

from analysis_app.analyses.diagnosis_quiz import FOLDER, cases, choices, recording
from lab.diagnosis.broken_runs import BROKEN_RUNS, HEALTHY
from lab.runs.metrics import describe


def test_every_disease_that_can_be_asked_is_recorded_and_small() -> None:
    assert set(cases()) == {name for name, broken in BROKEN_RUNS.items() if broken.cause}
    for path in FOLDER.glob("*.json"):
        assert path.stat().st_size < 30_000, path.name
    for name in cases():
        found = recording(name)
        assert found["format"] == 1
        assert len(found["curves"]["train/loss"][0]) == len(found["curves"]["train/loss"][1]) > 10
        assert all(map(describe, found["curves"]))
        assert BROKEN_RUNS[name].rule in [finding["rule"] for finding in found["findings"]], (
            f"{name} is not named in its recording"
        )
        assert found["command"].startswith("python -m lab fit --config configs/broken/healthy.yaml")
    assert recording(HEALTHY)["findings"] == [f for f in recording(HEALTHY)["findings"] if f["level"] == "note"]


def test_choices_are_distinct_causes_the_right_one_among_them() -> None:
    for name in cases():
        found = choices(name)
        assert name in [c["id"] for c in found]
        assert len({c["cause"] for c in found}) == len(found) == 4
        seen = {BROKEN_RUNS[name].rule, *(finding["rule"] for finding in recording(name)["findings"])}
        assert [c["id"] for c in found if BROKEN_RUNS[c["id"]].rule in seen] == [name], "no second right answer"
