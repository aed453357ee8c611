from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lab.data.tokenizers import from_json
from lab.data.vocabulary import EOT, ByteTokenizer, CharTokenizer

TEXT = st.text(max_size=60)


@given(TEXT)
def test_bytes_round_trip(text: str) -> None:
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode(text)
    assert ids.tolist() == list(text.encode())
    assert ids.dtype == np.int64
    assert tokenizer.decode(ids) == text


@given(TEXT)
def test_char_round_trip_and_ids_follow_code_points(text: str) -> None:
    tokenizer = CharTokenizer(text)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    order = sorted(set(text))
    assert ids.tolist() == [order.index(c) for c in text]
    again = from_json(tokenizer.to_json())
    assert again.encode(text).tolist() == ids.tolist()
    assert again.fingerprint == tokenizer.fingerprint


@given(st.text(min_size=1, max_size=30), TEXT)
def test_char_unknown_characters_are_named_or_replaced(alphabet: str, text: str) -> None:
    strict = CharTokenizer(alphabet)
    lenient = from_json(CharTokenizer(alphabet, unknown=True).to_json())
    outside = set(text) - set(alphabet)
    if outside:
        with pytest.raises(ValueError, match="not in the vocabulary") as error:
            strict.encode(text)
        assert f"U+{ord(min(outside)):04X}" in str(error.value)
    shown = "".join(c if c in alphabet else "\ufffd" for c in text)
    assert lenient.decode(lenient.encode(text)) == shown


def test_char_has_only_the_special_ids_it_was_asked_for() -> None:
    assert (CharTokenizer("abc").vocab_size, CharTokenizer("abc").eot_id) == (3, None)
    with_end = CharTokenizer("abc", end_of_text=True)
    assert (with_end.vocab_size, with_end.eot_id, with_end.decode([0, 3])) == (4, 3, "a" + EOT)
    with pytest.raises(ValueError, match="single characters"):
        CharTokenizer(["ab", "c"])


def test_special_text_is_ordinary_text() -> None:
    for tokenizer in (ByteTokenizer(), CharTokenizer(EOT, end_of_text=True)):
        ids = tokenizer.encode(EOT)
        assert len(ids) == len(EOT)
        assert tokenizer.eot_id not in ids


@pytest.mark.parametrize("wrong", [-1, 257, 10**9])
def test_unknown_ids_are_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"token id {wrong} is not in the vocabulary of 'bytes'"):
        ByteTokenizer().decode([65, wrong])


def test_ids_may_come_as_list_array_or_tensor() -> None:
    ids = [104, 105]
    assert {ByteTokenizer().decode(x) for x in (ids, tuple(ids), np.array(ids), torch.tensor(ids))} == {"hi"}


def test_lone_surrogates_become_replacement_characters_and_pairs_are_joined() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"
    assert tokenizer.decode(tokenizer.encode("\ud83d\ude42")) == "🙂"


@given(TEXT)
def test_stream_decoder_never_shows_half_a_character(text: str) -> None:
    tokenizer = ByteTokenizer()
    stream = tokenizer.stream()
    shown = [stream.push(int(i)) for i in tokenizer.encode(text)]
    assert all("\ufffd" not in part for part in shown) or "\ufffd" in text
    assert "".join(shown) + stream.flush() == text


def test_stream_decoder_gives_up_an_unfinished_character_at_the_end() -> None:
    stream = ByteTokenizer().stream()
    assert stream.push(list("é".encode()[:1])) == ""
    assert stream.flush() == "\ufffd"


def test_byte_lengths_count_text_and_no_special_id() -> None:
    tokenizer = CharTokenizer("aé", end_of_text=True)
    assert tokenizer.byte_lengths.tolist() == [1, 2, 0]
    assert ByteTokenizer().byte_lengths.tolist() == [1] * 256 + [0]


def test_dtype_is_the_narrowest_that_fits() -> None:
    assert ByteTokenizer().dtype == np.uint16
    assert CharTokenizer(map(chr, range(0x10000, 0x20001))).dtype == np.uint32
