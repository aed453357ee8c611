"""The configuration: against the defaults, against the parent, over resumes."""

from __future__ import annotations

import json

from lab.report.run_record import RunRecord, read_record
from lab.report.sections.configuration import configuration
from lab.runs import Run
from tests.report.runs import lines, make_run, text_in, text_of


def test_what_differs_from_the_defaults(record: RunRecord) -> None:
    text = text_in(configuration(record))
    assert "| `model.config.positions` | rope | learned |" in text
    assert "| 200 | factor on the learning rate | 1 → 0.5 |" in text


def test_defaults_that_were_not_recorded_are_not_guessed(run: Run) -> None:
    status = json.loads(run.status_path.read_text())
    del status["details"]["defaults"]
    run.status_path.write_text(json.dumps(status))
    assert "did not record which settings differ" in text_in(configuration(read_record(run)))
    run.status_path.write_text(json.dumps(status | {"details": status["details"] | {"defaults": {}}}))
    assert "Every setting has its default." in text_in(configuration(read_record(run)))


def test_what_differs_from_the_parent(run: Run) -> None:
    make_run(run.path.parent, "mother", steps=10, lr=2e-3)
    status = json.loads(run.status_path.read_text())
    run.status_path.write_text(json.dumps(status | {"parent": {"run": "mother", "step": 5}}))
    text = text_in(configuration(read_record(run)))
    assert "A fork of `mother` at step 5: what differs" in text
    assert "| `model.optimizer.lr` | 0.001 | 0.002 |" in text
    run.status_path.write_text(json.dumps(status | {"parent": {"run": "gone", "step": 5}}))
    assert "A fork of `gone` at step 5, with the same settings." in text_in(configuration(read_record(run)))


def test_resumed_three_times(run: Run) -> None:
    with open(run.metrics_path, "ab") as metrics, open(run.events_path, "ab") as events:
        for back in (300, 250, 350):
            metrics.write(lines({"step": back, "rewound_from": 400, "wall": 1.0}))
            rows = ({"step": s, "tokens": s * 64, "time": s, "train/loss": 2.5} for s in range(back, 401))
            metrics.write(lines(*rows))
            events.write(lines({"kind": "rewound", "step": back, "rewound_from": 400, "wall": 1.0}))
            changed = {"model.optimizer.lr": {"from": 1, "to": 2}}
            events.write(lines({"kind": "resumed", "step": back, "changed": changed}))
    text = text_of(run)
    assert "resumed 3 times" in text
    assert "model.optimizer.lr: 1 → 2" in text
    assert "300 steps trained twice" in text
