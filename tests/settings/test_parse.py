"""Wrong settings: one line each, all at once, exit code 2, and nothing left behind."""

from __future__ import annotations

import contextlib
import datetime
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.__main__ import main
from lab.presets import nested, read_settings
from lab.settings.arguments import Arguments
from lab.settings.messages import takes_null
from lab.settings.parse import Settings, build_parser, known_keys
from tests.tiny import tiny_args


def fit_errors(capsys: pytest.CaptureFixture[str], *args: str) -> list[str]:
    """The error lines of a `fit` that must be refused."""
    assert main(["fit", *args]) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert all(line.startswith("error: ") for line in lines), captured.err
    return lines


def test_a_misspelt_setting_is_answered_with_the_right_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = fit_errors(capsys, *tiny_args(tmp_path), "--model.config.n_layres", "3")
    assert "n_layres" in line
    assert "did you mean model.config.n_layers" in line


def test_several_mistakes_of_several_kinds_are_reported_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text("model:\n  config:\n    n_layers: three\n    d_modle: 4\ndata:\n  batch_sise: 3\n")
    lines = fit_errors(capsys, *tiny_args(tmp_path), "--config", str(config), "--horizon.stepps", "3")
    assert len(lines) == 4
    for word in ("n_layers", "d_modle", "batch_sise", "stepps"):
        assert sum(word in line for line in lines) == 1, (word, lines)
    assert str(config) in " ".join(lines)


@pytest.mark.parametrize(
    ("setting", "remedy"),
    [
        ("model:\n  config:\n    vocab_size: 77\n", "data.tokenizer"),
        ("trainer:\n  max_steps: 5\n", "horizon.steps"),
        ("trainer:\n  gradient_clip_val: 1.0\n", "model.optimizer.clip"),
        ("trainer:\n  accumulate_grad_batches: 2\n", "data.tokens_per_step"),
    ],
)
def test_what_something_else_decides_is_never_silently_ignored(
    setting: str, remedy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "overruled.yaml"
    config.write_text(setting)
    (line,) = fit_errors(capsys, *tiny_args(tmp_path), "--config", str(config))
    assert remedy in line


@pytest.mark.parametrize(
    "words", [["--config", "quickstart"], ["--config=quickstart"], ["-c", "configs/quickstart.yaml"]]
)
def test_a_configuration_is_given_by_name_or_by_file(words: list[str]) -> None:
    assert Settings("fit", Arguments.of(words)).tree == Settings("fit", Arguments.from_python("quickstart", {})).tree


def test_a_missing_or_broken_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = fit_errors(capsys, "--config", "configs/quikstart.yaml")
    assert "did you mean configs/quickstart.yaml" in line
    broken = tmp_path / "broken.yaml"
    broken.write_text("model: [\n")
    (line,) = fit_errors(capsys, "--config", str(broken))
    assert str(broken) in line


def must_have_a_value() -> list[str]:
    """Every setting of every group that has no null among its values."""
    parser = build_parser("fit")
    defaults = parser.get_defaults()
    return [key for key, type_ in known_keys(parser).items() if key in defaults and not takes_null(type_)]


def test_most_settings_must_have_a_value() -> None:
    assert {"data.batch_size", "data.val_fraction", "model.optimizer.lr", "seed_everything", "tensorboard"} < {
        *must_have_a_value()
    }


@pytest.mark.parametrize("key", must_have_a_value())
def test_an_empty_value_is_one_line(key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "empty.yaml"
    config.write_text(yaml.safe_dump(nested(key, None)))
    (line,) = fit_errors(capsys, *tiny_args(tmp_path), "--config", str(config))
    assert line.startswith(f"error: {key} is None: expected ")
    assert str(config) in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", [["fit", "--check"], ["plan"], ["fit", "--resume", "nothing"]])
@pytest.mark.parametrize("group", ["data: {batch_size:}", "model: {optimizer: {lr:}}", "checkpoint: {keep: [1]}"])
def test_every_command_refuses_it(
    command: list[str], group: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "empty.yaml"
    config.write_text(f"{group}\n")
    name = None if "--resume" in command else "tiny"
    assert main([command[0], *tiny_args(tmp_path, name=name), "--config", str(config), *command[1:]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "expected a" in line or "no run 'nothing'" in line


def test_an_empty_value_in_the_file_of_a_group(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.yaml").write_text("n_layers: 1\nn_heads:\n")
    (line,) = fit_errors(capsys, *tiny_args(tmp_path), "--model.config", str(tmp_path / "model.yaml"))
    assert "model.config.n_heads is None: expected a whole number" in line


@pytest.mark.parametrize("group", ["checkpoint: {keep:}", "horizon: {tokens:}", "run: {name:}"])
def test_an_empty_value_that_may_be_empty(group: str, tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text(group)
    arguments = Arguments.of([*tiny_args(tmp_path, name=None), "--config", str(tmp_path / "empty.yaml")])
    assert Settings("fit", arguments).values.checkpoint.keep is None


@pytest.mark.parametrize("text", ["1e5", "12e4567", "1.5e-3", "7", "yes", "2026-11-28", "null", "0x1f", "~", "1_0"])
def test_a_text_that_looks_like_something_else_stays_one(text: str, tmp_path: Path) -> None:
    asked = {"run.root": str(tmp_path), "run.note": text, "model.optimizer.lr": "1e-3", "horizon.steps": 300}
    first = Settings("fit", Arguments.from_python("quickstart", asked))
    kept = tmp_path / "config.yaml"
    kept.write_text(first.text.replace("lr: 0.001", "lr: 1e-3"))
    again = Settings("fit", Arguments.of(["--config", str(kept)]))
    assert (again.values.run.note, again.values.model.optimizer.lr) == (text, 0.001)
    assert Settings("fit", Arguments().over(read_settings(kept), str(kept))).text == first.text == again.text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["#hash.txt", "~tilde.txt", "- dash.txt", "-dash.txt", "1e5", "2024-01-01", "yes"])
@pytest.mark.parametrize("form", ["flag", "yaml", "quoted"])
def test_a_file_may_have_any_name(name: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    args = tiny_args(tmp_path)
    (tmp_path / "corpus.txt").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    at = args.index("--data.path")
    written = f'"{name}"' if form == "quoted" or name.startswith(("#", "- ")) else name
    Path("path.yaml").write_text(f"data:\n  path: {written}\n")
    args[at : at + 2] = [f"--data.path={name}"] if form == "flag" else ["--config", "path.yaml"]
    assert Settings("fit", Arguments.of(args)).values.data.path == name


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("wandb: off", "wandb", "off"),
        ("tensorboard: off", "tensorboard", False),
        ("run: {name: 007}", "run.name", "007"),
        ("run: {note: 2024-01-01}", "run.note", "2024-01-01"),
        ("predict: {mental_model: no}", "predict.mental_model", "no"),
        ("samples: {prompts: [yes, 1.50, a]}", "samples.prompts", ["yes", "1.50", "a"]),
        ("trainer: {precision: 32}", "trainer.precision", 32),
    ],
)
def test_a_word_that_yaml_takes_for_something_else(text: str, key: str, meant: object, tmp_path: Path) -> None:
    (tmp_path / "word.yaml").write_text(text)
    words = [*tiny_args(tmp_path, name=None), "--config", str(tmp_path / "word.yaml")]
    assert Settings("fit", Arguments.of(words)).values[key] == meant


def test_a_configuration_may_come_through_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("horizon: {steps: 77}",), daemon=True)
    writer.start()
    words = [*tiny_args(tmp_path), "--config", str(tmp_path / "pipe")]
    assert Settings("fit", Arguments.of(words)).values.horizon.steps == 77


@pytest.mark.parametrize("text", ["[x", "#x", "{", "a: b: c"])
def test_a_group_that_is_no_yaml_is_one_line(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = fit_errors(capsys, *tiny_args(tmp_path), "--data", text)
    assert "no such file" in line


@pytest.mark.parametrize("value", ["", {1: 2}, 10**30, [datetime.date(2020, 1, 2)]], ids=repr)
def test_a_value_of_any_type_is_taken_or_refused(value: Any, tmp_path: Path) -> None:
    """With no other exception than the one that becomes lines, for every setting."""
    for key in known_keys(build_parser("fit")):
        with contextlib.suppress(ValueError):
            Settings(
                "fit", Arguments.from_python({}, {key: value, "run.root": str(tmp_path), "trainer.accelerator": "cpu"})
            )


def test_a_horizon_on_the_command_line_replaces_the_one_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "minutes.yaml"
    config.write_text("horizon:\n  minutes: 5\n")
    assert main(["fit", "--config", str(config), *tiny_args(tmp_path), "--check"]) == 0
    assert "settings are fine" in capsys.readouterr().out


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fti"]) == 2
    assert "did you mean 'fit'" in capsys.readouterr().err


def test_the_help_explains_every_setting_of_the_lab() -> None:
    parser = build_parser("fit")
    settings = [action for action in parser._actions if "." in action.dest and not action.dest.startswith("trainer.")]
    assert len(settings) > 50
    groups = ("model.config", "model.optimizer", "model.schedule")
    assert not [s.dest for s in settings if s.dest not in groups and "vocab_size" not in s.dest and not s.help]
