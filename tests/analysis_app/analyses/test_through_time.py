"""A text through the whole of a run: what the bundles hold, what the models say, and what is told of a run's curves."""

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
from analysis_app.analyses import services
from analysis_app.analyses import through_time as timeline
from analysis_app.analyses.curves import MAX_POINTS, keep, landmarks
from analysis_app.analyses.through_time import Timeline, learned_at
from analysis_app.library.runs import Library
from lab.interp import attention_patterns, previous_token_score, repeated_random_tokens, run_with_cache, token_losses
from lab.runs import MetricsWriter, create_run, open_run
from lab.runs.probes import decode_pattern, read_probe
from tests.analysis_app.conftest import Server

TEXT = "the cat sat"


@pytest.fixture
def copied(runs: Path, tmp_path: Path) -> Path:
    """A run of its own, to be damaged; its folder."""
    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    return tmp_path / "tiny"


def film(folder: Path, text: str | None = None, compute: bool = False) -> tuple[dict, list[dict], list[dict], dict]:
    """Start, frames, problems and end of one film."""
    start, *rest, end = Timeline(Library(folder)).film("tiny", text, compute)
    assert (start["event"], end["event"]) == ("start", "end")
    kinds = {kind: [event for event in rest if event["event"] == kind] for kind in ("frame", "problem")}
    return start, kinds["frame"], kinds["problem"], end


def test_a_probe_text_comes_from_the_bundles_bit_for_bit(runs: Path) -> None:
    run = open_run("tiny", runs)
    bundles = [read_probe(info.path) for info in run.probes()]
    tokenizer = lab.load("tiny", root=runs).tokenizer
    for index, n in ((0, 16), (1, 16), (2, 7)):
        text = tokenizer.decode(bundles[0]["token_ids"][index, :n])
        start, frames, problems, end = film(runs, text)
        assert (start["origin"], start["ready"], problems) == ("probe", True, [])
        assert start["ids"] == bundles[0]["token_ids"][index, :n].tolist()
        assert [frame["step"] for frame in frames] == start["steps"] == [info.step for info in run.probes()]
        rows = [bundles[0]["score_names"].tolist().index(name.replace(" ", "_")) for name in start["score_names"]]
        for frame, bundle in zip(frames, bundles, strict=True):
            np.testing.assert_array_equal(frame["patterns"], bundle["patterns"][:, index, :, :n, :n])
            np.testing.assert_array_equal(frame["token_loss"], bundle["token_loss"][index, : n - 1])
            np.testing.assert_array_equal(frame["scores"], bundle["scores"][rows])
        assert len(end["learned"]) == n - 1
    assert start["score_names"] == list(services.SCORES)


def test_what_the_bundles_hold_is_what_the_models_say(runs: Path) -> None:
    _, frames, _, _ = film(runs)
    for frame in (frames[0], frames[-1]):
        model, tokenizer = lab.load("tiny", frame["step"], root=runs)
        cache = run_with_cache(model, tokenizer.encode(services.default_text(Library(runs).open("tiny"))))
        patterns = attention_patterns(cache)[:, 0]
        np.testing.assert_allclose(decode_pattern(frame["patterns"]), patterns, atol=0.005)
        np.testing.assert_allclose(frame["token_loss"], token_losses(cache)[0], atol=1e-4)


def test_a_text_of_ones_own_is_computed_when_asked_for_and_once(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films, library = Timeline(Library(runs)), Library(runs)
    start, end = films.film("tiny", TEXT)
    assert (start["origin"], start["ready"], end["learned"]) == ("computed", False, [])
    start, *frames, _ = films.film("tiny", TEXT, compute=True)
    assert start["steps"] == library.steps("tiny") == [frame["step"] for frame in frames]
    for frame in frames:
        expected = services.attention(library, "tiny", frame["step"], TEXT)
        np.testing.assert_allclose(decode_pattern(frame["patterns"]), expected.patterns, atol=0.005)
        np.testing.assert_allclose(frame["scores"], np.stack([s.values for s in expected.scores]), atol=1e-6)
        loss = services.predictions(library, "tiny", frame["step"], TEXT).loss
        np.testing.assert_allclose(frame["token_loss"], loss, atol=1e-5)
    assert start["score_names"] == [score.name for score in expected.scores]
    monkeypatch.setattr(films.library, "open", lambda *args, keep=True: library.open(*args) if keep else 1 / 0)
    start, *again, _ = films.film("tiny", TEXT)
    assert start["ready"]
    assert all(a["patterns"] is b["patterns"] for a, b in zip(again, frames, strict=True))


def test_who_stops_watching_stops_the_computing(runs: Path) -> None:
    films = Timeline(Library(runs))
    events = films.film("tiny", "a dog ran", compute=True)
    assert [event["event"] for event in islice(events, 3)] == ["start", "frame", "frame"]
    events.close()
    assert len(films._kept) == 2


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
    arrays = read_probe(path)
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
    monkeypatch.setattr(timeline, "FEWEST_FRAMES", 2)
    every = [info.step for info in open_run("tiny", runs).probes()]
    one = film(runs)[1][0]["patterns"].nbytes
    monkeypatch.setattr(timeline, "MAX_FILM_BYTES", 3 * one * 3)  # the bundle's three texts
    start, frames, _, _ = film(runs)
    assert [frame["step"] for frame in frames] == start["steps"]
    assert 1 < len(frames) < len(every)
    assert frames[-1]["step"] == every[-1]
    assert any(f"{len(frames)} of {len(every)} snapshots" in note for note in start["notes"])
    monkeypatch.setattr(timeline, "MAX_FILM_BYTES", 100)
    with pytest.raises(ValueError, match="shorten the text"):
        film(runs, TEXT)


def test_learned_is_from_when_on_the_loss_stays_low() -> None:
    steps = [0, 1, 2, 4]
    losses = np.array([[4.0, 4.0, 4.0, 4.0], [1.0, 3.9, 4.0, 1.0], [3.5, 1.0, 3.8, np.nan], [1.0, 0.9, 4.0, 4.0]])
    assert learned_at(steps, losses) == [4, 2, None, None]


@pytest.mark.parametrize("n", [10, MAX_POINTS + 1, 5 * MAX_POINTS])
def test_a_spike_survives_thinning(n: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(2, 0.1, n)
    for at in rng.integers(0, n, 3):
        values[at] = 9.0
    chosen = keep(values)
    assert len(chosen) <= MAX_POINTS + 5
    assert (np.diff(chosen) > 0).all()
    assert (chosen[0], chosen[-1]) == (0, n - 1)
    assert (values[chosen] == 9.0).sum() == (values == 9.0).sum()
    assert values[chosen].min() == values.min()


def test_landmarks_are_where_the_curves_say(tmp_path: Path) -> None:
    run = create_run(tmp_path, "curves")
    writer = MetricsWriter(run)
    for step, (train, val) in enumerate([(4.0, 4.1), (3.2, None), (2.4, 3.0), (2.9, 2.5), (1.0, 2.7)]):
        writer.write(step, 10 * step, step / 2, {"train/loss": train} | ({"val/loss": val} if val else {}))
    history = run.metrics()
    assert [(mark.name, mark.step) for mark in landmarks(run, history)] == [("loss half-way", 2), ("best val", 3)]
    run.events_path.write_text(
        json.dumps({"kind": "finding", "step": 1, "finding": "induction_head", "layer": 1, "head": 0}) + "\n"
    )
    assert [mark.name for mark in landmarks(run, history)] == ["induction onset", "loss half-way", "best val"]


def post(server: Server, **body: Any) -> list[dict]:
    answer = httpx.post(f"{server.url}/api/analyze/time", json=body, timeout=60)
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
    tokens = repeated_random_tokens(model.config.vocab_size, start["period"], services.REPEATED_BATCH)
    expected = previous_token_score(run_with_cache(model, tokens), start["period"]).values
    row = start["score_names"].index("previous token")
    np.testing.assert_allclose(frames[-1]["scores"][row], expected, atol=1e-6)
