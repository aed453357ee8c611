"""What a tokenizer is, and the two simplest ones.

A vocabulary is a table: id → the bytes it stands for. Decoding is looking up and joining, whatever the tokenizer; only
encoding differs. So the table itself is kept and written to `tokenizer.json`: a stored tokenizer needs no network and
no download, and its ids have one meaning.

Here: `Tokenizer` (the table and everything that follows from it), `StreamDecoder`, `ByteTokenizer`, `CharTokenizer`.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

FORMAT = 1
EOT = "<|endoftext|>"
UNKNOWN = "\ufffd"

Encode = Callable[[str], np.ndarray]


class Tokenizer(ABC):
    """Text ↔ token ids.

    `name` is what the user asked for (`char`, `bytes`, `bpe`, `gpt2`, …), `tokens[id]` the bytes id stands for (`None`
    where an encoding leaves a gap), `eot_id` the id that ends a document (`None`: there is none), `specials` the ids
    that no text encodes to, by their written form. Special text in what a user types is ordinary text.
    """

    kind: ClassVar[str]

    def __init__(
        self, name: str, tokens: Sequence[bytes | None], eot_id: int | None, specials: dict[str, int] | None = None
    ) -> None:
        self.name = name
        self.tokens = list(tokens)
        self.eot_id = eot_id
        self.specials = dict(specials or {})

    @property
    def vocab_size(self) -> int:
        """Number of ids, gaps and special ones included: the width of the model's output."""
        return len(self.tokens)

    @abstractmethod
    def encode(self, text: str) -> np.ndarray:
        """Ids of `text`, int64 `[n_tokens]`. No end-of-text id is added."""

    def encoder(self) -> Encode:
        """What encodes as `encode` does, ids of any integer type, for the sole use of one thread."""
        return self.encode

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of `ids` (a list, array or tensor). Raises `ValueError` for an unknown id."""
        return b"".join([self.token_bytes(i) for i in _as_list(ids)])

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; bytes that are no UTF-8 become U+FFFD. Raises `ValueError` for an unknown id."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one id; for a special one its written form. Raises `ValueError` for an unknown id."""
        found = self.tokens[token_id] if 0 <= token_id < len(self.tokens) else None
        if found is None:
            raise ValueError(f"token id {token_id} is not in the vocabulary of '{self.name}' ({self.vocab_size} ids)")
        return found

    def stream(self) -> StreamDecoder:
        """A decoder for ids that arrive one at a time."""
        return StreamDecoder(self)

    @cached_property
    def byte_lengths(self) -> np.ndarray:
        """Bytes of text each id stands for, int64 `[vocab_size]`; 0 for special ids and gaps.

        What bits per byte divide by. The end of a document is no byte of its text: predicting it costs nats, and counts
        no bytes.
        """
        lengths = np.array([0 if token is None else len(token) for token in self.tokens], dtype=np.int64)
        lengths[list(self.specials.values())] = 0
        return lengths

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The narrowest type that holds every id: uint16 up to 65 536 ids, else uint32."""
        return np.dtype(np.uint16 if self.vocab_size <= 1 << 16 else np.uint32)

    def to_json(self) -> str:
        """The whole tokenizer, enough to encode and decode with no network; `from_json` reads it back."""
        tokens = [None if token is None else base64.b64encode(token).decode() for token in self.tokens]
        head = {"format": FORMAT, "kind": self.kind, "name": self.name, "vocab_size": self.vocab_size}
        return json.dumps({**head, "eot_id": self.eot_id, "specials": self.specials, **self._extra(), "tokens": tokens})

    def _extra(self) -> dict[str, Any]:
        """What a kind needs besides the table to encode again."""
        return {}

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of `to_json()`: equal if and only if every text gets equal ids."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, vocab_size={self.vocab_size})"


class StreamDecoder:
    """Turns ids into text as they come, holding back a character until its last byte is there.

    A byte-level token may end in the middle of a character: printed alone it would show U+FFFD.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, ids: int | Iterable[int]) -> str:
        """The text that is certain now that `ids` (one, or several) have arrived; often the empty string."""
        some = [ids] if isinstance(ids, int) else ids
        return self._decoder.decode(self._tokenizer.decode_bytes(some))

    def flush(self) -> str:
        """What was held back; an unfinished character becomes U+FFFD."""
        return self._decoder.decode(b"", final=True)


class ByteTokenizer(Tokenizer):
    """Every byte of UTF-8 is a token; id 256 ends a document. Encodes everything, 1 byte per token."""

    kind = "bytes"

    def __init__(self) -> None:
        super().__init__("bytes", [bytes([i]) for i in range(256)] + [EOT.encode()], 256, {EOT: 256})

    def encode(self, text: str) -> np.ndarray:
        return np.frombuffer(valid_unicode(text).encode("utf-8"), dtype=np.uint8).astype(np.int64)


class CharTokenizer(Tokenizer):
    """Every character of an alphabet is a token, in code point order.

    After them, only where the corpus calls for it: an id that ends a document, and an id for every character outside
    the alphabet. Without the latter `encode` raises a `ValueError` that names the characters it does not know; with it
    they are read as U+FFFD, and decode to that.
    """

    kind = "char"

    def __init__(self, alphabet: Iterable[str], *, end_of_text: bool = False, unknown: bool = False) -> None:
        characters = sorted(set(alphabet) - ({UNKNOWN} if unknown else set()))
        if wrong := [c for c in characters if len(c) != 1]:
            raise ValueError(f"an alphabet holds single characters, not {wrong[:5]}")
        tokens = [c.encode("utf-8") for c in characters]
        self.alphabet = "".join(characters)
        specials = {}
        if end_of_text:
            specials[EOT] = len(tokens)
            tokens.append(EOT.encode())
        self.unknown_id = len(tokens) if unknown else None
        if unknown:
            tokens.append(UNKNOWN.encode())
        super().__init__("char", tokens, specials.get(EOT), specials)

    @cached_property
    def _lookup(self) -> np.ndarray:
        """Code point → id, -1 where there is none. One gather over it is 4 times a loop over a dict."""
        points = np.array([ord(c) for c in self.alphabet], dtype=np.int64)
        table = np.full(points.max(initial=0) + 2, -1 if self.unknown_id is None else self.unknown_id, dtype=np.int64)
        table[points] = np.arange(len(points))
        return table

    def encode(self, text: str) -> np.ndarray:
        points = np.frombuffer(valid_unicode(text).encode("utf-32-le"), dtype=np.uint32)
        # Everything beyond the last known character shares the table's last row, which stands for the unknown.
        ids = self._lookup[np.minimum(points, len(self._lookup) - 1)]
        if self.unknown_id is None and ids.size and ids.min() < 0:
            unknown = sorted({chr(p) for p in points[ids < 0]})
            shown = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in unknown[:8])
            shown += ", …" if len(unknown) > 8 else ""
            raise ValueError(
                f"{len(unknown)} characters are not in the vocabulary of {self.vocab_size}: {shown}; leave"
                f" them out, or use the tokenizer 'bpe' or 'bytes', which encode every text"
            )
        return ids

    def _extra(self) -> dict[str, Any]:
        return {"unknown_id": self.unknown_id}


def valid_unicode(text: str) -> str:
    """`text` with lone surrogates, which UTF-8 cannot carry, replaced by U+FFFD; pairs are joined."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _as_list(ids: Iterable[int]) -> list[int]:
    tolist = getattr(ids, "tolist", None)  # numpy and torch alike, without importing either
    return list(tolist() if tolist else ids)
