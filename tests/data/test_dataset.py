from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.data import baselines
from lab.data.dataset import LabData
from lab.data.vocabulary import EOT
from lab.runs.seams import held_out_of

HERE = Path(__file__)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of documents, each a distinct text."""
    texts = tmp_path / "texts"
    texts.mkdir()
    for i in range(30):
        lines = [f"document {i}, line {n}: the quick brown fox, naïve 世界 🙂 {n * i}\n" for n in range(40)]
        (texts / f"{i:02d}.txt").write_text("".join(lines), "utf-8")
    return texts


@pytest.fixture
def data(folder: Path) -> Callable[..., LabData]:
    """`LabData` on that folder, with small numbers unless told otherwise."""

    def make(**settings: Any) -> LabData:
        small = {
            "corpus": "text",
            "path": str(folder),
            "tokenizer": "bytes",
            "context_length": 32,
            "batch_size": 4,
        }
        return LabData(**{**small, **settings})

    return make


# ---------------------------------------------------------------- settings


def test_constructing_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted(*_: object, **__: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr("lab.data.dataset.open_corpus", unwanted)
    LabData(corpus="text", path="does/not/exist", tokenizer="gpt2")


def test_the_context_length_may_come_later(data: Callable[..., LabData]) -> None:
    late = data(context_length=None, tokens_per_step=256)
    with pytest.raises(ValueError, match=r"data\.context_length is not set"):
        late.step_batch(0)
    with pytest.raises(ValueError, match="multiple of batch_size"):
        replace(late.settings, context_length=33)
    longer, shorter = (data(context_length=n, tokens_per_step=256) for n in (32, 16))
    assert (longer.sequences_per_step, longer.accumulation) == (8, 2)
    assert longer.step_batch(0)[0].shape == (2, 4, 32)
    assert shorter.step_batch(0)[0].shape == (4, 4, 16)
    assert shorter.val_bytes == longer.val_bytes


def test_tokens_per_step_is_one_pass_unless_set(data: Callable[..., LabData]) -> None:
    assert (data().tokens_per_step, data().accumulation) == (128, 1)
    assert (data(tokens_per_step=512).tokens_per_step, data(tokens_per_step=512).accumulation) == (512, 4)


# ---------------------------------------------------------------- text that is too short


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"tokens_per_step": 32 * 4 * 10**5},
            r"shorter than one step: its \d+ tokens make \d+ sequences of 32",
        ),
        ({"context_length": 10**6}, "shorter than one step"),
        (
            {"context_length": 20_000, "batch_size": 1},
            "validation text of 'text' is shorter than one sequence",
        ),
    ],
)
def test_too_short_a_text_is_said_with_numbers(
    data: Callable[..., LabData], settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as error:
        _ = data(**settings).sequences
    assert "add text" in str(error.value)


def test_a_vocabulary_far_too_large_is_warned_of(data: Callable[..., LabData], tmp_path: Path) -> None:
    short = tmp_path / "short.txt"
    short.write_text("a short text, and no more than that\n" * 60)
    with pytest.warns(UserWarning, match="most ids will hardly be seen"):
        _ = data(path=str(short)).sequences


# ---------------------------------------------------------------- batches


def test_the_same_data_whatever_the_micro_batch(data: Callable[..., LabData]) -> None:
    a, b = data(batch_size=8, tokens_per_step=256), data(batch_size=2, tokens_per_step=256)
    for step in (0, 3, 500):
        assert a.step_batch(step)[0].reshape(8, 32).tolist() == b.step_batch(step)[0].reshape(8, 32).tolist()
    assert data(seed=1).step_batch(0)[0].tolist() != data(seed=2).step_batch(0)[0].tolist()


def test_batch_text_is_text_of_the_corpus(data: Callable[..., LabData]) -> None:
    one = data(tokens_per_step=256)
    texts = one.batch_text(7)
    stream = one.tokenizer.decode_bytes(one.token_files["train"].array())
    tokens, targets = one.step_batch(7)
    assert len(texts) == 8
    for text, ids, target in zip(texts, tokens.reshape(8, 32), targets.reshape(8, 32), strict=True):
        raw = bytes(b for i in [*ids.tolist(), int(target[-1])] for b in one.tokenizer.token_bytes(i))
        assert raw in stream
        assert text == raw.decode("utf-8", "replace")


def test_epochs_seen(data: Callable[..., LabData]) -> None:
    one = data(tokens_per_step=256)
    per_epoch = one.sequences.per_epoch
    assert per_epoch
    assert one.epochs_seen(0) == 0
    assert one.epochs_seen(per_epoch) == pytest.approx(8)
    assert LabData(corpus="markov", context_length=16).epochs_seen(10**6) is None


# ---------------------------------------------------------------- what is known of the data


def test_bits_per_byte_counts_the_bytes_that_are_predicted(data: Callable[..., LabData]) -> None:
    one = data(tokenizer="bpe", vocab_size=400)
    val = one.token_files["val"].array()
    text = one.tokenizer.decode_bytes(val[1:]).replace(EOT.encode(), b"")
    assert one.val_bytes == len(text)
    assert one.val_bytes_per_token == pytest.approx(len(text) / (len(val) - 1))
    # A loss of ln(256) nats on bytes is 8 bits on each, but for the ends of text, which are no bytes.
    in_bytes = data(tokenizer="bytes")
    ends = int((in_bytes.token_files["val"].array()[1:] == 256).sum())
    total = math.log(256) * (in_bytes.val_bytes + ends)
    per_byte = total / math.log(2) / in_bytes.val_bytes
    assert per_byte == pytest.approx(8 * (1 + ends / in_bytes.val_bytes))


def test_val_tokens_bounds_validation(data: Callable[..., LabData]) -> None:
    for wanted in (1, 31, 32, 33, 500):
        one = data(val_tokens=wanted)
        _, targets = one.sequences.val(0, one.sequences.n_val)
        assert int((targets >= 0).sum()) == wanted
        assert one.facts()["validation"]["tokens"] == wanted


def test_a_part_of_validation_is_the_same_windows_for_all(data: Callable[..., LabData]) -> None:
    one, whole = data(val_tokens=320), data()
    _, targets = one.sequences.val(0, one.sequences.n_val)
    other = data(val_tokens=320, batch_size=2, tokens_per_step=512)
    assert np.array_equal(other.sequences.val(0, 10)[1], targets)
    first = one.token_files["val"].array()[1:321].tolist()
    assert targets.flatten().tolist() != first
    facts = one.facts()
    assert facts["validation"]["random_windows"] == one.sequences.n_val == 10
    assert "random_windows" not in whole.facts()["validation"]
    assert held_out_of(facts) != held_out_of(data(val_tokens=352).facts())
    # What is compared with a model is measured where the model is.
    byte_counts = np.bincount(one.token_files["train"].array(), minlength=257)
    chances = (byte_counts + 0.001) / (byte_counts.sum() + 0.001 * 257)
    unigram = -np.log(chances[targets.flatten()]).mean()
    assert facts["baselines"]["nats_per_token"]["unigram"] <= unigram + 1e-4
    assert facts["baselines"]["method"]["val_tokens"] == 320
    # A compressor needs the text in one piece.
    assert facts["baselines"]["bits_per_byte"]["xz"] == whole.baselines["bits_per_byte"]["xz"]
    assert facts["baselines"] != whole.baselines


def test_one_text_has_the_same_windows_under_every_seed(data: Callable[..., LabData], tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("".join(f"line {i * i}\n" for i in range(3000)))
    made = [data(path=str(tmp_path / "one.txt"), val_tokens=320, seed=seed).sequences.val(0, 10)[1] for seed in (1, 2)]
    assert np.array_equal(*made)


def test_facts_are_plain_json_and_true(data: Callable[..., LabData]) -> None:
    one = data(tokenizer="bpe", vocab_size=400, tokens_per_step=256)
    facts = json.loads(json.dumps(one.facts(), allow_nan=False))
    assert facts["corpus"]["fingerprint"] == one.corpus.fingerprint()
    assert facts["vocab_size"] == facts["tokenizer"]["vocab_size"] == 400
    assert facts["splits"]["train"]["documents"] + facts["splits"]["val"]["documents"] == 30
    assert facts["steps_per_epoch"] == facts["sequences_per_epoch"] / 8
    assert len(facts["probe"]["tokens"]) == 64
    for part in ("probe", "val_slice"):
        assert one.tokenizer.decode(facts[part]["tokens"]) == facts[part]["text"]
    assert facts["probe"]["tokens"] == one.token_files["val"].array()[:64].tolist()
    assert len(facts["val_slice"]["text"].replace(EOT, "").encode()) <= 20_000
    nats = facts["baselines"]["nats_per_token"]
    assert nats["bigram"] < nats["unigram"] < nats["uniform"] == pytest.approx(math.log(400))
    assert facts["baselines"]["bits_per_byte"]["xz"] > 0


def test_data_that_an_earlier_version_split_otherwise_is_not_the_same(data: Callable[..., LabData]) -> None:
    one = data()
    facts = json.loads(json.dumps(one.facts()))
    assert one.differs_from(facts) is None
    assert one.differs_from({"corpus": ["damaged"]}) is None
    assert data(seed=2).differs_from(facts) == "its fingerprint differs"
    facts["corpus"]["fingerprint"] = one.corpus.fingerprint_by_number()
    assert one.differs_from(facts) is None  # both ways gave the same
    facts["splits"]["val"]["bytes"] += 1
    assert "by number of documents" in (one.differs_from(facts) or "")
    facts["splits"]["val"]["bytes"] -= 1
    facts["val_slice"]["tokens"][3] += 1
    assert "by number of documents" in (one.differs_from(facts) or "")


def test_baselines_are_computed_once(data: Callable[..., LabData], monkeypatch: pytest.MonkeyPatch) -> None:
    first = data().baselines
    monkeypatch.setattr(baselines, "token_baselines", None)
    assert data().baselines == first


# ---------------------------------------------------------------- made corpora


@pytest.mark.parametrize("name", ["markov", "induction", "copy", "arithmetic"])
def test_made_corpora_go_the_same_way(name: str) -> None:
    one = LabData(corpus=name, context_length=64, batch_size=4, tokens_per_step=512, val_tokens=640)
    tokens, targets = one.step_batch(3)
    assert tokens.shape == targets.shape == (2, 4, 64)
    ids, counts = one.corpus.sequences("train", np.arange(24, 32), 64)
    assert np.array_equal(tokens.reshape(8, 64).numpy(), ids[:, :-1])
    assert np.array_equal(targets.reshape(8, 64).numpy(), np.where(counts, ids[:, 1:], -1))
    assert one.tokenizer.decode(range(one.vocab_size)) == "".join(one.corpus.alphabet)
    assert one.sequences.n_val == 10
    facts = json.loads(json.dumps(one.facts(), allow_nan=False))
    floor = facts["baselines"]["nats_per_token"].get("floor")
    assert floor == one.corpus.entropy
    assert facts["validation"]["tokens"] == int((one.sequences.val(0, 10)[1] >= 0).sum())


def test_a_made_corpus_refuses_another_vocabulary() -> None:
    with pytest.raises(ValueError, match="'markov' has its own 32 symbols"):
        _ = LabData(corpus="markov", tokenizer="gpt2").vocab_size
    with pytest.raises(ValueError, match=r"data\.vocab_size is 500: leave it out"):
        _ = LabData(corpus="markov", vocab_size=500).vocab_size


def test_shakespeare_has_65_characters(shakespeare: Path) -> None:
    one = LabData(corpus="shakespeare", tokenizer="char", context_length=64, batch_size=12)
    assert one.vocab_size == 65
    assert one.token_files["train"].tokens == 1_003_854
    assert one.token_files["val"].tokens == 111_540
