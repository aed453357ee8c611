"""Odd surroundings: variables left over from elsewhere, readers that have gone, terminals that show few characters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.environment import own_folder, settle, without_proxies
from tests.tiny import lab


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"MPLBACKEND": "module://matplotlib_inline.backend_inline"}, {}),
        ({"RANK": "", "SLURM_PROCID": "abc", "LOCAL_RANK": "1"}, {"LOCAL_RANK": "1"}),
        ({"COLUMNS": "0"}, {}),
        ({"COLUMNS": "-5"}, {}),
        ({"COLUMNS": "wide"}, {}),
        ({"COLUMNS": "120"}, {"COLUMNS": "120"}),
    ],
)
def test_what_would_end_or_spoil_a_program_is_set_right(given: dict[str, str], left: dict[str, str]) -> None:
    environment = dict(given)
    settle(environment)
    names = {"RANK", "SLURM_PROCID", "LOCAL_RANK", "COLUMNS"} & set(environment)
    assert {name: environment[name] for name in names} == left
    assert environment["MPLBACKEND"] == "agg"


def test_a_user_without_a_home_gets_a_folder_for_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    environment: dict[str, str] = {}
    settle(environment)
    home = Path(environment["HOME"])
    assert home.parent == tmp_path
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_another_user_made_first_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert own_folder("one") == own_folder("one") == tmp_path / "one"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "two").symlink_to(tmp_path / "elsewhere")
    assert own_folder("two") not in (tmp_path / "two", tmp_path / "elsewhere")


def test_proxies_are_hidden_for_a_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://localhost:1")
    monkeypatch.setenv("no_proxy", "::1")
    with without_proxies():
        assert not [name for name in os.environ if name.lower().endswith("_proxy")]
    assert (os.environ["ALL_PROXY"], os.environ["no_proxy"]) == ("socks://localhost:1", "::1")


COMMANDS = ("runs", "watch", "control", "diagnose", "compare", "report", "batch", "tokenizer", "generate")


@pytest.mark.parametrize("words", [[], ["--help"], *([command, "--help"] for command in COMMANDS)], ids=" ".join)
def test_help_outlives_its_reader(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "lab", *words], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=300
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["fit", "plan", "validate"])
def test_the_help_of_settings_outlives_its_reader(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "lab", command, "--help"]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=300)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
def test_help_in_every_encoding(encoding: str) -> None:
    done = lab("--help", env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C"})
    assert done.returncode == 0, done.stderr
    assert "commands:" in done.stdout


def test_a_full_disk_ends_help_with_a_line() -> None:
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "lab", "--help"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (2, "error: No space left on device\n")
