"""What was given on a command line or from Python, in order."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab.settings.arguments import Arguments

WORD = st.text("abc.=-+3", min_size=1, max_size=6).filter(lambda w: not w.startswith(("--config", "-c")))


@given(st.lists(WORD, max_size=8))
def test_no_word_is_lost(words: list[str]) -> None:
    assert Arguments.of(words).words() == words


@pytest.mark.parametrize("words", [["--run.root", "a b"], ["--run.root=a b"]])
def test_a_value_is_the_same_in_both_spellings(words: list[str]) -> None:
    assert Arguments.of(words).value("run.root") == "a b"


def test_the_last_of_two_values_counts() -> None:
    found = Arguments.of(["--seed", "-1", "--seed=2", "--check", "--json", "true"])
    assert (found.value("seed"), found.value("check"), found.value("json"), found.value("pilot")) == (
        "2",
        "",
        "true",
        None,
    )


def test_a_flag_under_its_other_name() -> None:
    found = Arguments.of(["--root=x", "--root", "y", "--rootless", "z"]).renamed("root", "run.root")
    assert found.words() == ["--run.root=x", "--run.root", "y", "--rootless", "z"]


def test_layers_of_a_group_in_order(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("horizon:\n  minutes: 5\n")
    found = Arguments.of(["--horizon.steps", "3", "--config", str(file)])
    assert found.layers_of("horizon") == [{"minutes": 5}, {"steps": "3"}]


def test_python_layers_become_files() -> None:
    groups = {"horizon": {"steps": 3}, "model.config.n_layers": 2}
    found = Arguments.from_python([{"run": {"note": "hello"}}], groups)
    trees = [yaml.safe_load(word) for word in found.words()[1::2]]
    assert trees == [{"run": {"note": "hello"}}, {"horizon": {"steps": 3}, "model": {"config": {"n_layers": 2}}}]
    assert Arguments.from_python(None, {}).words() == []


def test_a_config_flag_without_a_file() -> None:
    for words in (["--config"], ["--config="], ["--config", "--check"]):
        with pytest.raises(ValueError, match="give a file of settings"):
            Arguments.of(words)
