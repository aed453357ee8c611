"""Which finished runs count for a forecast, and why the others do not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from lab.__main__ import main
from lab.forecasting.finished import Finished, finished_runs
from lab.runs import create_run, list_runs, open_run
from tests.tiny import tiny_args


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One real run, and around it all that can lie in a folder of runs."""
    folder = tmp_path_factory.mktemp("finished")
    off = [x for g in ("samples", "probes", "attention_maps", "activation_histograms") for x in (f"--{g}.every", "0")]
    assert main(["fit", *tiny_args(folder, *off, steps=8, name="good")]) == 0
    runs = folder / "runs"
    good = open_run("good", runs)
    for name, files in {
        "no-metrics": {"run.json": {}, "data.json": {}},
        "stopped": {"run.json": {"state": "stopped"}},
        "forked": {"run.json": {"parent": {"run": "good", "step": 4}}, "data.json": {}},
        "other-text": {"run.json": {}, "data.json": {"corpus": {"name": "text", "fingerprint": "another"}}},
        "nans": {"run.json": {}, "data.json": {}},
        "shapeless": {"run.json": {}, "data.json": {}},
        "muon": {"run.json": {}, "data.json": {}},
        "older": {"run.json": {"format": 0}, "data.json": {}},
    }.items():
        run = create_run(runs, name)
        for file, changes in files.items():
            (run.path / file).write_text(json.dumps(json.loads((good.path / file).read_text()) | changes))
        (run.path / "config.yaml").write_text((good.path / "config.yaml").read_text())
    nan = '{"step":8,"tokens":512,"time":1,"val/loss":null}\n'
    (runs / "nans" / "metrics.jsonl").write_text(nan)
    for name in ("shapeless", "muon"):
        (runs / name / "metrics.jsonl").write_text((good.path / "metrics.jsonl").read_text())
    config = yaml.safe_load((runs / "muon" / "config.yaml").read_text())
    config["model"]["optimizer"]["name"] = "muon"
    (runs / "muon" / "config.yaml").write_text(yaml.safe_dump(config))
    (create_run(runs, "empty").path / "run.json").write_text("torn")
    return runs


def ask(root: Path) -> Finished:
    data = open_run("good", root).data()
    assert data is not None
    return finished_runs(
        list_runs(root),
        corpus=data["corpus"]["fingerprint"],
        tokenizer=data["tokenizer"]["fingerprint"],
        validation=data["validation"]["tokens"],
        settings={"model.optimizer.name": "adamw"},
    )


def test_a_complete_run_of_this_text_counts(root: Path) -> None:
    found = ask(root)
    assert found.names == ["good"]
    (one,) = found.runs
    metrics = open_run("good", root).metrics()
    assert one.loss == metrics.latest("val/loss")
    assert one.tokens == 8 * 64
    assert one.curve[-1] == (1.0, one.loss)


def test_a_run_resumed_three_times_counts_as_one(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "good", tmp_path / "good")
    lines = (root / "good" / "metrics.jsonl").read_text().splitlines(keepends=True)
    later = [line for line in lines if json.loads(line)["step"] > 4]
    with (
        (tmp_path / "good" / "metrics.jsonl").open("a") as metrics,
        (tmp_path / "good" / "events.jsonl").open("a") as e,
    ):
        for _ in range(3):
            e.write('{"kind":"resumed","step":4,"wall":1}\n')
            metrics.writelines(later)
    found, plain = ask(tmp_path), ask(root)
    assert found.names == ["good"]
    assert found.runs == plain.runs


def test_each_other_one_has_a_reason(root: Path) -> None:
    reasons = ask(root).left_out
    expected = {
        "no-metrics": "not measured",
        "stopped": "stopped, not completed",
        "forked": "another run's weights",
        "other-text": "another text",
        "nans": "not finite",
        "shapeless": "shape of its model",
        "muon": "model.optimizer.name is muon",
        "older": "not completed",
        "empty": "not completed",
    }
    assert reasons.keys() == expected.keys()
    for name, words in expected.items():
        assert words in reasons[name], reasons[name]
        assert "\n" not in reasons[name]
