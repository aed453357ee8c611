"""The numbers are those of `lab.interp` on the same model and tokens."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import lab
from analysis_app.analyses import services
from analysis_app.library.runs import Library, NotFoundError
from lab import interp

TEXT = "the cat sat"


@pytest.fixture(scope="module")
def library(runs: Path) -> Library:
    return Library(runs)


@pytest.fixture(scope="module")
def loaded(runs: Path):
    return lab.load("tiny", root=runs)


def test_attention_is_that_of_interp(library: Library, loaded) -> None:
    model, tokenizer = loaded
    cache = interp.run_with_cache(model, tokenizer.encode(TEXT), interp.PATTERN_SITES)
    expected = interp.attention_patterns(cache)[:, 0]
    found = services.attention(library, "tiny", text=TEXT)
    np.testing.assert_array_equal(found.patterns, expected)
    np.testing.assert_array_equal(services.attention(library, "tiny", text=TEXT, layer=1).patterns, expected[1])
    one = services.attention(library, "tiny", text=TEXT, layer=1, head=0)
    np.testing.assert_array_equal(one.patterns, expected[1, :1])
    entropy = next(score for score in found.scores if score.name == "entropy")
    np.testing.assert_array_equal(entropy.values, interp.attention_entropy(cache).values)
    assert {score.name for score in found.scores} >= {"induction", "previous token", "first token"}
    assert found.source.tokens == ["t", "h", "e", "·", "c", "a", "t", "·", "s", "a", "t"]


def test_predictions_are_those_of_interp(library: Library, loaded) -> None:
    model, tokenizer = loaded
    cache = interp.run_with_cache(model, tokenizer.encode(TEXT))
    expected, lens = interp.token_predictions(cache, 10), interp.logit_lens(model, cache)
    found = services.predictions(library, "tiny", text=TEXT)
    np.testing.assert_allclose(found.loss, expected.loss[0], atol=1e-6)
    assert found.mean_loss == pytest.approx(float(expected.loss.mean()))
    assert found.uniform_loss == pytest.approx(math.log(tokenizer.vocab_size))
    np.testing.assert_allclose(found.lens.kl_to_final, lens.kl_to_final[:, 0], atol=1e-6)
    assert found.top_tokens[0][0] == services.labels(tokenizer, expected.top_tokens[0, 0, :1].tolist())[0]
    assert found.attribution is not None
    np.testing.assert_allclose(found.attribution.values.sum(0), found.attribution.logits, atol=1e-4)


def test_next_token_is_the_softmax_of_the_same_position(library: Library, loaded) -> None:
    model, tokenizer = loaded
    logits = interp.run_with_cache(model, tokenizer.encode(TEXT), ("logits",)).logits[0]
    found = services.next_token(library, "tiny", None, TEXT, 4)
    np.testing.assert_allclose(found.logits, np.sort(logits[4].numpy())[::-1], atol=1e-5)
    assert found.ids[0] == int(logits[4].argmax())
    assert services.next_token(library, "tiny", None, TEXT).position == len(TEXT) - 1


def test_activations_and_rows_are_those_of_interp(library: Library, loaded) -> None:
    model, tokenizer = loaded
    cache = interp.run_with_cache(model, tokenizer.encode(TEXT))
    found = services.activations(library, "tiny", text=TEXT)
    np.testing.assert_allclose(found.norms, interp.residual_norms(cache).values[:, :, 0], atol=1e-5)
    assert found.counts.sum(axis=1).min() == found.counts[0].sum()  # every number is in some bin
    row = services.attention_row(library, "tiny", None, TEXT, layer=1, head=1, query=5)
    np.testing.assert_allclose(row.pattern, interp.attention_patterns(cache)[1, 0, 1, 5], atol=1e-5)


def test_ablation_is_that_of_interp(library: Library, loaded) -> None:
    model, tokenizer = loaded
    expected = interp.ablate(model, tokenizer.encode(TEXT))
    np.testing.assert_allclose(services.ablation(library, "tiny", text=TEXT).heads, expected.heads, atol=1e-6)


def test_weights_reproduce_their_recorded_loss_at_every_step(library: Library) -> None:
    for step in library.steps("tiny"):
        found = services.reproduction(library, "tiny", step)
        assert found.reproduces, found


def test_other_weights_do_not_reproduce_it(runs: Path, tmp_path: Path) -> None:
    """A snapshot whose tensors were swapped for another step's: same shapes, same size, other numbers."""
    import hashlib
    import json
    import shutil

    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    first, last = sorted((tmp_path / "tiny" / "snapshots").glob("*.safetensors"))[
        :: len(Library(runs).steps("tiny")) - 1
    ]
    content = first.read_bytes()
    facts = json.loads(last.with_suffix(".json").read_text())
    last.write_bytes(content)
    facts |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    last.with_suffix(".json").write_text(json.dumps(facts))
    assert services.reproduction(Library(tmp_path), "tiny", facts["step"]).reproduces is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * 17, "17 tokens.*looks at 16.*leave out 1"),
        ("", "type at least 2"),
        ("t", "type at least 2"),
        ("tσe", "σ"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_in_words(library: Library, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        services.attention(library, "tiny", text=text)


def test_what_is_not_there_is_named(library: Library) -> None:
    with pytest.raises(NotFoundError, match="tiny"):
        services.attention(library, "tinny")
    with pytest.raises(NotFoundError, match="no weights of step 999"):
        services.attention(library, "tiny", 999)
    with pytest.raises(NotFoundError, match="layer 2: there are 2"):
        services.attention(library, "tiny", layer=2)


@pytest.mark.parametrize("name", ["../tiny", "/etc", "..", "tiny/checkpoints", ".", "", "a/../tiny", "<img src=x>"])
def test_names_that_walk_are_not_found(library: Library, name: str) -> None:
    with pytest.raises(NotFoundError):
        library.open(name)


def test_a_model_that_was_given_up_comes_back(runs: Path) -> None:
    small = Library(runs, budget_bytes=1)
    first, last = small.steps("tiny")[0], small.steps("tiny")[-1]
    before = services.predictions(small, "tiny", first, TEXT)
    kept = small.open("tiny", first)
    services.predictions(small, "tiny", last, TEXT)
    assert small.open("tiny", first) is not kept
    np.testing.assert_array_equal(services.predictions(small, "tiny", first, TEXT).loss, before.loss)


def test_weights_that_many_want_at_once_are_read_once(runs: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    library = Library(runs)
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda step: library.open("tiny", step), [0, 4] * 8))
    assert len({id(one) for one in opened}) == 2


def test_torn_files_are_rows_with_a_reason(runs: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    snapshots = sorted((tmp_path / "tiny" / "snapshots").glob("*.safetensors"))
    snapshots[0].write_bytes(snapshots[0].read_bytes()[:100])
    snapshots[1].with_suffix(".json").unlink()
    rows = {row.file: row for row in Library(tmp_path).weights("tiny")}
    assert "torn" in str(rows[f"snapshots/{snapshots[0].name}"].problem)
    assert "missing" in str(rows[f"snapshots/{snapshots[1].name}"].problem)
    assert sum(row.problem is None for row in rows.values()) == len(rows) - 2


def test_a_published_folder_opens_like_a_run(runs: Path, tmp_path: Path, loaded) -> None:
    from lab.exporting import save_gpt2

    model, tokenizer = lab.load("tiny", root=runs)
    save_gpt2(model, tmp_path / "published")
    (tmp_path / "published" / "tokenizer.json").write_text(tokenizer.to_json())
    library = Library(tmp_path)
    assert [run.name for run in library.runs()] == ["published"]
    expected = services.predictions(Library(runs), "tiny", text=TEXT).loss
    np.testing.assert_allclose(services.predictions(library, "published", text=TEXT).loss, expected, atol=1e-4)
