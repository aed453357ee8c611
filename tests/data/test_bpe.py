from __future__ import annotations

import socket
import threading
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken_ext import openai_public

from lab.data import bpe
from lab.data.bpe import BPETokenizer, fast_pattern, from_merges, published_bpe, train_bpe
from lab.data.tokenizers import from_json
from lab.data.vocabulary import EOT
from tests.shrunk import require_vocabulary

MIXED = [
    "def f(x):\n    return x ** 2  # it's O(1)\n\n\n\tdone\r\n",
    "The naïve café — “quotes”, 12 345.67 €, don't, we'll, I'd've, x²+y²",
    "世界您好，这是一个测试。日本語のテキスト、한국어 텍스트",
    "🙂👩‍👩‍👧‍👦🇩🇪 zalgo: ȩ̵̛͓͎ ",
    f"{EOT} and <|fim_prefix|> are ordinary text {EOT}{EOT}",
    "   leading, trailing   ",
    " " * 5000 + "x" + "\n" * 3000,
    "a" * 20_000,
    "",
    "\ufeff\u200b\u00a0\x00\x7f",
]


@pytest.fixture(scope="module")
def trained() -> BPETokenizer:
    return train_bpe([*MIXED, Path(bpe.__file__).read_text("utf-8")], 500)


@pytest.fixture(scope="module")
def gpt2() -> BPETokenizer:
    require_vocabulary("gpt2")
    return published_bpe("gpt2")


def hugging_face(texts: list[str], vocab_size: int):  # type: ignore[no-untyped-def]
    """A byte-level BPE tokenizer that `tokenizers` trains and runs by itself."""
    from tokenizers import ByteLevelBPETokenizer

    peer = ByteLevelBPETokenizer(add_prefix_space=False)
    peer.train_from_iterator(texts, vocab_size=vocab_size, min_frequency=2, show_progress=False)
    return peer


@pytest.mark.parametrize("vocab_size", [256, 300, 700])
def test_ids_equal_those_of_tokenizers(vocab_size: int) -> None:
    texts = [*MIXED, Path(bpe.__file__).read_text("utf-8")]
    peer = hugging_face(texts, vocab_size)
    ours, trained = from_merges(peer.get_vocab()), train_bpe(texts, vocab_size + 1)
    assert trained.tokens == ours.tokens
    for text in [*texts, "text it never saw: Größe, naïveté, λx.x, ٣٤", "0123456789" * 50]:
        assert ours.encode(text).tolist() == peer.encode(text).ids


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_every_text_survives(trained: BPETokenizer, text: str) -> None:
    ids = trained.encode(text)
    assert trained.decode(ids) == text
    assert int(trained.byte_lengths[ids].sum()) == len(text.encode())
    assert ids.dtype == np.int64


@pytest.mark.parametrize("text", MIXED)
def test_gpt2_ids_equal_tiktokens_after_a_round_trip_through_json(gpt2: BPETokenizer, text: str) -> None:
    import tiktoken

    stored = from_json(gpt2.to_json())
    assert (stored.vocab_size, stored.eot_id) == (50257, 50256)
    expected = tiktoken.get_encoding("gpt2").encode(text, disallowed_special=())
    assert stored.encode(text).tolist() == expected
    assert stored.decode(expected) == text
    assert 50256 not in expected


def test_gpt2_ids_equal_those_of_tokenizers(gpt2: BPETokenizer) -> None:
    from tokenizers import ByteLevelBPETokenizer

    table = {token: i for i, token in enumerate(gpt2.tokens[:-1])}
    merges, letters = [], dict(zip(range(256), bpe.printable_bytes(), strict=True))
    write = lambda token: "".join(letters[b] for b in token)  # noqa: E731
    for token in list(table)[256:]:
        # The pair a token was joined from: its parts under all joins learned before it.
        parts = [bytes([b]) for b in token]
        while len(parts) > 2:
            pairs = [(table.get(a + b, 1 << 30), i) for i, (a, b) in enumerate(pairwise(parts))]
            _, i = min(pairs)
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        merges.append((write(parts[0]), write(parts[1])))
    peer = ByteLevelBPETokenizer({write(t): i for t, i in table.items()}, merges)
    for text in MIXED:
        assert gpt2.encode(text).tolist() == peer.encode(text).ids


def test_special_text_is_ordinary_text(trained: BPETokenizer) -> None:
    ids = trained.encode(EOT)
    assert trained.eot_id not in ids
    assert trained.decode(ids) == EOT
    assert trained.decode([trained.eot_id]) == EOT


def test_training_twice_gives_the_same_vocabulary() -> None:
    texts = [Path(bpe.__file__).read_text("utf-8")]
    assert train_bpe(texts, 600).tokens == train_bpe(texts, 600).tokens


def test_sizes_are_kept_or_refused(trained: BPETokenizer) -> None:
    assert (trained.vocab_size, trained.eot_id) == (500, 499)
    assert train_bpe(["aa"], 1000).vocab_size == 257
    assert train_bpe(["aaaa aa aaaa"], 1000).vocab_size < 300
    with pytest.raises(ValueError, match="256 bytes"):
        train_bpe(["aa"], 256)


def test_an_encoder_of_its_own_encodes_alike(trained: BPETokenizer) -> None:
    encode = trained.encoder()
    for text in MIXED:
        assert encode(text).tolist() == trained.encode(text).tolist()


QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def published_patterns() -> list[str]:
    """tiktoken's patterns, without its vocabularies."""
    with mock.patch.multiple(openai_public, load_tiktoken_bpe=mock.Mock(), data_gym_to_mergeable_bpe_ranks=mock.Mock()):
        return sorted({openai_public.ENCODING_CONSTRUCTORS[name]()["pat_str"] for name in bpe.PUBLISHED})


LETTERS = st.one_of(st.sampled_from(" \t\r\n\u00a0'stremvldAÉ\u0301１9_-/"), st.characters())


@pytest.mark.parametrize("pattern", [bpe.GPT2_PATTERN, *published_patterns(), QWEN2_PATTERN])
@settings(max_examples=300, deadline=None)
@given(text=st.text(LETTERS, max_size=60))
def test_the_fast_pattern_finds_the_same_words(pattern: str, text: str) -> None:
    assert fast_pattern(pattern) != pattern
    assert regex.findall(fast_pattern(pattern), text) == regex.findall(pattern, text)


def test_a_pattern_that_is_not_understood_stays() -> None:
    for pattern in (r"\S++|\s+", r"(?:\w+|\s+(?!\S)|\s+)", r"."):
        assert fast_pattern(pattern) == pattern
    assert "++" in fast_pattern(r"\w++\d|\s+(?!\S)|\s+")


def test_a_million_spaces_in_a_row_are_encoded(trained: BPETokenizer) -> None:
    for text in ("a" + " " * 1_100_000 + "b", "\n \t" * 400_000):
        assert trained.decode(trained.encode(text)) == text


def test_json_round_trip(trained: BPETokenizer) -> None:
    again = from_json(trained.to_json())
    assert again.fingerprint == trained.fingerprint
    for text in MIXED:
        assert again.encode(text).tolist() == trained.encode(text).tolist()


def test_unknown_ids_are_refused(trained: BPETokenizer) -> None:
    gap = BPETokenizer("gappy", [*trained.tokens, None, b"<|x|>"], 499, {EOT: 499, "<|x|>": 501}, trained.pattern)
    for wrong in (500, 502, -1):
        with pytest.raises(ValueError, match=f"token id {wrong}"):
            gap.decode([wrong])
    assert gap.decode([501]) == "<|x|>"
    assert gap.encode("aa").tolist() == trained.encode("aa").tolist()
    assert from_json(gap.to_json()).tokens == gap.tokens


def test_without_a_network_one_error_names_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise socket.gaierror("Temporary failure in name resolution")

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(ValueError, match=r"TIKTOKEN_CACHE_DIR.*--data\.tokenizer bpe") as error:
        published_bpe("p50k_base")
    assert "\n" not in str(error.value)


def test_a_silent_network_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import tiktoken

    never = threading.Event()
    monkeypatch.setattr(tiktoken, "get_encoding", lambda name: never.wait())
    with pytest.raises(ValueError, match="'gpt2' is not on this machine"):
        published_bpe("gpt2", timeout=0.2)
    never.set()
