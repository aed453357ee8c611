from __future__ import annotations

from typing import Any

import pytest

from lab.data.settings import DataSettings


def test_all_mistakes_are_said_at_once() -> None:
    with pytest.raises(ValueError, match="batch_size") as error:
        DataSettings(
            corpus="pyton",
            tokenizer="wordpiece",
            vocab_size=-1,
            context_length=0,
            batch_size=0,
            tokens_per_step=0,
            val_tokens=0,
        )
    lines = str(error.value).splitlines()
    named = (
        "corpus",
        "tokenizer",
        "vocab_size",
        "context_length",
        "batch_size",
        "tokens_per_step",
        "val_tokens",
    )
    for name in named:
        assert any(line.startswith(f"data.{name} is") for line in lines), name
    assert "did you mean 'python'" in str(error.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"val_fraction": 1.5}, "val_fraction is 1.5"),
        ({"corpus": "text"}, "data.path is not set"),
        ({"path": "x.txt"}, "data.path"),
        ({"corpus_options": {"textkey": "a"}}, "corpus_options.textkey"),
        ({"vocab_size": 256}, "'bpe' needs 257"),
        ({"context_length": 64, "batch_size": 12, "tokens_per_step": 1000}, "the nearest are 768 or 1536"),
        ({"context_length": 64, "batch_size": 12, "tokens_per_step": 700}, "the nearest are 768$"),
    ],
)
def test_what_cannot_be_is_said_at_construction(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DataSettings(**settings)


@pytest.mark.parametrize("name", ["vocab_size", "context_length", "batch_size", "tokens_per_step", "val_tokens"])
def test_an_absurd_size_is_one_line(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^data\.{name} is 10+: the most is \d+") as refused:
        DataSettings(**{name: 10**30})
    assert len(str(refused.value).splitlines()) == 1
