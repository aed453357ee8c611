"""What is said of a mistaken setting."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from lab.settings.messages import DECIDED_ELSEWHERE, bad_value, expected_of, stray_word, unknown_key
from lab.settings.parse import build_parser, known_keys


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (int, "expected a whole number"),
        (int | None, "expected a whole number or null"),
        (float | list[float] | None, "expected a number or a list or null"),
        (Literal["off", "online"], "expected one of 'off', 'online'"),
        (dict[str, Any] | None, "expected a mapping such as {name: value} or null"),
        (object, ""),
    ],
)
def test_a_type_in_words(type_: Any, words: str) -> None:
    assert expected_of(type_) == words


def test_every_setting_has_words_or_is_a_class() -> None:
    wordless = {key for key, type_ in known_keys(build_parser("fit")).items() if not expected_of(type_)}
    assert all(key.startswith("trainer.") for key in wordless)


def test_a_value_and_what_would_be_right() -> None:
    assert bad_value("a.b", "", int, "") == "a.b is '': expected a whole number"
    said = bad_value("trainer.callbacks", "x", object, "Problem with given class_path 'x.Y':\n  - more")
    assert said == (
        "trainer.callbacks is x: Problem with given class_path 'x.Y':"
        " (give a class's import path, such as lightning.pytorch.callbacks.EarlyStopping)"
    )


def test_near_names() -> None:
    keys = ["model.config.n_layers", "model.config.n_heads", "data.seed"]
    assert unknown_key("n_layers", keys) == "n_layers: no such setting; did you mean model.config.n_layers?"
    assert unknown_key("zzz", keys) == "zzz: no such setting"
    assert "--config a.yaml" in stray_word("a.yaml")


def test_what_is_decided_elsewhere_is_no_setting() -> None:
    assert not DECIDED_ELSEWHERE.keys() & known_keys(build_parser("fit")).keys() - {"model.config.vocab_size"}
