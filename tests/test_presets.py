"""Configurations by name, and layers of settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.presets import configurations, find_settings, lay_over, nested, read_settings
from lab.runs.configurations import flatten

KEYS = st.sampled_from(["a", "b", "c"])
TREES = st.recursive(
    st.dictionaries(KEYS, st.integers(), min_size=1), lambda inner: st.dictionaries(KEYS, inner, min_size=1)
)


def test_a_configuration_is_found_by_name() -> None:
    assert find_settings("quickstart").name == "quickstart.yaml"
    assert find_settings("experiments/markov").exists()
    assert "experiments/markov" in configurations("", "experiments")
    assert find_settings("no/such") == Path("no/such")


def test_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("experiments/markov").mkdir(parents=True)  # a folder holds no settings
    assert find_settings("experiments/markov").is_file()
    Path("quickstart").write_text("run:\n  note: mine\n")
    assert read_settings(find_settings("quickstart")) == {"run": {"note": "mine"}}


@given(TREES, TREES)
def test_what_lies_on_top_wins(below: dict[str, object], top: dict[str, object]) -> None:
    found = flatten(lay_over(lay_over({}, below), top))
    said = flatten(top)
    assert {key: found[key] for key in said} == said
    untouched = {k: v for k, v in flatten(below).items() if not any(_overlap(k, key) for key in said)}
    assert {k: found[k] for k in untouched} == untouched


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def test_laying_over_leaves_the_layer_alone() -> None:
    top = {"model": {"config": {"n_layers": 2}}}
    tree = lay_over({}, top)
    tree["model"]["config"]["n_layers"] = 3
    assert top == nested("model.config.n_layers", 2)


def test_a_wrong_name_lists_those_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"--config quikstart: .*did you mean quickstart\? there are .*shakespeare_char"
    ):
        read_settings("quikstart")
    with pytest.raises(ValueError, match="did you mean experiments/markov"):
        read_settings("markov")
    with pytest.raises(ValueError, match=r"no file and .*; there are .*experiments/…, model/…"):
        read_settings("../../etc")
