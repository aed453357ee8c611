"""A vocabulary in Hugging Face's form (`tokenizer.json`), encoded by the library whose form it is.

Such a file says more than which pairs are joined: how a text is changed before (normalizer), cut into words
(pre_tokenizer) and set into a frame (post_processor), and which written words are tokens whole (added_tokens). All of
it is obeyed, because `tokenizers` itself encodes; what could not be is refused. Byte-level BPE is read, because its
tokens stand for bytes, as everything here expects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.data.bpe import byte_of_printable, printable_bytes
from lab.data.vocabulary import EOT, Tokenizer, valid_unicode
from lab.files import read_json

if TYPE_CHECKING:
    import tokenizers

MOST_NAMED = 8  # characters that a message names
MOST_IDS = 1 << 24  # of a vocabulary that no model bounds: a larger id is damage, and a table of so many rows
TOKENIZER_CONFIG = "tokenizer_config.json"
# Settings of the model that would make a token stand for something else than its bytes, or ids for chance.
PLAIN = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")


class HuggingFaceTokenizer(Tokenizer):
    """A byte-level BPE vocabulary with the settings of its file. Special text is ordinary text, as everywhere here.

    Encodes every text whose bytes it has; a vocabulary that was trained without the whole alphabet lacks some, and
    `encode` raises a `ValueError` that names them, where the library would drop them.
    """

    kind = "huggingface"

    def __init__(
        self,
        name: str,
        tokens: Sequence[bytes | None],
        eot_id: int | None,
        specials: dict[str, int],
        settings: dict[str, Any],
    ) -> None:
        super().__init__(name, tokens, eot_id, specials)
        self.settings = settings

    @cached_property
    def _encoder(self) -> tokenizers.Tokenizer:
        from tokenizers import Tokenizer as Encoder

        encoder = Encoder.from_str(json.dumps(self.settings))
        encoder.encode_special_tokens = True
        return encoder

    @cached_property
    def _unknown(self) -> frozenset[str]:
        """What the library would drop: the byte characters without a token, where none stands for the unknown."""
        model = self.settings["model"]
        return frozenset() if model.get("unk_token") else frozenset(printable_bytes()) - model["vocab"].keys()

    def encode(self, text: str) -> np.ndarray:
        valid = valid_unicode(text)
        if self._unknown:
            self._check(valid)
        return np.array(self._encoder.encode(valid, add_special_tokens=False).ids, dtype=np.int64)

    def _check(self, text: str) -> None:
        normalizer, cutter = self._encoder.normalizer, self._encoder.pre_tokenizer
        plain = normalizer.normalize_str(text) if normalizer else text
        words = [word for word, _ in cutter.pre_tokenize_str(plain)] if cutter else [plain]
        if unknown := sorted(self._unknown.intersection("".join(words))):
            byte_of = byte_of_printable()
            shown = ", ".join(f"0x{byte_of[c]:02X}" for c in unknown[:MOST_NAMED])
            shown += ", …" if len(unknown) > MOST_NAMED else ""
            raise ValueError(
                f"{len(unknown)} bytes of the text are not in the vocabulary of '{self.name}', which was trained "
                f"without them: {shown}; leave their characters out"
            )

    def _extra(self) -> dict[str, Any]:
        return {"settings": self.settings}


def read_settings(settings: Mapping[str, Any], name: str, n_ids: int, ends: Sequence[object]) -> HuggingFaceTokenizer:
    """The tokenizer that the content of a tokenizer.json describes.

    Args:
        name: What it is to be called.
        n_ids: Rows of the model. Special tokens that were added beyond them are left out: the model never saw them.
        ends: What may end a text, in writing or as an id: the first that is a special token does, else `<|endoftext|>`.

    Raises ValueError naming what cannot be obeyed or does not fit together.
    """
    settings = {**settings, "truncation": None, "padding": None}  # for batches of a model's, no part of the vocabulary
    _check_readable(settings)
    if problems := list(_problems(settings)):
        raise ValueError("; ".join(problems))
    vocabulary, added = settings["model"]["vocab"], settings.get("added_tokens") or []
    ids = vocabulary | {token["content"]: token["id"] for token in added}
    if len(set(ids.values())) < len(ids):
        raise ValueError("several tokens of its vocabulary have one id")
    joined = _joined(settings["model"])
    specials = _specials(settings["model"], added, joined)
    ordinary = {token: i for token, i in ids.items() if token not in specials}
    if not ordinary:
        raise ValueError("its vocabulary is empty")
    if max(ordinary.values()) >= n_ids:
        raise ValueError(f"the vocabulary has {len(ids)} tokens, the model knows {n_ids} ids")
    specials = {token: i for token, i in specials.items() if i < n_ids}
    tokens: list[bytes | None] = [None] * (1 + max([*ordinary.values(), *specials.values()]))
    byte_of = byte_of_printable()
    written = specials.keys() | {token["content"] for token in added} - joined
    for token, i in (ordinary | specials).items():
        try:
            tokens[i] = token.encode() if token in written else bytes(byte_of[character] for character in token)
        except KeyError as error:
            raise ValueError(f"its vocabulary is not byte-level: {error} in {token!r} stands for no byte") from None
    return HuggingFaceTokenizer(name, tokens, _end(ends, specials), specials, dict(settings))


def ends_beside(folder: Path) -> Iterator[object]:
    """What may end a text under the vocabulary of a folder, first what decides: as the model's files say by id, then as
    the vocabulary's write it."""
    for name in ("config.json", "generation_config.json"):
        found = (read_json(folder / name) or {}).get("eos_token_id")
        yield from found if isinstance(found, list) else [found]
    for name in (TOKENIZER_CONFIG, "special_tokens_map.json"):
        found = (read_json(folder / name) or {}).get("eos_token")
        yield found.get("content") if isinstance(found, dict) else found


def _problems(settings: Mapping[str, Any]) -> Iterator[str]:
    for setting in PLAIN:
        if value := settings["model"].get(setting):
            yield f"model.{setting} is {value!r}: only byte-level BPE without it is read"
    kinds = [part.get("type") for key in ("normalizer", "pre_tokenizer") for part in _parts(settings.get(key))]
    if (n := kinds.count("ByteLevel")) != 1:
        yield f"its normalizer and pre_tokenizer have {n or 'no'} ByteLevel steps: only byte-level BPE (one) is read"
    for part in _parts(settings.get("post_processor")):
        frame = [item for item in part.get("single") or [] if "Sequence" not in item]
        if frame or part.get("type") not in ("ByteLevel", "TemplateProcessing"):
            tokens = ", ".join(str(item.get("SpecialToken", {}).get("id")) for item in frame) or "tokens"
            yield (
                f"post_processor {part.get('type')} sets {tokens} around every text, which is not done here: "
                f"set post_processor to null to open the folder without"
            )


def _parts(value: Any) -> list[Mapping[str, Any]]:
    """A step, or those of a sequence of steps."""
    if not isinstance(value, dict):
        return []
    if value.get("type") != "Sequence":
        return [value]
    inner = value.get("pretokenizers") or value.get("normalizers") or value.get("processors") or []
    return [part for one in inner for part in _parts(one)]


def _check_readable(settings: Mapping[str, Any]) -> None:
    """Raise ValueError unless the library reads it, and as byte-level BPE: then its fields are of the right kinds."""
    from tokenizers import Tokenizer as Encoder

    model = settings.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        kind = model.get("type") if isinstance(model, dict) else model
        raise ValueError(f"its model is {kind!r}: only byte-level BPE is read")
    try:
        encoder = Encoder.from_str(json.dumps(settings))
    except Exception as error:  # the library's own errors are plain `Exception`
        raise ValueError(f"`tokenizers` cannot read it: {error}") from None
    for token in settings.get("added_tokens") or []:
        # The library numbers them anew where they leave a gap; the special ones it never gives.
        if not token["special"] and encoder.token_to_id(token["content"]) != token["id"]:
            raise ValueError(f"added_tokens gives {token['content']!r} the id {token['id']}, where it cannot stand")


def _joined(model: Mapping[str, Any]) -> set[str]:
    """What encoding can end in: a byte, or what a pair is joined to."""
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    return {*printable_bytes(), *("".join(pair) for pair in pairs)}


def _specials(model: Mapping[str, Any], added: Sequence[Mapping[str, Any]], joined: set[str]) -> dict[str, int]:
    """Tokens that no text encodes to: those declared as special, and those that nothing is joined to."""
    found = {token["content"]: token["id"] for token in added if token["special"]}
    if not model.get("ignore_merges"):  # with it a word that is a token is one, joined or not
        plain = {token["content"] for token in added}
        found |= {token: i for token, i in model["vocab"].items() if token not in plain}
    return {token: i for token, i in found.items() if token not in joined}


def _end(ends: Sequence[object], specials: Mapping[str, int]) -> int | None:
    for end in (*ends, EOT):
        if isinstance(end, str) and end in specials:
            return specials[end]
        if type(end) is int and end in specials.values():
            return end
    return None
