"""Byte-pair encoding: a vocabulary of frequent byte strings.

Training starts from the 256 bytes and joins, again and again, the most frequent neighbouring pair into a new token
(Sennrich et al. 2016, on bytes as in GPT-2, §2.2). Encoding repeats the joins in the order they were learned. A pattern
cuts the text into words first, so that no token spans two of them.

Two libraries share the work: `tokenizers` trains (seconds for 10 MB), `tiktoken` encodes (about 30 MB/s a core, 5 to 10
times as fast), and the ids are the same. Both are imported when needed.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.data.vocabulary import EOT, Encode, Tokenizer, valid_unicode

if TYPE_CHECKING:
    import tiktoken

# GPT-2's words: contractions, letters, digits, other signs (each with the space before it), and white space.
GPT2_PATTERN = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s+(?!\S)|\s+"
PUBLISHED = ("gpt2", "r50k_base", "p50k_base", "cl100k_base", "o200k_base")
_POSSESSIVE_WORDS = (  # all but white space: here, in tiktoken's gpt2, r50k_base and p50k_base, in cl100k_base
    GPT2_PATTERN.partition(r"|\s+(?!")[0],
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]",
)
SMALLEST = 257  # 256 bytes and the end of text
DOWNLOAD_SECONDS = 60.0
# tiktoken's regular expressions remember one place for each character of white space in a row, a million at most.
_SPACE_IN_A_ROW = re.compile(r"\s{500000}")


class BPETokenizer(Tokenizer):
    """A byte-level BPE vocabulary, trained here or published. Encodes every text."""

    kind = "bpe"

    def __init__(
        self, name: str, tokens: Sequence[bytes | None], eot_id: int | None, specials: dict[str, int], pattern: str
    ) -> None:
        super().__init__(name, tokens, eot_id, specials)
        self.pattern = pattern

    @cached_property
    def _encoding(self) -> tiktoken.Encoding:
        return self._new_encoding()

    def _new_encoding(self) -> tiktoken.Encoding:
        import tiktoken

        special = set(self.specials.values())
        ranks = {token: i for i, token in enumerate(self.tokens) if token is not None and i not in special}
        pattern = fast_pattern(self.pattern)
        return tiktoken.Encoding(self.name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=self.specials)

    def encode(self, text: str) -> np.ndarray:
        return _encode(self._encoding, text).astype(np.int64)

    def encoder(self) -> Encode:
        # The first thread that uses an encoding owns the memory of its regular expressions; every other waits for a
        # lock at each word, even while no other works: a third slower.
        return partial(_encode, self._new_encoding())

    def _extra(self) -> dict[str, Any]:
        return {"pattern": self.pattern}


def _encode(encoding: tiktoken.Encoding, text: str) -> np.ndarray:
    """Ids of `text`, uint32. No special text is allowed or refused: "<|endoftext|>" is seven ordinary tokens."""
    text = valid_unicode(text)
    ends = [found.end() for found in _SPACE_IN_A_ROW.finditer(text)] if len(text) > 1_000_000 else []
    parts = [text[start:end] for start, end in pairwise([0, *ends, len(text)])]
    ids = [encoding.encode_to_numpy(part, disallowed_special=()) for part in parts]
    return ids[0] if len(ids) == 1 else np.concatenate(ids)


def fast_pattern(pattern: str) -> str:
    """A pattern that finds the same words in about 0.6 of the time; `pattern` itself where none is known.

    tiktoken's `fancy-regex` tries the alternatives one by one where one of them looks ahead. All but white space before
    a word do not: in a group of their own they become one automaton, which reads each character once. It may hold no
    `++` either; those of the published patterns never matter, for what follows them cannot match inside their run.
    """
    words, look_ahead, rest = pattern.partition(r"|\s+(?!\S)")
    if not look_ahead or words.count("(") != words.count(")"):
        return pattern
    if words in _POSSESSIVE_WORDS:
        words = re.sub(r"([+*?]|3})\+", r"\1", words)
    return f"(?:{words}){look_ahead}{rest}"


def train_bpe(texts: Iterable[str], vocab_size: int) -> BPETokenizer:
    """Learn a vocabulary of at most `vocab_size` ids from `texts`: 256 bytes, joined pairs, and last the end of text.

    Fewer come out when no pair is left that occurs twice. Raises `ValueError` when `vocab_size` is below 257.
    """
    from tokenizers import Tokenizer as HFTokenizer
    from tokenizers import models, pre_tokenizers, trainers

    if vocab_size < SMALLEST:
        raise ValueError(
            f"vocab_size is {vocab_size}: too small for 'bpe', 256 bytes and the end of text make {SMALLEST}"
        )
    learner = HFTokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    learner.train_from_iterator((valid_unicode(text) for text in texts), trainer)
    return from_merges(learner.get_vocab())


def from_merges(vocabulary: dict[str, int]) -> BPETokenizer:
    """A tokenizer from a byte-level vocabulary in Hugging Face's notation, whose ids follow the order of learning.

    That order is all tiktoken asks for: of two neighbouring pairs the one learned first is joined first.
    """
    byte_of = byte_of_printable()
    tokens = [b""] * len(vocabulary)
    for token, i in vocabulary.items():
        tokens[i] = bytes(byte_of[character] for character in token)
    end = len(tokens)
    return BPETokenizer("bpe", [*tokens, EOT.encode()], end, {EOT: end}, GPT2_PATTERN)


def byte_of_printable() -> dict[str, int]:
    """The byte that each character of `printable_bytes` stands for."""
    return {character: byte for byte, character in enumerate(printable_bytes())}


def printable_bytes() -> Iterator[str]:
    """What GPT-2's vocabulary files write for each byte: itself where it can be seen, else from U+0100 on."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = 0
    for byte in range(256):
        if byte in visible:
            yield chr(byte)
        else:
            yield chr(0x100 + hidden)
            hidden += 1


def tiktoken_holds(name: str) -> bool:
    """Whether tiktoken's own cache has the files of `name`, each under the sha1 of its address."""
    source = "https://openaipublic.blob.core.windows.net"
    files = [f"{source}/encodings/{name}.tiktoken"]
    if name == "gpt2":
        files = [f"{source}/gpt-2/encodings/main/{part}" for part in ("vocab.bpe", "encoder.json")]
    folder = os.environ.get("TIKTOKEN_CACHE_DIR") or os.path.join(tempfile.gettempdir(), "data-gym-cache")
    return all(os.path.exists(os.path.join(folder, hashlib.sha1(f.encode()).hexdigest())) for f in files)


def published_bpe(name: str, timeout: float = DOWNLOAD_SECONDS) -> BPETokenizer:
    """A vocabulary OpenAI published: one of `PUBLISHED`.

    tiktoken looks into its local cache first (`TIKTOKEN_CACHE_DIR`), then downloads 1 to 4 MB. Raises `ValueError` when
    there is neither, at the latest after `timeout` seconds: tiktoken itself has no time limit.
    """
    import tiktoken

    result: list[Any] = []

    def fetch() -> None:
        try:
            result.append(tiktoken.get_encoding(name))
        except Exception as error:  # requests', urllib3's, tiktoken's own: all mean the same here
            result.append(error)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(timeout)
    found = result[0] if result else TimeoutError(f"no answer within {timeout:.0f} s")
    if isinstance(found, Exception):
        raise ValueError(
            f"the vocabulary '{name}' is not on this machine and could not be downloaded"
            f" ({type(found).__name__}); set TIKTOKEN_CACHE_DIR to a folder that holds it, or train one here:"
            f" --data.tokenizer bpe"
        ) from found
    specials = dict(found._special_tokens)
    tokens: list[bytes | None] = [None] * found.n_vocab
    for token, i in found._mergeable_ranks.items():
        tokens[i] = token
    for text, i in specials.items():
        tokens[i] = text.encode()
    return BPETokenizer(name, tokens, found.eot_token, specials, found._pat_str)
