"""A text through the whole of a run: what the bundles hold, and what the models say."""

from __future__ import annotations

import json
import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import lab
from analysis_app.analyses import through_time
from analysis_app.analyses.attention import attention
from analysis_app.analyses.head_scores import REPEATED_BATCH, SCORES
from analysis_app.analyses.predictions import predictions
from analysis_app.analyses.reference_texts import Frame
from analysis_app.analyses.text import default_text
from analysis_app.analyses.through_time import learned_at
from analysis_app.library import Library
from lab.interp import attention_patterns, previous_token_score, repeated_random_tokens, run_with_cache, token_losses
from lab.runs import open_run
from lab.runs.reference_texts import decode_pattern, read_bundle
from scripts.page_server import Server
from tests.patience import PATIENCE

TEXT = "the cat sat"


@pytest.fixture
def copied(runs: Path, tmp_path: Path) -> Path:
    """A run of its own, to be damaged; its folder."""
    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    return tmp_path / "tiny"


def film(folder: Path, text: str | None = None, compute: bool = False) -> tuple[dict, list[dict], list[dict], dict]:
    """Start, frames, problems and end of one film."""
    start, *rest, end = through_time.film(Library(folder), "tiny", text, compute)
    assert (start["event"], end["event"]) == ("start", "end")
    kinds = {kind: [event for event in rest if event["event"] == kind] for kind in ("frame", "problem")}
    return start, kinds["frame"], kinds["problem"], end


def test_a_probe_text_comes_from_the_bundles_bit_for_bit(runs: Path) -> None:
    run = open_run("tiny", runs)
    bundles = [read_bundle(info.path) for info in run.reference_texts()]
    tokenizer = lab.load("tiny", root=runs).tokenizer
    for index, n in ((0, 16), (1, 16), (2, 7)):
        text = tokenizer.decode(bundles[0]["token_ids"][index, :n])
        start, frames, problems, end = film(runs, text)
        assert (start["origin"], start["ready"], problems) == ("probe", True, [])
        assert start["ids"] == bundles[0]["token_ids"][index, :n].tolist()
        assert [frame["step"] for frame in frames] == start["steps"] == [info.step for info in run.reference_texts()]
        rows = [bundles[0]["score_names"].tolist().index(name.replace(" ", "_")) for name in start["score_names"]]
        for frame, bundle in zip(frames, bundles, strict=True):
            np.testing.assert_array_equal(frame["patterns"], bundle["patterns"][:, index, :, :n, :n])
            np.testing.assert_array_equal(frame["token_loss"], bundle["token_loss"][index, : n - 1])
            np.testing.assert_array_equal(frame["scores"], bundle["scores"][rows])
        assert len(end["learned"]) == n - 1
    assert start["score_names"] == list(SCORES)


@pytest.mark.promise("explore")
def test_what_the_bundles_hold_is_what_the_models_say(runs: Path) -> None:
    _, frames, _, _ = film(runs)
    for frame in (frames[0], frames[-1]):
        model, tokenizer = lab.load("tiny", frame["step"], root=runs)
        cache = run_with_cache(model, tokenizer.encode(default_text(Library(runs).open("tiny"))))
        patterns = attention_patterns(cache)[:, 0]
        np.testing.assert_allclose(decode_pattern(frame["patterns"]), patterns, atol=0.005)
        np.testing.assert_allclose(frame["token_loss"], token_losses(cache)[0], atol=1e-4)


def test_a_text_of_ones_own_is_computed_when_asked_for_and_once(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films, library = Library(runs), Library(runs)
    start, end = through_time.film(films, "tiny", TEXT)
    assert (start["origin"], start["ready"], end["learned"]) == ("computed", False, [])
    start, *frames, _ = through_time.film(films, "tiny", TEXT, compute=True)
    assert start["steps"] == library.steps("tiny") == [frame["step"] for frame in frames]
    for frame in frames:
        expected = attention(library.open("tiny", frame["step"]), TEXT)
        np.testing.assert_allclose(decode_pattern(frame["patterns"]), expected["patterns"], atol=0.005)
        np.testing.assert_allclose(frame["scores"], np.stack([s.values for s in expected["scores"]]), atol=1e-6)
        loss = predictions(library.open("tiny", frame["step"]), TEXT)["loss"]
        np.testing.assert_allclose(frame["token_loss"], loss, atol=1e-5)
    assert start["score_names"] == [score.name for score in expected["scores"]]
    monkeypatch.setattr(films, "open", lambda *args, keep=True: library.open(*args) if keep else 1 / 0)
    start, *again, _ = through_time.film(films, "tiny", TEXT)
    assert start["ready"]
    assert all(a["patterns"] is b["patterns"] for a, b in zip(again, frames, strict=True))


def test_who_stops_watching_stops_the_computing(runs: Path) -> None:
    library = Library(runs)
    events = through_time.film(library, "tiny", "a dog ran", compute=True)
    assert [event["event"] for event in islice(events, 3)] == ["start", "frame", "frame"]
    events.close()
    assert sum(isinstance(result, Frame) for result, _ in library.results._kept.values()) == 2


def test_a_torn_bundle_is_left_out_and_said(copied: Path) -> None:
    damaged = copied / "probes" / "step-00000004.npz"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    (copied / "probes" / "step-00000008.npz").write_bytes((copied / "snapshots" / "step-00000008.json").read_bytes())
    _, frames, problems, end = film(copied.parent)
    assert {4, 8}.isdisjoint(frame["step"] for frame in frames)
    assert [problem["step"] for problem in problems] == [4, 8]
    assert problems[0]["problem"].startswith("probes/step-00000004.npz is no whole probe bundle")
    assert len(frames) >= 3
    assert end["learned"]


def test_a_bundle_of_another_run_is_not_shown(copied: Path) -> None:
    path = copied / "probes" / "step-00000004.npz"
    arrays = read_bundle(path)
    np.savez(path, **(arrays | {"patterns": arrays["patterns"][:, :, :1], "scores": arrays["scores"][..., :1]}))
    assert "another probe" in film(copied.parent)[2][0]["problem"]
    np.savez(path, **(arrays | {"token_ids": arrays["token_ids"] + 9999}))
    assert "do not fit" in film(copied.parent)[2][0]["problem"]


def test_without_bundles_the_text_can_be_computed(copied: Path) -> None:
    shutil.rmtree(copied / "probes")
    start, frames, _, _ = film(copied.parent)
    assert (start["ready"], start["probe_texts"], frames) == (False, [], [])
    snapshot = copied / "snapshots" / "step-00000004.safetensors"
    snapshot.write_bytes(snapshot.read_bytes()[:-1] + b"x")
    start, frames, problems, _ = film(copied.parent, compute=True)
    assert len(frames) + len(problems) == len(start["steps"])


def test_more_than_a_browser_holds_is_thinned_out(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(through_time, "FEWEST_FRAMES", 2)
    every = [info.step for info in open_run("tiny", runs).reference_texts()]
    one = film(runs)[1][0]["patterns"].nbytes
    monkeypatch.setattr(through_time, "MAX_FILM_BYTES", 3 * one * 3)  # the bundle's three texts
    start, frames, _, _ = film(runs)
    assert [frame["step"] for frame in frames] == start["steps"]
    assert 1 < len(frames) < len(every)
    assert frames[-1]["step"] == every[-1]
    assert any(f"{len(frames)} of {len(every)} snapshots" in note for note in start["notes"])
    monkeypatch.setattr(through_time, "MAX_FILM_BYTES", 100)
    with pytest.raises(ValueError, match="shorten the text"):
        film(runs, TEXT)


def test_learned_is_from_when_on_the_loss_stays_low() -> None:
    steps = [0, 1, 2, 4]
    losses = np.array([[4.0, 4.0, 4.0, 4.0], [1.0, 3.9, 4.0, 1.0], [3.5, 1.0, 3.8, np.nan], [1.0, 0.9, 4.0, 4.0]])
    assert learned_at(steps, losses) == [4, 2, None, None]


def post(server: Server, **body: Any) -> list[dict]:
    answer = httpx.post(f"{server.url}/api/analyze/time", json=body, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_routes(server: Server, runs: Path) -> None:
    start, *frames, end = post(server, run="tiny")
    _, expected, _, _ = film(runs)
    np.testing.assert_array_equal(frames[-1]["patterns"], expected[-1]["patterns"])
    assert (start["event"], end["event"]) == ("start", "end")
    found = httpx.get(f"{server.url}/api/runs/tiny/timeline").json()
    steps, losses = open_run("tiny", runs).metrics().series("train/loss")
    assert found["curves"]["train/loss"]["step"] == steps
    np.testing.assert_allclose(found["curves"]["train/loss"]["value"], losses)
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    assert {"/api/analyze/time", "/api/runs/{name}/timeline"} <= set(paths)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"run": "tiny", "text": "x" * 30}, 422, "the text has 30 tokens"),
        ({"run": "tiny", "text": "§"}, 422, "not in the vocabulary"),
        ({"run": "../tiny"}, 404, "tiny"),
        ({"run": "tiny", "step": 4}, 422, "step"),
    ],
)
def test_mistakes_are_said_before_anything_is_computed(server: Server, body: dict, status: int, said: str) -> None:
    answer = httpx.post(f"{server.url}/api/analyze/time", json={"compute": True, **body})
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_the_scores_of_an_own_text_are_those_of_the_interp_room(runs: Path) -> None:
    start, frames, _, _ = film(runs, TEXT, compute=True)
    model, _ = lab.load("tiny", frames[-1]["step"], root=runs)
    tokens = repeated_random_tokens(model.config.vocab_size, start["period"], REPEATED_BATCH)
    expected = previous_token_score(run_with_cache(model, tokens), start["period"]).values
    row = start["score_names"].index("previous token")
    np.testing.assert_allclose(frames[-1]["scores"][row], expected, atol=1e-6)
