"""`fit` in a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fitting.test_lifecycle import finished, fit  # noqa: F401
from tests.tiny import tiny_args


def test_the_last_words_tell_what_it_is_worth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(*tiny_args(tmp_path)) == 0
    out = capsys.readouterr().out
    for word in (
        "this model",
        "uniform",
        "unigram",
        "bigram",
        "xz",
        "bits/byte",
        "perplexity",
        "a sample",
        "lab generate",
        "lab runs show",
        "tensorboard",
    ):
        assert word in out, word


def test_check_trains_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(*tiny_args(tmp_path), "--check") == 0
    assert not (tmp_path / "runs").exists()
