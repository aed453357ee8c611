"""Text as events, token by token."""

from __future__ import annotations

import pytest

from analysis_app.analyses.generation import MAX_NEW_TOKENS, Settings, generate, prompt_notes
from analysis_app.library import Library


def test_events_of_a_text(library: Library) -> None:
    opened = library.open("tiny")
    start, *tokens, end = generate(opened, "the cat", Settings(max_tokens=5, seed=1))
    assert [start["event"], *(t["event"] for t in tokens), end["event"]] == ["start", *["token"] * 5, "end"]
    assert "".join(token["text"] for token in tokens) == end["text"]
    assert (end["ended"], end["tokens"]) == ("max_tokens", 5)
    for token in tokens:
        assert 0 <= token["probability"] <= 1
        assert token["alternatives"][0]["probability"] >= token["alternatives"][-1]["probability"]


def test_a_branch_goes_on_after_the_tokens_that_were_written(library: Library) -> None:
    opened = library.open("tiny")
    whole = [e for e in generate(opened, "the", Settings(max_tokens=6, temperature=0)) if e["event"] == "token"]
    after = [event["id"] for event in whole[:3]]
    start, *rest = generate(opened, "the", Settings(max_tokens=3, temperature=0), after)
    assert "".join(start["after"]) == "".join(event["text"] for event in whole[:3])
    assert [event["id"] for event in rest[:-1]] == [event["id"] for event in whole[3:]]


def test_it_ends_where_the_stop_text_was_written(library: Library) -> None:
    opened = library.open("tiny")
    *_, end = generate(opened, "the", Settings(max_tokens=50, temperature=0))
    stop = end["text"][3:5]
    *_, end = generate(opened, "the", Settings(max_tokens=50, temperature=0, stop=stop))
    assert end["ended"] == "stop text"
    assert end["text"].endswith(stop)


def test_what_cannot_be_is_refused_before_the_first_event(library: Library) -> None:
    opened = library.open("tiny")
    with pytest.raises(ValueError, match="max_tokens=0"):
        generate(opened, "the", Settings(max_tokens=0))
    with pytest.raises(ValueError, match="characters"):
        generate(opened, "t" * 30_000, Settings(max_tokens=MAX_NEW_TOKENS))
    assert "30,000 characters" in prompt_notes(opened, "t" * 30_000)[0]
    assert prompt_notes(opened, "the cat") == []
