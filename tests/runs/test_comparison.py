"""Runs side by side as plain data."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.runs import Run, create_run, metrics
from lab.runs.checkpoints import SNAPSHOT_SUFFIX, step_path, write_facts
from lab.runs.comparison import Runs, choose_metric, compare, elsewhere, read
from lab.runs.metrics_log import MetricsDelta, MetricsHistory
from tests.report.runs import make_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two learning rates under two seeds each."""
    root = tmp_path_factory.mktemp("comparison")
    return [make_run(root, f"{lr}-{seed}", steps=40, seed=seed, lr=lr) for lr in (1e-3, 4e-3) for seed in (1, 2)]


def test_seeds_of_one_configuration_are_a_group(runs: list[Run]) -> None:
    found = compare(read(runs), metrics.VAL_LOSS, "tokens", None)
    assert [(group["name"], list(group["runs"])) for group in found["groups"]] == [
        ("A", ["0.001-1", "0.001-2"]),
        ("B", ["0.004-1", "0.004-2"]),
    ]
    assert found["settings"] == {"model.optimizer.lr": {"A": 1e-3, "B": 4e-3}}
    assert found["at"] == 40 * 64
    assert len(found["differences"]) == 1


def test_runs_of_one_seed_are_pairs_where_they_began_with_the_same_weights(runs: list[Run]) -> None:
    def kind() -> str:
        return str(compare(read(runs), metrics.VAL_LOSS, "tokens", None)["differences"][0]["kind"])

    def begin_with(run: Run, weights: str) -> None:
        path = step_path(run.snapshots_dir, 0, SNAPSHOT_SUFFIX)
        path.parent.mkdir(exist_ok=True)
        path.write_text(weights)
        write_facts(path, 0, kind="snapshot")

    for run in runs:
        begin_with(run, run.name.partition("-")[2])
    assert kind() == "pairs"
    begin_with(runs[-1], "of another shape")
    assert kind() == "seeds"
    for path in runs[-1].snapshots_dir.iterdir():
        path.unlink()
    assert kind() == "seeds"


def test_what_cannot_be_read_is_a_note_and_the_run_stays(runs: list[Run], tmp_path: Path) -> None:
    empty = create_run(tmp_path, "empty")
    damaged = create_run(tmp_path, "damaged")
    damaged.config_path.write_text("- no mapping")
    found = read([*runs, empty, damaged])
    assert len(found.runs) == 6
    assert any(note.startswith("empty: no metrics yet") for note in found.notes)
    assert any("does not hold a mapping" in note for note in found.notes)
    assert compare(found, metrics.VAL_LOSS, "step", None)["groups"][-1]["mean"] is None


def test_a_metric_that_no_run_has_is_refused_with_the_nearest(runs: list[Run]) -> None:
    assert choose_metric(read(runs), None) == metrics.VAL_LOSS
    with pytest.raises(ValueError, match="did you mean 'val/loss'"):
        choose_metric(read(runs), "val/los")


def test_the_spread_of_other_runs_on_the_same_text(runs: list[Run]) -> None:
    assert elsewhere(read(runs[:1]), metrics.VAL_LOSS, "tokens", str(runs[0].path.parent)) == pytest.approx(
        elsewhere(read(runs[1:2]), metrics.VAL_LOSS, "tokens", str(runs[0].path.parent)), rel=1
    )
    assert elsewhere(read(runs), metrics.VAL_LOSS, "tokens", str(runs[0].path.parent)) is None


def measured(*rows: dict[str, float]) -> MetricsHistory:
    history = MetricsHistory()
    history.apply(MetricsDelta(list(rows)))
    return history


def test_runs_of_other_lengths_are_compared_on_the_windows_that_all_of_them_read() -> None:
    """The whole split was read at their ends alone: at the end of the shorter one the longer has only the subset."""
    subset, whole = metrics.VAL_SUBSET_LOSS, metrics.VAL_LOSS
    short = measured({"step": 0, "tokens": 0, subset: 4.0}, {"step": 10, "tokens": 640, subset: 3.0, whole: 3.1})
    long = measured({"step": 10, "tokens": 640, subset: 2.9}, {"step": 20, "tokens": 1280, subset: 2.0, whole: 2.1})
    found = Runs({}, histories={"short": short, "long": long})
    assert choose_metric(found, None) == subset
    assert "the same random windows of the held-out text" in found.notes[0]
    assert choose_metric(Runs({}, histories={"short": short, "again": short}), None) == whole
    assert choose_metric(found, whole) == whole
    early = measured({"step": 10, "tokens": 640, whole: 3.0}, {"step": 20, "tokens": 1280, whole: 2.5})
    assert choose_metric(Runs({}, histories={"short": short, "earlier version": early}), None) == whole


def test_contexts_that_differ_are_said(runs: list[Run]) -> None:
    found = read(runs[:2])
    choose_metric(found, None)
    assert not any("contexts differ" in note for note in found.notes)
    found.data[runs[0].name] = found.data[runs[0].name] | {"context_length": 32}
    choose_metric(found, None)
    assert any(note.startswith("The contexts differ (16, 32 tokens)") for note in found.notes)
