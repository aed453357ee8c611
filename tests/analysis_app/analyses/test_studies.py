"""Neurons, loss by position, embeddings, patching, norms over training: the numbers are those of `lab.interp` and of
the run's own log.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

import lab
from analysis_app.analyses import embeddings, neurons, patching, services
from analysis_app.analyses import position_loss as validation
from analysis_app.analyses import training_norms as norms
from analysis_app.analyses.token_labels import labels
from analysis_app.library.runs import Library, NotFoundError
from lab import interp
from lab.runs import open_run
from tests.analysis_app.conftest import Server

TEXT, OTHER = "the cat sat", "the dog sat"


@pytest.fixture(scope="module")
def library(runs: Path) -> Library:
    return Library(runs)


@pytest.fixture(scope="module")
def loaded(runs: Path):
    return lab.load("tiny", root=runs)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=120) as found:
        yield found


@pytest.fixture(scope="module")
def published(runs: Path, tmp_path_factory: pytest.TempPathFactory, loaded) -> Library:
    from lab.exporting import save_gpt2

    model, tokenizer = loaded
    folder = tmp_path_factory.mktemp("published")
    save_gpt2(model, folder / "gpt")
    (folder / "gpt" / "tokenizer.json").write_text(tokenizer.to_json())
    return Library(folder)


def pieces(runs: Path, context: int = 16) -> np.ndarray:
    ids = np.array((open_run("tiny", runs).data() or {})["val_slice"]["tokens"])
    return ids[: len(ids) // context * context].reshape(-1, context)


# ---------------------------------------------------------------- services


def test_a_neuron_is_the_models_own(library: Library, loaded) -> None:
    model, tokenizer = loaded
    values = interp.run_with_cache(model, tokenizer.encode(TEXT), "mlp.post")["mlp.post", 1][0].numpy()
    found = neurons.neuron(library, "tiny", text=TEXT, layer=1, unit=5)
    np.testing.assert_allclose(found.activation, values[:, 5], atol=1e-6)
    assert found.strongest[0] == values.max(0).argmax()
    there = neurons.neuron(library, "tiny", text=TEXT, layer=1, unit=5, position=4)
    assert there.strongest[0] == values[4].argmax()
    assert there.strongest_values[0] == pytest.approx(values[4].max(), abs=1e-6)
    with pytest.raises(NotFoundError, match="unit 128: there are 128"):
        neurons.neuron(library, "tiny", text=TEXT, unit=128)


def test_examples_of_a_neuron_stand_in_the_validation_text(library: Library, loaded, runs: Path) -> None:
    model, tokenizer = loaded
    text = pieces(runs)
    cache = interp.run_with_cache(model, text, ("mlp.pre", "mlp.post"))
    values = cache["mlp.post", 0].numpy()[:, :, 7]
    told: list[tuple[int, int]] = []
    where = {"layer": 0, "unit": 7}
    found = neurons.neuron_examples(library, "tiny", None, **where, progress=lambda *done: told.append(done))
    assert told
    np.testing.assert_allclose([e.value for e in found.examples], -np.sort(-values.ravel())[:20], atol=1e-5)
    assert found.on_rate == pytest.approx((cache["mlp.pre", 0].numpy()[:, :, 7] > 0).mean(), abs=1e-6)
    whole = [labels(tokenizer, piece.tolist()) for piece in text]
    for example in found.examples:
        start = example.position - example.at
        assert any(piece[start : start + len(example.tokens)] == example.tokens for piece in whole)
    assert neurons.neuron_examples(library, "tiny", None, layer=1, unit=0, progress=told.append).examples  # no new scan


def test_loss_by_position_is_that_of_interp(library: Library, loaded, runs: Path) -> None:
    cache = interp.run_with_cache(loaded.model, pieces(runs), interp.PREDICTION_SITES)
    found = validation.position_loss(library, "tiny")
    spread = interp.token_losses(cache)
    np.testing.assert_allclose(found.loss, spread.mean(0), atol=1e-5)
    assert found.in_context == pytest.approx(interp.in_context_score(spread), abs=1e-5)
    np.testing.assert_allclose(found.error, spread.std(0, ddof=1) / len(spread) ** 0.5, atol=1e-5)


def test_the_map_of_embeddings_keeps_its_directions(library: Library, runs: Path) -> None:
    last, first = lab.load("tiny", root=runs), lab.load("tiny", step=0, root=runs)
    fitted = interp.embedding_pca(last.model)
    expected = interp.embedding_pca(first.model, basis=fitted.basis)
    found = embeddings.embedding_map(library, "tiny", 0)
    np.testing.assert_allclose(found.points, expected.points, atol=1e-5)
    assert (found.step, found.fitted_step) == (0, library.steps("tiny")[-1])
    assert found.extent == pytest.approx(abs(fitted.points).max(), rel=1e-5)
    assert found.extent == embeddings.embedding_map(library, "tiny").extent
    assert found.ids == list(range(last.tokenizer.vocab_size))
    token = last.tokenizer.encode("t")[0]
    near = embeddings.neighbours(library, "tiny", None, int(token), 3)
    assert near.ids == interp.token_neighbours(last.model, [token], 3).tokens[0].tolist()
    assert embeddings.find_token(library, "tiny", None, "t") == {"id": int(token), "token": "t"}
    with pytest.raises(ValueError, match="no single token"):
        embeddings.find_token(library, "tiny", None, "th")


@pytest.mark.parametrize(
    ("piece", "expected"),
    [
        (b" the", "lower case"),
        (b"The", "capital"),
        (b" 7", "digit"),
        (b"\n", "space"),
        (b"<", "punctuation"),
        (b"\xe2", "other"),
        (None, "other"),
    ],
)
def test_kinds_of_tokens(piece: bytes | None, expected: str) -> None:
    assert embeddings.kind(piece) == expected


@pytest.mark.parametrize("site", patching.SITES)
def test_patching_is_that_of_interp(library: Library, loaded, site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patching, "LEAST_DIFFERENCE", 1e-4)  # 12 steps of training make small ones
    model, tokenizer = loaded
    clean, corrupt = tokenizer.encode("the ca"), tokenizer.encode("a do i")
    found = patching.patch(library, "tiny", None, "the ca", "a do i", site)
    answer = tokenizer.encode(found.answer.replace("·", " "))[0]
    wrong = None if found.wrong is None else tokenizer.encode(found.wrong.replace("·", " "))[0]
    expected = interp.activation_patching(model, clean, corrupt, answer, wrong, site=site)
    np.testing.assert_allclose(found.restored, expected.restored, atol=1e-3)
    assert (found.clean, found.corrupt) == pytest.approx((expected.clean, expected.corrupt), abs=1e-5)


def test_the_answer_is_what_the_texts_disagree_about() -> None:
    import torch

    different = torch.tensor([[-1.0, -2.0, -3.0], [-3.0, -2.0, -1.0]])
    assert patching._answers(different) == (0, 2)
    alike = torch.tensor([[-1.0, -2.0, -3.0], [-1.1, -2.0, -4.0]])
    assert patching._answers(alike) == (2, None)


def test_texts_that_cannot_be_patched_are_refused_in_words(library: Library) -> None:
    with pytest.raises(ValueError, match=re.escape("First: t | h | e. Second: a | t")):
        patching.patch(library, "tiny", None, "the", "at")
    with pytest.raises(ValueError, match="too little of a difference"):
        patching.patch(library, "tiny", None, TEXT, TEXT)
    with pytest.raises(ValueError, match="choose one of resid_pre"):
        patching.patch(library, "tiny", None, TEXT, OTHER, "nowhere")


def test_patching_that_would_take_all_day_is_refused(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patching, "MOST_WORK", 1e6)
    with pytest.raises(ValueError, match="shorten both texts to"):
        patching.patch(library, "tiny", None, "the cat", "the dog")


def test_norms_over_training_are_those_of_the_log(library: Library, runs: Path) -> None:
    found = norms.training_norms(library, "tiny")
    assert found.places == ["layer0", "layer1", "embedding"]
    history = open_run("tiny", runs).metrics()
    for measure in found.measures:
        steps, values = history.series(f"{measure.name}.layer1")
        assert steps
        at = [found.steps.index(step) for step in steps]
        np.testing.assert_allclose(measure.values[1, at], values, rtol=1e-6)
    assert found.measures[1].name == "stats/update_ratio"


def test_what_a_published_model_lacks_is_said(published: Library) -> None:
    assert embeddings.embedding_map(published, "gpt").points.shape[1] == 2
    for ask in (neurons.neuron_examples, validation.position_loss):
        with pytest.raises(ValueError, match="no validation text"):
            ask(published, "gpt")
    with pytest.raises(ValueError, match="nobody wrote down its gradients"):
        norms.training_norms(published, "gpt")


def test_one_layer_and_one_head_are_parts_of_all(library: Library) -> None:
    whole = services.activations(library, "tiny", text=TEXT)
    part = services.activations(library, "tiny", text=TEXT, layer=1, head=0)
    np.testing.assert_array_equal(part.norms, whole.norms[:, 1:2])
    np.testing.assert_array_equal(part.head_norms, whole.head_norms[1:2, :1])
    assert part.sites == [site for site in whole.sites if ".1." in site]
    predictions = services.predictions(library, "tiny", text=TEXT)
    layer = services.predictions(library, "tiny", text=TEXT, layer=1)
    assert predictions.attribution is not None
    assert layer.attribution is not None
    assert layer.attribution.parts == [part for part in predictions.attribution.parts if part.startswith(("L1", "1_"))]
    np.testing.assert_array_equal(layer.lens.target_loss, predictions.lens.target_loss[1:])
    head = services.predictions(library, "tiny", text=TEXT, layer=1, head=1).attribution
    assert head is not None
    assert head.parts == ["L1H1"]
    with pytest.raises(ValueError, match="of which layer"):
        services.activations(library, "tiny", text=TEXT, head=1)
    with pytest.raises(NotFoundError, match="layer 2"):
        services.predictions(library, "tiny", text=TEXT, layer=2)


# ---------------------------------------------------------------- rows of weights


def test_foreign_and_damaged_files_are_rows_with_a_reason(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    snapshots = tmp_path / "tiny" / "snapshots"
    (snapshots / "<img src=x onerror=hacked()>.bin").write_bytes(b"x")
    (snapshots / "step-٣.safetensors").write_bytes(b"x")
    victim = next(iter(sorted(snapshots.glob("step-*.safetensors"))))
    victim.unlink()
    garbage = sorted(snapshots.glob("step-*.safetensors"))[1]
    garbage.write_bytes(b"\0" * garbage.stat().st_size)
    library = Library(tmp_path)
    problems = {row.file: row.problem for row in library.weights("tiny")}
    assert "foreign" in str(problems["snapshots/<img src=x onerror=hacked()>.bin"])
    assert "foreign" in str(problems["snapshots/step-٣.safetensors"])
    assert "is missing" in str(problems[f"snapshots/{victim.with_suffix('.json').name}"])
    assert problems[f"snapshots/{garbage.name}"] is None  # of the right size: nobody has read it yet
    step = json.loads(garbage.with_suffix(".json").read_text())["step"]
    with pytest.raises(ValueError, match="no whole safetensors"):
        library.open("tiny", step)
    after = {row.file: row.problem for row in library.weights("tiny")}
    assert "no whole safetensors" in str(after[f"snapshots/{garbage.name}"])


# ---------------------------------------------------------------- routes

LONG = {
    "ablation": {"text": TEXT},
    "neuron_examples": {"layer": 1, "unit": 3},
    "position_loss": {},
    "patching": {"text": "the ca", "other": "a do i"},
}


@pytest.mark.parametrize("kind", LONG)
def test_long_analyses_tell_how_far_they_are(client: httpx.Client, kind: str) -> None:
    body = {"run": "tiny", "step": 4, **LONG[kind]}
    with client.stream("POST", f"/api/analyze/{kind}", json={**body, "progress": True}) as answer:
        events = [json.loads(line) for line in answer.iter_lines()]
    assert {event["event"] for event in events[:-1]} <= {"progress"}
    assert events[-1]["event"] == "result"
    plain = client.post(f"/api/analyze/{kind}", json=body)
    assert plain.status_code == 200
    assert events[-1]["result"] == plain.json()


def test_what_goes_wrong_in_a_long_one_is_its_last_line(client: httpx.Client) -> None:
    body = {"run": "tiny", "text": "the", "other": "at", "progress": True}
    lines = client.post("/api/analyze/patching", json=body).text.splitlines()
    last = json.loads(lines[-1])
    assert last["event"] == "error"
    assert "First: t | h | e" in last["error"]
    assert last["id"]


def test_one_selection_can_be_sent_to_every_route(client: httpx.Client) -> None:
    body = {"run": "tiny", "step": 12, "text": TEXT, "layer": 1, "head": 1}
    for kind in ("attention", "activations", "predictions"):
        found = client.post(f"/api/analyze/{kind}", json=body)
        assert found.status_code == 200, found.text
        assert (found.json()["layer"], found.json()["head"]) == (1, 1)
    assert client.post("/api/generate", json=body | {"max_tokens": 1}).status_code == 200
    assert client.post("/api/generate", json=body | {"layer": 7}).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("neuron", {"unit": 10**6}, 404, "unit 1000000: there are 128"),
        ("neuron", {"unit": -1}, 404, "unit -1"),
        ("neuron", {"layer": 5}, 404, "layer 5"),
        ("neuron", {"text": "the", "position": 3}, 404, "position 3"),
        ("neighbours", {"token": 10**12}, 404, "token 1000000000000"),
        ("neighbours", {"token": 1, "k": 10**9}, 422, "k: input should be"),
        ("piece", {"text": "§"}, 422, "vocabulary"),
        ("patching", {"other": "x" * 30_000}, 422, "other: string should have at most"),
        ("norms", {"run": "../tiny"}, 404, "no run"),
        ("embeddings", {"step": 999}, 404, "no weights of step 999"),
        ("neuron_examples", {"run": "<img src=x onerror=hacked()>"}, 404, "no run"),
    ],
)
def test_mistakes_are_one_sentence_with_an_id(
    client: httpx.Client, path: str, body: dict, status: int, said: str
) -> None:
    answer = client.post(f"/api/analyze/{path}", json={"run": "tiny"} | body)
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert said in found["error"]
    assert found["id"]
    assert "\n" not in found["error"]


def test_eight_clients_with_eight_questions_get_their_own_answers(client: httpx.Client, runs: Path) -> None:
    """Each asks for other weights, another text or another unit, all at once and three times over."""
    library = Library(runs)
    first, last = library.steps("tiny")[0], library.steps("tiny")[-1]
    questions = [
        ("neuron", {"step": step, "text": text, "layer": 1, "unit": unit})
        for step, text, unit in ((first, "the cat", 1), (last, "the cat", 1), (last, "a dog", 1), (last, "a dog", 9))
    ] + [
        ("neuron_examples", {"step": first, "layer": 0, "unit": 2}),
        ("neuron_examples", {"step": last, "layer": 0, "unit": 2}),
        ("embeddings", {"step": first}),
        ("embeddings", {"step": last}),
    ]

    def ask(question: tuple[str, dict]) -> dict:
        answer = client.post(f"/api/analyze/{question[0]}", json={"run": "tiny"} | question[1])
        assert answer.status_code == 200, answer.text
        return answer.json()

    alone = [ask(question) for question in questions]
    assert len({json.dumps(answer) for answer in alone}) == 8
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, questions * 3)) == alone * 3
