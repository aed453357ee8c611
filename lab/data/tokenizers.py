"""Making and loading a tokenizer by name.

`make_tokenizer(kind, corpus)` gives one of: `char`, `bytes`, `bpe` (learned from the corpus's training text), or a
published vocabulary (`gpt2`, `r50k_base`, `p50k_base`, `cl100k_base`, `o200k_base`). What took work is kept in the
cache and in the run (`tokenizer.json`), so a run is read on a machine that has neither the corpus nor a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.data.bpe import PUBLISHED, BPETokenizer, published_bpe, tiktoken_holds, train_bpe
from lab.data.cache import cache_root, keep, locked
from lab.data.corpus import Corpus, Split, utf8_bytes
from lab.data.huggingface import MOST_IDS, HuggingFaceTokenizer, ends_beside, read_settings
from lab.data.progress import Progress, say
from lab.data.vocabulary import EOT, FORMAT, ByteTokenizer, CharTokenizer, StreamDecoder, Tokenizer
from lab.units import byte_count

__all__ = ["KINDS", "StreamDecoder", "Tokenizer", "from_json", "load_tokenizer", "make_tokenizer"]

FIXED = ("bytes", *PUBLISHED)
KINDS = ("char", "bpe", *FIXED)
DEFAULT_BPE_SIZE = 4096
# 10 MB teach a 4096-token vocabulary in 3 s, and more text hardly changes which pairs are frequent.
TRAINING_BYTES = 10_000_000
SAMPLED_CHARACTERS = 1 << 14  # drawn at a time: some hundred stretches of the smallest text that is sampled
_RECIPE = 2  # part of the cache's key: raise it when training changes


def make_tokenizer(
    kind: str,
    corpus: Corpus | None = None,
    vocab_size: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Tokenizer:
    """The tokenizer `kind` (one of `KINDS`, or the path of a tokenizer.json), learned from `corpus` where it learns.

    `vocab_size` is `bpe`'s to choose (default 4096, or fewer where the text gives no more); with the others it may only
    repeat what they have. Raises `ValueError` for an unknown kind, a size that cannot be, or a published vocabulary
    that is not here and cannot be fetched.
    """
    if kind not in KINDS:
        if not (kind.endswith(".json") or Path(kind).exists()):
            raise ValueError(f"tokenizer is {kind!r}: choose one of {', '.join(KINDS)}, or name a tokenizer.json")
        return _check_size(load_tokenizer(kind), vocab_size)
    if kind == "bytes":
        return _check_size(ByteTokenizer(), vocab_size)
    learned = kind in ("char", "bpe")
    if learned and corpus is None:
        raise ValueError(f"the tokenizer '{kind}' is learned from a corpus, and none was given")
    path = _kept_path(kind, vocab_size if learned else None, corpus if learned else None, cache_dir)
    if (kept := _read_kept(path)) is not None:
        return _check_size(kept, vocab_size)
    with locked(path.parent):
        if (kept := _read_kept(path)) is not None:
            return _check_size(kept, vocab_size)
        made = _make(kind, corpus, vocab_size)
        keep(path, made.to_json())
    return _check_size(made, vocab_size)


def _kept_path(
    kind: str, vocab_size: int | None, corpus: Corpus | None, cache_dir: str | os.PathLike[str] | None
) -> Path:
    """Where the cache keeps a tokenizer: the name holds all that decides what it will be."""
    key = f"{_RECIPE}|{kind}|{vocab_size}|{corpus.fingerprint() if corpus else ''}"
    return cache_root(cache_dir) / "tokenizers" / f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"


def _make(kind: str, corpus: Corpus | None, vocab_size: int | None) -> Tokenizer:
    if corpus is None or kind in PUBLISHED:
        return published_bpe(kind)
    if kind == "bpe":
        return train_bpe(sample(corpus, TRAINING_BYTES), vocab_size or DEFAULT_BPE_SIZE)
    return learn_alphabet(corpus)


def published_if_here(name: str) -> Tokenizer | None:
    """The published vocabulary `name` if this machine has it; else none, without asking the network."""
    here = _kept_path(name, None, None, None).exists() or tiktoken_holds(name)
    return make_tokenizer(name) if here else None


def learn_alphabet(corpus: Corpus) -> CharTokenizer:
    """The characters of the training text, all of them (TinyShakespeare: 65).

    A character that only the validation text has was never trained: where there are such, the vocabulary has an id for
    the unknown, and they are read as that.
    """
    train: set[str] = set()
    for text in _read(corpus, "train", "learning its characters"):
        train.update(text)
    unseen = any(not train.issuperset(text) for text in _read(corpus, "val", "learning its characters"))
    alphabet = {c for c in train if not 0xD800 <= ord(c) < 0xE000}
    return CharTokenizer(alphabet, end_of_text=corpus.has_documents, unknown=unseen or alphabet != train)


def sample(corpus: Corpus, max_bytes: int) -> Iterator[str]:
    """About `max_bytes` of the training text, from all over it: of every so many stretches one is drawn.

    The draw is the same every time; without one, a text that alternates between two languages might give only the one.
    What share of the text it is, and of which scripts its letters are, is said in the end, where it is not all.
    """
    share = max_bytes / max(1, corpus.size_bytes("train"))
    if share >= 1:
        yield from _read(corpus, "train", "learning a vocabulary")
        return
    draw, taken, given, characters = random.Random(0).random, 0, 0, Counter[str]()
    number, drawn = 0, int(draw() / share)
    for text in _read(corpus, "train", "learning a vocabulary"):
        for start in range(0, len(text), SAMPLED_CHARACTERS):
            number += 1
            if number > drawn:
                taken += 1
                drawn = int((taken + draw()) / share)
                stretch = text[start : start + SAMPLED_CHARACTERS]
                given += utf8_bytes(stretch)
                characters.update(stretch)
                yield stretch
    of_all = f"{given / corpus.size_bytes('train'):.0%} of the training text"
    say(f"the vocabulary is learned from {byte_count(given)} drawn from all over it, {of_all}{_scripts(characters)}")


def _scripts(characters: Counter[str]) -> str:
    """Which scripts letters are of, as the end of a sentence: `; letters: 52% Latin, 48% Cyrillic`."""
    letters = Counter[str]()
    for character, times in characters.items():
        if character.isalpha():
            letters[unicodedata.name(character, "other").split()[0].capitalize()] += times
    total = letters.total()
    shown = [f"{times / total:.0%} {script}" for script, times in letters.most_common(5) if times >= 0.005 * total]
    return f"; letters: {', '.join(shown)}" if shown else ""


def _read(corpus: Corpus, split: Split, what: str) -> Iterator[str]:
    """The texts of a split, with the progress of reading them."""
    done = 0
    with Progress(f"{what} ({corpus.name}, {split})", corpus.size_bytes(split)) as progress:
        for text, _ in corpus.pieces(split):
            yield text
            done += utf8_bytes(text)
            progress.update(done)


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer stored in `path`, in this lab's form or Hugging Face's: a file, or a folder that holds it as
    `tokenizer.json`.

    Raises `ValueError` when the file is missing, torn, of another kind, or has what cannot be obeyed.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "tokenizer.json"
    try:
        stored = _object(file.read_text("utf-8"))
        if "model" in stored and "tokens" not in stored:
            name = file.absolute().parent.name if file.stem == "tokenizer" else file.stem
            return read_settings(stored, name, MOST_IDS, list(ends_beside(file.parent)))
        return _from_object(stored)
    except OSError as error:
        raise ValueError(f"no tokenizer at {file}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{file} is no tokenizer that opens here: {error}") from error


def _object(text: str) -> dict[str, Any]:
    try:
        stored = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error
    return stored if isinstance(stored, dict) else {}


def from_json(text: str) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_json` wrote. Raises `ValueError` for anything else."""
    return _from_object(_object(text))


def _from_object(stored: dict[str, Any]) -> Tokenizer:
    if not isinstance(stored.get("tokens"), list):
        raise ValueError("it has no table of tokens")
    if stored.get("format") != FORMAT:
        raise ValueError(f"its format is {stored.get('format')!r}, this version reads {FORMAT}")
    try:
        return _from_stored(stored)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"its fields do not fit together ({error})") from error


def _from_stored(stored: dict[str, Any]) -> Tokenizer:
    tokens = [None if token is None else base64.b64decode(token, validate=True) for token in stored["tokens"]]
    if stored["kind"] == "bytes":
        return ByteTokenizer()
    if stored["kind"] == "bpe":
        return BPETokenizer(stored["name"], tokens, stored["eot_id"], stored["specials"], stored["pattern"])
    if stored["kind"] == "huggingface":
        return HuggingFaceTokenizer(stored["name"], tokens, stored["eot_id"], stored["specials"], stored["settings"])
    if stored["kind"] == "char":
        special = {stored["unknown_id"], *stored["specials"].values()}
        alphabet = [token.decode("utf-8") for i, token in enumerate(tokens) if token is not None and i not in special]
        unknown = stored["unknown_id"] is not None
        return CharTokenizer(alphabet, end_of_text=EOT in stored["specials"], unknown=unknown)
    raise ValueError(f"kind = {stored['kind']!r}")


def _read_kept(path: Path) -> Tokenizer | None:
    """The tokenizer the cache holds, or none: what is torn there is made again."""
    try:
        return load_tokenizer(path)
    except ValueError:
        return None


def _check_size(tokenizer: Tokenizer, vocab_size: int | None) -> Tokenizer:
    """Raise `ValueError` when a size was asked for and another came out; a setting is never ignored."""
    got = tokenizer.vocab_size
    if got < 2:
        raise ValueError("the text is one character again and again: nothing can be learned from it; add other text")
    if vocab_size is None or vocab_size == got:
        return tokenizer
    if isinstance(tokenizer, CharTokenizer):
        why = f"too {'small' if vocab_size < got else 'large'} for the corpus: its characters make {got}"
    elif tokenizer.name == "bpe" and vocab_size > got:
        why = f"too large for the corpus: only {got} tokens can be learned from it"
    else:
        why = f"it does not fit '{tokenizer.name}', which has {got}"
    raise ValueError(f"vocab_size is {vocab_size}: {why}; set it to {got}, or leave it out")
