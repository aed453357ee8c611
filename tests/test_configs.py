"""Every YAML under configs/: its command is right, it says only what differs, and it trains."""

from __future__ import annotations

import math
import shlex
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.__main__ import main
from lab.runs import open_run
from lab.runs.configurations import flatten
from lab.settings.arguments import Arguments
from lab.settings.parse import Settings
from tests.shrunk import shrunk

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").rglob("*.yaml"))
COMMAND = "# python -m lab fit "
LOOKING = ("samples", "probes", "attention_maps", "activation_histograms", "snapshots", "checkpoint")
"""Instruments that a sick run of three steps can do without."""
SHAPE = {f"model.config.{name}" for name in ("n_layers", "n_heads", "d_model")}
"""Defaults or not, a shape may be said, and then whole: how large a model is should not have to be looked up."""


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def is_preset(config: str) -> bool:
    """Whether a file holds the settings of `model.config` alone."""
    return config.startswith("configs/model/")


def is_sick(config: str) -> bool:
    """Whether a file belongs to the zoo: many, and alike but for one thing; what trains was understood."""
    return config.startswith("configs/broken/")


def command_of(config: str) -> list[str]:
    """The arguments of `fit` in the first line of a file."""
    first = (ROOT / config).read_text().splitlines()[0]
    assert first.startswith(COMMAND), f"the first line of {config} must be {COMMAND!r}…, it is {first!r}"
    return shlex.split(first.removeprefix(COMMAND))


@cache
def settings_of(*args: str) -> dict[str, Any]:
    """Every setting of a fit with these arguments, defaults included, by dotted name."""
    return flatten(Settings("fit", Arguments.of([*args])).tree)


def test_there_are_configs_of_every_kind() -> None:
    assert {Path(config).parent.as_posix() for config in CONFIGS} >= {"configs", "configs/model", "configs/debug"}


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_begins_with_the_command_that_runs_it(config: str) -> None:
    args = command_of(config)
    flag = "--model.config" if is_preset(config) else "--config"
    assert (flag, config) in pairwise(args)
    named = [value for name, value in pairwise(args) if name == flag]
    assert named[-1] == config, "it lies on top of what its command names before it"


@pytest.mark.parametrize("config", [config for config in CONFIGS if not is_sick(config)])
def test_a_config_and_its_command_are_understood(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", *command_of(config), "--check"]) == 0, capsys.readouterr().err
    assert "settings are fine" in capsys.readouterr().out


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_says_only_what_differs(config: str) -> None:
    args = command_of(config)
    at = args.index(config)
    before = args[: at - 1] if "--config" in args[: at - 1] else []
    # Without a horizon nothing is understood; what a file under test says of it is never a default.
    base = settings_of(*before) if before else settings_of("--horizon.steps", "1") | {"horizon.steps": None}
    said = flatten(yaml.safe_load((ROOT / config).read_text()))
    if is_preset(config):
        base, said = settings_of("--horizon.steps", "1"), {f"model.config.{key}": value for key, value in said.items()}
    needless = {key: value for key, value in said.items() if base.get(key, said) == value}
    if said.keys() >= SHAPE:
        needless = {key: value for key, value in needless.items() if key not in SHAPE | {"model.config.context_length"}}
    assert not needless, f"{config} repeats what holds without it: {needless}"


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_trains(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = shrunk(command_of(config), tmp_path, steps=3)
    if is_sick(config):
        args += [word for group in LOOKING for word in (f"--{group}.every", "0")]
    assert main(["fit", *args, "--run.name", "short", "--tensorboard", "false"]) == 0, capsys.readouterr().err
    run = open_run("short", tmp_path / "runs")
    steps, losses = run.metrics().series("train/loss")
    assert steps == [0, 1, 2]
    assert all(map(math.isfinite, losses))
    assert run.status().state == "completed"


def test_a_preset_changes_nothing_but_the_model() -> None:
    base = ["--config", "configs/shakespeare_char.yaml"]
    before, after = settings_of(*base), settings_of(*base, "--model.config", "configs/model/nano.yaml")
    assert {key for key in after if after[key] != before[key]} == {
        "model.config.n_layers",
        "model.config.n_heads",
        "model.config.d_model",
    }
