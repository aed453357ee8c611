from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HFTokenizer
from tokenizers import models, pre_tokenizers, trainers

from lab.data import tokenising
from lab.data.bpe import train_bpe
from lab.data.corpus import Piece
from lab.data.huggingface import read_settings
from lab.data.tokenising import tokenised
from lab.data.vocabulary import EOT, ByteTokenizer, CharTokenizer, Tokenizer, valid_unicode
from tests.patience import PATIENCE

LEARNED = "the cat sat on the mat, and that's that; 1234 return  self\n\n    def naïve(世界): pass\r\n" * 20


def published() -> Tokenizer:
    """What a tokenizer.json of Hugging Face's describes."""
    learner = HFTokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=[EOT], initial_alphabet=alphabet, show_progress=False)
    learner.train_from_iterator([LEARNED], trainer)
    return read_settings(json.loads(learner.to_str()), "own", 400, [EOT])


TOKENIZERS = {
    "huggingface": published(),
    "bpe": train_bpe([LEARNED], 400),
    "bytes": ByteTokenizer(),
    "char": CharTokenizer(LEARNED, end_of_text=True, unknown=True),
}
ODD = st.one_of(
    st.text(),
    st.text(alphabet=" \t\r\n\u00a0\u2003a1'", max_size=200),
    st.text(alphabet=st.characters(categories=["Cs", "So", "Mn", "Lu"]), max_size=20),
    st.sampled_from(
        ["", EOT, f"x{EOT}\r\n{EOT}", "'", "\0", "\ufeffa", "a" * 5000, " " * 5000, "👩‍👩‍👧 e\u0301" * 300]
    ),
)


def whole(texts: Iterable[str]) -> Iterator[Piece]:
    """Each text as a document."""
    return (Piece(text, True) for text in texts)


def by_hand(documents: list[list[str]], tokenizer: Tokenizer, end: int | None) -> list[int]:
    """The ids of the parts of each document, one after the other, then its end."""
    ids: list[int] = []
    for parts in documents:
        ids += [i for part in parts for i in tokenizer.encode(part).tolist()]
        ids += [] if end is None else [end]
    return ids


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    documents=st.lists(st.lists(ODD, min_size=1, max_size=3), max_size=9),
    threads=st.integers(1, 5),
    batch=st.sampled_from([1, 40, 1 << 19]),
)
def test_any_number_of_threads_gives_the_ids_of_one_text_after_another(
    name: str, documents: list[list[str]], threads: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = TOKENIZERS[name]
    monkeypatch.setattr(tokenising, "BATCH_CHARACTERS", batch)
    pieces = [Piece(part, i == 0) for parts in documents for i, part in enumerate(parts)]
    for end in (tokenizer.eot_id, None):
        made = list(tokenised(iter(pieces), tokenizer, end, threads))
        assert [i for some in made for i in some.ids.tolist()] == by_hand(documents, tokenizer, end)
        assert {some.ids.dtype for some in made} <= {tokenizer.dtype}
        assert sum(some.documents for some in made) == len(documents)
        assert sum(some.bytes for some in made) == sum(len(valid_unicode(piece.text).encode()) for piece in pieces)


def test_order_holds_where_a_late_text_is_done_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenising, "BATCH_CHARACTERS", 1)
    texts = [("slow " * 200_000 if i % 4 == 0 else "quick ") + str(i) for i in range(24)]
    ids = np.concatenate([some.ids for some in tokenised(whole(texts), TOKENIZERS["bpe"], 399, 4)])
    assert ids.tolist() == by_hand([[text] for text in texts], TOKENIZERS["bpe"], 399)


@pytest.mark.parametrize("threads", [1, 4])
def test_reading_stays_a_few_batches_ahead(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the corpus, no more of it is held."""
    monkeypatch.setattr(tokenising, "BATCH_CHARACTERS", 10)
    read = 0

    def endless() -> Iterator[Piece]:
        nonlocal read
        while True:
            read += 1
            yield Piece("a text of 20 letters", True)

    given_out = tokenised(endless(), ByteTokenizer(), 256, threads)
    for n in range(1, 200):
        next(given_out)
        assert read - n <= 3 * threads + 1
    given_out.close()


def working() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tokenising")]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("error", [ValueError("cannot read b.txt"), KeyboardInterrupt()])
def test_an_error_while_reading_ends_every_thread(threads: int, error: BaseException) -> None:
    def texts() -> Iterator[Piece]:
        yield from whole(["a text"] * 50)
        raise error

    with pytest.raises(type(error)):
        list(tokenised(texts(), TOKENIZERS["bpe"], 399, threads))
    assert not working()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_text_that_cannot_be_encoded_is_told_and_ends_every_thread(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenising, "BATCH_CHARACTERS", 1)
    with pytest.raises(ValueError, match=r"1 characters are not in the vocabulary of 2: 'c'"):
        list(tokenised(whole(["ab"] * 9 + ["c"] + ["abd"] * 9), CharTokenizer("ab"), None, threads))
    assert not working()


@pytest.mark.parametrize(("usable", "expected"), [(1, []), (2, [2]), (64, [8])])
def test_as_many_threads_as_the_process_may_use(
    usable: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def pool(threads: int, **settings: Any) -> ThreadPoolExecutor:
        asked.append(threads)
        return ThreadPoolExecutor(threads, **settings)

    monkeypatch.setattr(tokenising, "usable_threads", lambda: (usable, "as many as this test says"))
    monkeypatch.setattr(tokenising, "ThreadPoolExecutor", pool)
    assert sum(some.documents for some in tokenised(whole(["a text"] * 9), ByteTokenizer(), 256)) == 9
    assert asked == expected


def test_who_stops_reading_ends_every_thread() -> None:
    ids = tokenised(whole(["a text"] * 1000), TOKENIZERS["bpe"], 399, 3)
    next(ids)
    ids.close()
    assert not working()


ENDLESS = """
import signal
import sys
from lab.data import tokenising
from lab.data.bpe import train_bpe
from lab.data.corpus import Piece
from lab.data.tokenfile import open_token_files
tokenising.usable_threads = lambda: (3, "")

class Endless:
    name, has_documents = "endless", True
    def pieces(self, split):
        print("reading", flush=True)
        while True:
            yield Piece("some words that go on and on " * 1000, True)
    def size_bytes(self, split):
        return None
    def fingerprint(self):
        return "endless"

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell starts its children with it ignored
try:
    open_token_files(Endless(), train_bpe(["some words"], 260), sys.argv[1])
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_ctrl_c_ends_it_at_once_with_nothing_half_made(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENDLESS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and file.name != ".lock"]
