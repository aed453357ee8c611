"""The vocabulary of a Hugging Face folder, and which of its tokens ends a text.

It is in `tokenizer.json` (this lab's form or Hugging Face's), or in `vocab.json` and `merges.txt`, the older form, with
what was added in `added_tokens.json`. Which token ends a text is written in up to four other files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.data.bpe import published_bpe
from lab.data.huggingface import TOKENIZER_CONFIG, ends_beside, read_settings
from lab.data.tokenizers import Tokenizer, load_tokenizer
from lab.files import read_json
from lab.model.gpt2_layout import GPT2_VOCABULARY

TOKENIZER_FILE = "tokenizer.json"


def read_vocabulary(folder: Path, n_ids: int) -> Tokenizer:
    """The folder's own vocabulary; where it has none and the model has GPT-2's number of ids, GPT-2's.

    Raises ValueError where it is missing, damaged, of a kind that is not read here, or larger than the model's `n_ids`.
    """
    path = folder / TOKENIZER_FILE
    settings = read_json(path)
    if settings is not None and "tokens" in settings:
        return _fitting(path, load_tokenizer(folder), n_ids)
    if settings is None:
        path = folder / "vocab.json"
        settings = _older_form(path)
    if settings is not None:
        try:
            return read_settings(settings, folder.resolve().name, n_ids, list(ends_beside(folder)))
        except ValueError as error:
            raise ValueError(f"{path} cannot be opened here: {error}") from None
    if n_ids != GPT2_VOCABULARY:
        raise ValueError(
            f"{folder} has no vocabulary, and with {n_ids} token ids it is not GPT-2's: "
            f"put its vocab.json and merges.txt, or its tokenizer.json, into the folder"
        )
    return published_bpe("gpt2")


def _fitting(path: Path, tokenizer: Tokenizer, n_ids: int) -> Tokenizer:
    if tokenizer.vocab_size > n_ids:
        raise ValueError(f"{path}: the vocabulary has {tokenizer.vocab_size} tokens, the model knows {n_ids} ids")
    return tokenizer


def _older_form(path: Path) -> dict[str, Any] | None:
    """What tokenizer.json would say, from ids in vocab.json and the order of learning in merges.txt."""
    vocabulary = read_json(path)
    if vocabulary is None:
        return None
    try:
        lines = (path.parent / "merges.txt").read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{path} has no readable merges.txt beside it") from None
    merges = [line.rstrip("\r") for line in lines if line.strip() and not line.startswith("#version")]
    told = read_json(path.parent / TOKENIZER_CONFIG) or {}
    step = {"type": "ByteLevel", "add_prefix_space": told.get("add_prefix_space") is True, "trim_offsets": True}
    return {
        "version": "1.0",
        "added_tokens": list(_added(path.parent, told)),
        "pre_tokenizer": {**step, "use_regex": True},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
    }


def _added(folder: Path, told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """`added_tokens` of tokenizer.json, by id, from where the older form has them."""
    ids = {i: text for text, i in (read_json(folder / "added_tokens.json") or {}).items() if type(i) is int}
    declared = told.get("added_tokens_decoder")
    flags = {int(i): entry for i, entry in declared.items() if i.isdecimal()} if isinstance(declared, dict) else {}
    for i in sorted(ids.keys() | flags.keys()):
        entry = {"content": ids.get(i), "special": True} | (flags[i] if isinstance(flags.get(i), dict) else {})
        plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        if isinstance(entry["content"], str):
            yield plain | entry | {"id": i}
