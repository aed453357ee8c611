"""Vocabularies in Hugging Face's form: every setting of a file is obeyed as `tokenizers` obeys it, or refused."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from lab.data.huggingface import HuggingFaceTokenizer, read_settings
from lab.data.tokenizers import from_json

TEXT = (
    "def add(one, two):\n    return one + two  # né 中文 🙂 Ångström\n\n\nclass Pair: it's 1234 ones, 5678 twos\n" * 8
)
PAD, END = "<pad>", "<|endoftext|>"
WORDS = Regex(r"\p{N}{1,3}|\s*\p{L}+|[^\p{L}\p{N}]+")

Pre, Norm, Post = pre_tokenizers, normalizers, processors
BYTES = [Pre.ByteLevel(add_prefix_space=space, use_regex=words) for space in (False, True) for words in (False, True)]
CUTS = [
    *BYTES,
    Pre.Sequence([Pre.Digits(individual_digits=True), BYTES[0]]),
    Pre.Sequence([Pre.Split(WORDS, "isolated"), BYTES[0]]),
    Pre.Sequence([Pre.Split(" ", "merged_with_next"), BYTES[1]]),
    Pre.Sequence([Pre.Whitespace(), BYTES[0]]),
    Pre.Sequence([Pre.Punctuation("isolated"), Pre.Sequence([BYTES[3]])]),
    Pre.Sequence([BYTES[0], BYTES[1]]),
    Pre.Whitespace(),
]
NORMS = [
    None,
    Norm.NFC(),
    Norm.Lowercase(),
    Norm.Sequence([Norm.NFD(), Norm.StripAccents()]),
    Norm.Replace("one", "1"),
    Norm.Prepend("_"),
    Norm.ByteLevel(),
]
FRAMES = [
    None,
    Post.ByteLevel(trim_offsets=False),
    Post.TemplateProcessing(single="$A", special_tokens=[]),
    Post.TemplateProcessing(single=f"{END} $A", special_tokens=[(END, 1)]),
    Post.Sequence([Post.ByteLevel(), Post.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 1)])]),
    Post.RobertaProcessing((PAD, 0), (END, 1)),
]
PIECES = st.sampled_from(
    ["one", " two", "Ång", "né", "12", "345", "'s", "  \n", "<user>", " <user> ", "a_b", "中文", "é"]
)
TEXTS = st.one_of(st.text(max_size=20), st.lists(PIECES, max_size=8).map("".join))


@cache
def trained(alphabet: bool = True, specials: tuple[str, ...] = (PAD, END)) -> str:
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = Pre.ByteLevel(add_prefix_space=False)
    letters = Pre.ByteLevel.alphabet() if alphabet else []
    learner.train_from_iterator(
        [TEXT],
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=list(specials), initial_alphabet=letters, show_progress=False
        ),
    )
    learner.decoder = decoders.ByteLevel()
    return learner.to_str()


def read(content: str, n_ids: int = 1000, *ends: object) -> HuggingFaceTokenizer:
    return read_settings(json.loads(content), "own", n_ids, ends)


@settings(max_examples=300, deadline=None)
@given(
    cut=st.sampled_from(CUTS),
    norm=st.sampled_from(NORMS),
    frame=st.sampled_from(FRAMES),
    alphabet=st.booleans(),
    added=st.sampled_from([None, AddedToken("<user>"), AddedToken("<user>", lstrip=True, rstrip=True)]),
    whole=st.booleans(),
    texts=st.lists(TEXTS, min_size=1, max_size=5),
)
def test_a_file_is_obeyed_or_refused(
    cut: Any, norm: Any, frame: Any, alphabet: bool, added: AddedToken | None, whole: bool, texts: list[str]
) -> None:
    theirs = Tokenizer.from_str(trained(alphabet))
    for part, value in (("pre_tokenizer", cut), ("normalizer", norm), ("post_processor", frame)):
        if value is not None:
            setattr(theirs, part, value)
    if added:
        theirs.add_tokens([added])
    theirs.model.ignore_merges = whole
    theirs.enable_truncation(3)
    content = theirs.to_str()
    steps = content.count('"ByteLevel"', content.index('"normalizer"'), content.index('"post_processor"'))
    if steps != 1 or frame in FRAMES[3:]:
        with pytest.raises(ValueError, match="post_processor" if steps == 1 else f"{steps or 'no'} ByteLevel steps"):
            read(content)
        return
    ours = read(content)
    theirs.no_truncation()
    for text in texts:
        expected = theirs.encode(text).ids
        try:
            found = ours.encode(text)
        except ValueError:
            assert not alphabet
            continue
        assert found.tolist() == expected
        assert from_json(ours.to_json()).encode(text).tolist() == expected
        assert ours.decode(found) == theirs.decode(expected)


@settings(max_examples=50, deadline=None)
@given(text=st.lists(st.sampled_from([END, PAD, "one", " ", "é"]), max_size=6).map("".join))
def test_special_text_is_ordinary_text(text: str) -> None:
    ours = read(trained())
    ids = ours.encode(text)
    assert ours.decode(ids) == text
    assert not set(ids.tolist()) & {0, 1}


def test_a_special_token_may_have_any_id_and_what_is_declared_ends_a_text() -> None:
    ours = read(trained())
    assert ours.specials == {PAD: 0, END: 1}
    assert (ours.eot_id, ours.tokens[1]) == (1, END.encode())
    assert ours.byte_lengths[:3].tolist() == [0, 0, 1]
    only = trained(specials=("</s>", PAD))
    assert read(only).eot_id is None
    for end in ("</s>", 0):
        assert read(only, 1000, 50256, None, True, {}, end, PAD).eot_id == 0


def test_special_tokens_that_the_model_never_saw_are_left_out() -> None:
    content = json.loads(trained(specials=(END,)))
    n_ids = len(content["model"]["vocab"])
    content["added_tokens"].append(content["added_tokens"][0] | {"id": n_ids, "content": PAD})
    ours = read(json.dumps(content), n_ids)
    assert (ours.vocab_size, ours.specials) == (n_ids, {END: 0})
    with pytest.raises(ValueError, match=f"has {n_ids + 1} tokens, the model knows {n_ids - 1} ids"):
        read(json.dumps(content), n_ids - 1)


def test_a_vocabulary_without_some_bytes_names_them() -> None:
    ours = read(trained(alphabet=False))
    assert ours.decode(ours.encode("class Pair")) == "class Pair"
    with pytest.raises(ValueError, match=r"3 bytes .* 'own', which was trained without them: 0x5A, 0xC8, 0x80; "):
        ours.encode("class Z\u0200")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": "Unigram"}, "Unigram"),
        ({"dropout": 0.1}, "dropout"),
        ({"end_of_word_suffix": "</w>"}, "end_of_word_suffix"),
        ({"byte_fallback": True}, "byte_fallback"),
        ({"merges": [["zz", "zz"]]}, "`tokenizers` cannot read it"),
        ({"vocab": {"a": 0}, "merges": []}, "one id"),
        ({"vocab": {"a": 2, "b": 2}, "merges": []}, "one id"),
        ({"vocab": {"中": 2, PAD: 0, END: 1}, "merges": [], "ignore_merges": True}, "stands for no byte"),
        ({"vocab": {"a": -1}}, "cannot read it"),
    ],
    ids=str,
)
def test_what_cannot_be_obeyed_is_refused_by_name(change: dict[str, Any], told: str) -> None:
    content = json.loads(trained())
    content["model"] |= change
    with pytest.raises(ValueError, match=told) as error:
        read(json.dumps(content))
    assert "\n" not in str(error.value)
