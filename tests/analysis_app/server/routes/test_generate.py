"""Generated text is streamed, and is the generator's own."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

import lab
from lab.generation import Sampling, stream

TEXT = "the cat sat"


def test_what_is_written_is_streamed_and_is_the_generators_own(client: httpx.Client, runs: Path) -> None:
    body = {"run": "tiny", "text": "the ", "max_tokens": 9, "temperature": 1.0, "seed": 3}
    with client.stream("POST", "/api/generate", json=body) as answer:
        events = [json.loads(line) for line in answer.iter_lines()]
    model, tokenizer = lab.load("tiny", root=runs)
    expected = list(stream(model, tokenizer.encode("the "), Sampling(9, 1.0, seed=3)))
    tokens = [event for event in events if event["event"] == "token"]
    assert [event["id"] for event in tokens] == [step.token for step in expected]
    assert [event["probability"] for event in tokens] == pytest.approx(
        [step.probability for step in expected], abs=1e-5
    )
    assert events[-1]["text"] == "".join(event["text"] for event in tokens)
    assert (events[0]["event"], events[-1]["ended"]) == ("start", "max_tokens")


def test_a_branch_goes_on_from_other_tokens(client: httpx.Client, runs: Path) -> None:
    tokenizer = lab.load("tiny", root=runs).tokenizer
    straight = {"run": "tiny", "text": "the cat", "max_tokens": 5, "temperature": 0}
    branched = straight | {"text": "the ", "after": tokenizer.encode("cat").tolist()}
    first, second = (client.post("/api/generate", json=body).text.splitlines()[1:-1] for body in (straight, branched))
    assert [json.loads(line)["id"] for line in first] == [json.loads(line)["id"] for line in second]


def test_writing_stops_at_a_text(client: httpx.Client) -> None:
    lines = client.post("/api/generate", json={"run": "tiny", "text": "the", "stop": " ", "max_tokens": 500}).text
    end = json.loads(lines.splitlines()[-1])
    assert end["ended"] == "stop text"
    assert end["text"].endswith(" ")
