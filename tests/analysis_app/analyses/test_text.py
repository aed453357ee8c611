"""What an analysis reads, as tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis_app.analyses.text import default_text, probe_ids, read_text, validation_ids, validation_pieces
from analysis_app.library import Library
from lab.model import GPT, GPTConfig
from tests.analysis_app.analyses.anatomy.models import open_model
from tests.analysis_app.conftest import validation_pieces as expected_pieces


def test_a_text_becomes_the_models_tokens(library: Library) -> None:
    source = read_text(library.open("tiny"), "the cat")
    assert "".join(source.tokens) == "the·cat"
    assert (source.run, source.step, len(source.ids)) == ("tiny", 12, 7)


def test_a_text_that_cannot_be_read_is_refused_with_the_remedy(library: Library) -> None:
    opened = library.open("tiny")
    with pytest.raises(ValueError, match=r"17 tokens and this model looks at 16: leave out 1"):
        read_text(opened, "t" * 17)
    with pytest.raises(ValueError, match="type at least 2"):
        read_text(opened, "t", at_least=2)
    with pytest.raises(ValueError, match="characters"):
        read_text(opened, "t" * 20_001)


def test_without_a_text_it_is_the_runs_own(library: Library) -> None:
    opened = library.open("tiny")
    assert read_text(opened, None).ids == probe_ids(opened)[:16]
    alone = open_model(GPT(GPTConfig(n_layers=1, n_heads=1, d_model=8, context_length=16, vocab_size=257)).eval())
    assert default_text(alone).startswith("The quick brown")
    with pytest.raises(ValueError, match="no validation text"):
        validation_ids(alone)


@pytest.mark.parametrize("probe", [[256] + [200, 97] * 20, [*b"to be<", 256, *b"or not to be, that is"], [256] * 9])
def test_it_fits_the_context_where_the_validation_text_has_ends_and_broken_characters(
    probe: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_model(GPT(GPTConfig(n_layers=1, n_heads=1, d_model=8, context_length=16, vocab_size=257)).eval())
    monkeypatch.setattr("analysis_app.analyses.text.probe_ids", lambda _: probe)
    read = read_text(opened, None, at_least=2)
    assert len(read.ids) <= 16
    assert "<|endoftext|>" not in default_text(opened)
    if 98 in probe:
        assert default_text(opened) == "or not to be, th"


def test_validation_text_in_pieces_of_the_context(library: Library, runs: Path) -> None:
    assert (validation_pieces(library.open("tiny")).numpy() == expected_pieces(runs)).all()
