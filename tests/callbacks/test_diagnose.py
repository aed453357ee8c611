"""The rules in a real fit: they find faults that were built in, as events and on the screen, and change no bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.__main__ import main
from lab.callbacks.diagnose import Diagnose
from lab.diagnosis import diagnose
from lab.runs import Run, open_run
from lab.runs.events import Finding, of_kind
from tests.shrunk import shrunk
from tests.tiny import losses, tiny_args

QUIET = ("--samples.every", "0", "--attention_maps.every", "0", "--snapshots.every", "0", "--checkpoint.every", "0")


def fit(folder: Path, name: str, *more: str, steps: int = 10, code: int = 0) -> Run:
    assert main(["fit", *tiny_args(folder, *QUIET, *more, name=name, steps=steps)]) == code
    return open_run(name, folder / "runs")


def faults(args: str) -> tuple[str, ...]:
    return ("--trainer.callbacks+=lab.callbacks.faults.Faults", *(f"--trainer.callbacks.{a}" for a in args.split()))


def findings(run: Run) -> dict[str, Finding]:
    """The first event of each rule."""
    found: dict[str, Finding] = {}
    for finding in of_kind(run.events(), Finding):
        found.setdefault(finding.rule, finding)
    return found


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(tmp_path_factory.mktemp("healthy"), "healthy")


def test_on_a_healthy_run_it_says_nothing_above_a_note(healthy: Run) -> None:
    assert {event.level for event in findings(healthy).values()} <= {"note"}
    assert not [event for event in healthy.events() if event.kind == "instrument_failed"]
    row = healthy.metrics().rows[0]
    assert row["audit/sees_future"] == 0
    assert row["audit/val_in_train"] < 0.5
    assert row["audit/training_mode"] == 0
    later = healthy.metrics().latest
    assert later("audit/next_targets") == 1
    assert later("audit/same_targets") < 0.5


def test_it_changes_no_bit_of_the_training(healthy: Run, tmp_path: Path) -> None:
    without = fit(tmp_path, "without", "--doctor.every", "0", "--audit.every", "0")
    assert losses(without.path) == losses(healthy.path)
    assert not findings(without)
    assert not [name for name in without.metrics().names() if name.startswith("audit/")]


@pytest.mark.parametrize(
    ("how", "rule", "level"),
    [
        ("causal=false", "sees_future", "alarm"),
        ("labels=same", "labels", "alarm"),
        ("labels=after_next", "labels", "alarm"),
        ("leak=true", "leakage", "alarm"),
        ("dropout_in_validation=true", "dropout_in_evaluation", "alarm"),
        ("shuffle=false", "unshuffled", "warning"),
    ],
)
def test_a_faulty_run_is_named_by_its_own_rule_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str, rule: str, level: str
) -> None:
    dropout = ("--model.config.dropout", "0.1") if "dropout" in how else ()
    run = fit(tmp_path, "sick", *faults(how), *dropout)
    event = findings(run)[rule]
    assert event.level == level
    assert event.step <= 10
    assert event.tries
    assert event.source.startswith("lab/diagnosis/")
    said = capsys.readouterr()
    assert (said.out + said.err).count(f"({rule})") == 1, "one line on the screen"
    assert [f.rule for f in diagnose(run).told if f.rule == rule], "and the same afterwards"


def test_a_loss_that_is_not_finite_is_found_in_the_last_moment(tmp_path: Path) -> None:
    nan = '[{"match": "mlp.down.bias", "shift": ".nan", "at_step": 4}]'
    run = fit(tmp_path, "nan", *faults(f"weights={nan.replace(' ', '')}"), code=1)
    assert findings(run)["non_finite"].since == 4
    assert [f.since for f in diagnose(run).findings if f.rule == "non_finite"] == [4]


@pytest.mark.parametrize("name", ["no_mask", "lr_too_high"])
def test_a_yaml_of_the_zoo_does_what_its_comment_says(tmp_path: Path, name: str) -> None:
    args = ["--config", "configs/broken/healthy.yaml", "--config", f"configs/broken/{name}.yaml"]
    small = shrunk(args, tmp_path, steps=12)
    assert main(["fit", *small, "--run.name", "sick", "--tensorboard", "false", *QUIET]) == 0
    rule = {"no_mask": "sees_future", "lr_too_high": "lr_too_high"}[name]
    assert rule in findings(open_run("sick", tmp_path / "runs"))


def test_a_resumed_run_is_not_told_twice(tmp_path: Path) -> None:
    args = tiny_args(tmp_path, *faults("causal=false"), name="run", steps=6)
    assert main(["fit", *args]) == 0
    root = ("--run.root", str(tmp_path / "runs"))
    assert main(["fit", "--resume", "run", *root, "--horizon.steps", "10"]) == 0
    found = of_kind(open_run("run", tmp_path / "runs").events(), Finding)
    told = [finding for finding in found if finding.rule == "sees_future"]
    assert len(told) == 1


def test_settings_that_cannot_be_are_refused_all_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"doctor\.every is -1") as caught:
        Diagnose(every=-1, thresholds={"logit_hi": 3})
    assert "did you mean 'logit_high'" in str(caught.value)
    assert main(["fit", *tiny_args(tmp_path, "--doctor.thresholds", '{"logit_hi": 3}', "--check")]) == 2
    assert "doctor.thresholds has 'logit_hi'" in capsys.readouterr().err
