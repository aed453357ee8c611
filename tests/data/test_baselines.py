from __future__ import annotations

import lzma
import math
import shutil
import subprocess
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.data import baselines
from lab.data.baselines import (
    stream_pairs,
    text_baselines,
    token_baselines,
    windows_bits_per_byte,
    xz_bits_per_byte,
)


def losses(train: np.ndarray, val: np.ndarray, vocab_size: int) -> dict[str, float]:
    lengths = np.ones(vocab_size, dtype=np.int64)
    found = token_baselines(stream_pairs(train, 10**6), stream_pairs(val, 10**6), lengths)
    return found["nats_per_token"]


def plain_bigram(train: list[int], val: list[int], size: int, alpha: float, k: float) -> tuple[float, float]:
    """Unigram and bigram loss, written out token by token."""
    counts, contexts = Counter(train[1:]), Counter(train[:-1])
    joint = Counter(pairwise(train))
    prior = [(counts[b] + alpha) / (len(train) - 1 + alpha * size) for b in range(size)]
    pairs = list(pairwise(val))
    unigram = -sum(math.log(prior[b]) for _, b in pairs) / len(pairs)
    bigram = -sum(math.log((joint[a, b] + k * prior[b]) / (contexts[a] + k)) for a, b in pairs) / len(pairs)
    return unigram, bigram


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=2, max_size=200),
    st.lists(st.integers(0, 6), min_size=2, max_size=60),
)
def test_losses_equal_counting_by_hand(train: list[int], val: list[int]) -> None:
    found = losses(np.array(train), np.array(val), 7)
    assert found["uniform"] == pytest.approx(math.log(7))
    by_hand = {
        alpha: {k: plain_bigram(train, val, 7, alpha, k) for k in baselines._BIGRAM_GRID}
        for alpha in baselines._UNIGRAM_GRID
    }
    best = min(by_hand.values(), key=lambda row: next(iter(row.values()))[0])
    assert found["unigram"] == pytest.approx(next(iter(best.values()))[0])
    assert found["bigram"] == pytest.approx(min(bigram for _, bigram in best.values()))


def test_a_markov_chain_is_scored_at_its_entropy() -> None:
    """The bigram baseline is the best predictor there is for a chain of order 1."""
    draw = np.random.default_rng(0)
    matrix = draw.dirichlet(np.full(8, 0.5), size=8)
    states = [0]
    for u in draw.random(60_000):
        states.append(min(7, int(np.searchsorted(np.cumsum(matrix[states[-1]]), u))))
    chain = np.array(states)
    share = np.bincount(chain, minlength=8) / len(chain)
    entropy = -float((share[:, None] * matrix * np.log(matrix)).sum())
    found = losses(chain[:50_000], chain[50_000:], 8)
    assert found["bigram"] == pytest.approx(entropy, rel=0.02)
    assert found["bigram"] < found["unigram"] < found["uniform"]


def test_a_large_vocabulary_stays_sparse() -> None:
    """50 000² pairs would take 20 GB."""
    draw = np.random.default_rng(0)
    ids = (draw.pareto(1.0, 200_000) * 20).astype(np.int64) % 50_000
    found = losses(ids[:180_000], ids[180_000:], 50_000)
    assert found["bigram"] <= found["unigram"] * 1.001  # independent tokens: the neighbour tells nothing
    assert found["unigram"] < found["uniform"] * 0.6


@pytest.mark.parametrize(("n", "limit"), [(10, 100), (1000, 100), (5000, 1000), (64, 64)])
def test_pairs_cover_the_stream_evenly(n: int, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "_CHUNK", 16)
    before, after = (np.concatenate(side) for side in zip(*stream_pairs(np.arange(n), limit), strict=True))
    assert np.array_equal(after, before + 1)
    assert len(set(before.tolist())) == len(before)
    if n - 1 <= limit:
        assert before.tolist() == list(range(n - 1))
    else:
        assert len(before) == pytest.approx(limit, abs=17)
        assert before.max() > 0.8 * n


def test_xz_equals_the_preset_within_a_percent() -> None:
    text = b"".join(f"{i * i} bottles of beer on wall {i}\n".encode() for i in range(3000))
    packed = lzma.compress(text, preset=9)
    assert xz_bits_per_byte(text) == pytest.approx(8 * len(packed) / len(text), rel=0.01)
    assert xz_bits_per_byte(b"x") > 8


def test_text_baselines_in_both_units() -> None:
    draw = np.random.default_rng(1)
    lengths = np.array([1, 1, 2, 3, 0])  # the last is the end of text
    tokens = draw.choice(5, 40_000, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    table = [b"a", b"b", b"cc", b"ddd", b"<end>"]
    found = text_baselines(tokens[:30_000], tokens[30_000:], lengths, lambda ids: b"".join(table[i] for i in ids))
    nats, bits = found["nats_per_token"], found["bits_per_byte"]
    assert set(nats) == set(bits) == {"uniform", "unigram", "bigram", "xz", "xz_trained"}
    bytes_per_token = lengths[tokens[30_001:]].mean()
    for name in nats:
        assert bits[name] == pytest.approx(nats[name] / math.log(2) / bytes_per_token, rel=1e-3)
    text = b"".join(table[i] for i in tokens[30_000:] if i < 4)
    assert found["method"]["xz_bytes"] == len(text)
    assert bits["xz"] == pytest.approx(xz_bits_per_byte(text))
    assert found["windows"] == pytest.approx(nats["xz"])  # shorter than one window


def test_xz_that_has_seen_the_training_text_is_the_command_on_both_less_the_command_on_one() -> None:
    xz = shutil.which("xz")
    if xz is None:
        pytest.skip("no command xz: install xz-utils")
    draw = np.random.default_rng(3)
    words = [draw.integers(97, 123, 8, dtype=np.uint8).tobytes() for _ in range(300)]
    train, val = (b" ".join(words[i] for i in draw.integers(300, size=n)) for n in (20_000, 4_000))

    def size(text: bytes) -> int:
        return len(subprocess.run([xz, "-9", "--stdout"], input=text, stdout=subprocess.PIPE, check=True).stdout)

    def decode(ids: np.ndarray) -> bytes:
        return ids.astype(np.uint8).tobytes()

    found = text_baselines(*(np.frombuffer(t, dtype=np.uint8) for t in (train, val)), np.ones(256, dtype=int), decode)
    bits = found["bits_per_byte"]
    assert bits["xz"] == pytest.approx(8 * size(val) / len(val), rel=0.01)
    assert bits["xz_trained"] == pytest.approx(8 * (size(train + val) - size(train)) / len(val), rel=0.01)
    assert bits["xz_trained"] < 0.9 * bits["xz"]
    assert (found["method"]["xz_seen_bytes"], found["method"]["xz_trained_bytes"]) == (len(train), len(val))


def test_what_xz_is_given_is_the_end_of_one_text_and_the_beginning_of_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(baselines, "SEEN_BYTES", 100)
    monkeypatch.setattr(baselines, "PACKED_BYTES", 50)
    given: list[bytes] = []
    monkeypatch.setattr(baselines, "xz_trained_bits_per_byte", lambda *texts: given.extend(texts) or 1.0)
    lengths, table = np.array([1, 2, 0]), [b"a", b"bb", b"<end>"]
    train, val = np.tile([0, 1, 2], 1000), np.tile([1, 2], 1000)
    text_baselines(train, val, lengths, lambda ids: b"".join(table[i] for i in ids))
    assert given == [b"abb" * 33, b"bb" * 25]


def test_windows_do_not_see_what_repeats_beyond_them() -> None:
    draw = np.random.default_rng(2)
    page = draw.integers(97, 123, baselines.WINDOW, dtype=np.uint8).tobytes()
    assert xz_bits_per_byte(4 * page) < 0.3 * windows_bits_per_byte(4 * page)
    assert windows_bits_per_byte(4 * page) == pytest.approx(xz_bits_per_byte(page))
    assert windows_bits_per_byte(page + b"and a little more") == pytest.approx(xz_bits_per_byte(page))


def test_bounds_are_stated_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "TRAIN_TOKENS", 500)
    monkeypatch.setattr(baselines, "VAL_TOKENS", 300)
    monkeypatch.setattr(baselines, "XZ_BYTES", 100)
    monkeypatch.setattr(baselines, "_CHUNK", 50)
    stream, packed = np.arange(5000) % 7, []

    def decode(ids: np.ndarray) -> bytes:
        packed.extend(ids.tolist())
        return bytes(ids.tolist())

    found = text_baselines(stream, stream, np.ones(7, dtype=np.int64), decode)
    assert found["method"] | {"train_tokens": 500, "val_tokens": 300, "xz_bytes": 100} == found["method"]
    assert packed[:100] == stream[:100].tolist()


def test_windows_are_what_is_compared_and_xz_packs_the_text_in_one_piece() -> None:
    train, val = np.arange(5000) % 7, np.arange(5000) % 5
    pairs = [(train[:50], train[1:51]), (train[70:90], train[71:91])]
    found = text_baselines(train, val, np.ones(7, dtype=np.int64), lambda ids: bytes(ids.tolist()), lambda: iter(pairs))
    assert found["method"]["val_tokens"] == 70
    assert found["nats_per_token"]["unigram"] == pytest.approx(math.log(7), rel=1e-2)
    assert found["method"]["xz_bytes"] == 5000
    assert found["bits_per_byte"]["xz"] == pytest.approx(xz_bits_per_byte(bytes(val.tolist())))


def test_of_a_long_text_all_parts_are_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "WINDOW", 50)
    monkeypatch.setattr(baselines, "WINDOWS", 4)
    val = np.repeat(np.arange(10), 1000)
    text = baselines._spread_bytes(val, np.ones(10, dtype=np.int64), lambda ids: bytes(ids.tolist()))
    assert text == b"".join(bytes([i]) * 50 for i in (0, 2, 5, 7))
