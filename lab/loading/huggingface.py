"""A Hugging Face GPT-2 folder to a model and its tokenizer.

The folder holds `config.json` and `model.safetensors`; its vocabulary, where there is one, is in `tokenizer.json` (this
lab's form or Hugging Face's) or in `vocab.json` and `merges.txt`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lab.data.bpe import from_merges, published_bpe
from lab.data.tokenizers import Tokenizer, load_tokenizer
from lab.model import GPT, GPTConfig
from lab.model.gpt2_layout import CONFIG_FILE, GPT2_VOCABULARY, WEIGHTS_FILE, config_from_gpt2, model_from_gpt2


def load_folder(folder: Path) -> tuple[GPT, Tokenizer]:
    """The model, in fp32 and evaluation mode, and its tokenizer. Raises ValueError as `load_gpt2`, and where the
    vocabulary is missing, damaged, of another kind or larger than the model's."""
    model = load_gpt2(folder)
    tokenizer = _folder_tokenizer(folder, model.config.vocab_size)
    n_tokens, rows = tokenizer.vocab_size, model.config.vocab_size
    if n_tokens > rows:
        raise ValueError(f"{folder}: the vocabulary has {n_tokens} tokens, the model knows {rows} ids")
    if n_tokens < rows:
        # Rows without a token (a vocabulary rounded up) are padding: never read, never written.
        model.config = replace(model.config, vocab_size=n_tokens, pad_vocab_to=rows)
    return model, tokenizer


def load_gpt2(folder: str | Path) -> GPT:
    """A GPT in fp32 and evaluation mode, from a Hugging Face GPT-2 folder with safetensors weights.

    Raises ValueError where the folder holds no GPT-2, one with settings that this model does not have, or weights that
    are torn or don't fit its configuration.
    """
    folder = Path(folder)
    config = _read_config(folder / CONFIG_FILE)
    weights = _read_weights(folder / WEIGHTS_FILE)
    try:
        return model_from_gpt2(config, weights)
    except ValueError as error:
        raise ValueError(f"{folder / WEIGHTS_FILE} does not fit {CONFIG_FILE}:\n{error}") from None


def _read_config(path: Path) -> GPTConfig:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(stored, dict):
            raise ValueError("not a JSON object")
        return config_from_gpt2(stored)
    except FileNotFoundError:
        raise ValueError(f"{path.parent} is no GPT-2 folder: it has no {path.name}") from None
    except ValueError as error:  # JSON's and Unicode's errors are ValueErrors too
        raise ValueError(f"{path} describes no GPT-2 that opens here:\n{error}") from None


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise ValueError(f"{path.parent} has no {path.name}: only safetensors are read") from None
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read as safetensors: {error}") from None


def _folder_tokenizer(folder: Path, vocab_size: int) -> Tokenizer:
    """The folder's own vocabulary; where it has none and the model has GPT-2's number of ids, GPT-2's."""
    for read in (_own_tokenizer, _tokenizer_json, _vocab_and_merges):
        if (tokenizer := read(folder)) is not None:
            return tokenizer
    if vocab_size != GPT2_VOCABULARY:
        raise ValueError(
            f"{folder} has no vocabulary, and with {vocab_size} token ids it is not GPT-2's: "
            f"put its vocab.json and merges.txt, or its tokenizer.json, into the folder"
        )
    return published_bpe("gpt2")


def _own_tokenizer(folder: Path) -> Tokenizer | None:
    stored = _read_json(folder / "tokenizer.json")
    return load_tokenizer(folder) if stored is not None and "tokens" in stored else None


def _tokenizer_json(folder: Path) -> Tokenizer | None:
    """Hugging Face's newer form: one file with everything."""
    path = folder / "tokenizer.json"
    stored = _read_json(path)
    if stored is None:
        return None
    model, cutting = stored.get("model") or {}, stored.get("pre_tokenizer") or {}
    plain = cutting.get("type") == "ByteLevel" and not cutting.get("add_prefix_space")
    if model.get("type") != "BPE" or not plain or stored.get("normalizer"):
        raise ValueError(f"{path} holds no tokenizer like GPT-2's: only byte-level BPE is read")
    pairs = [pair if isinstance(pair, str) else " ".join(pair) for pair in model.get("merges", [])]
    return _byte_level(path, model.get("vocab", {}), pairs)


def _vocab_and_merges(folder: Path) -> Tokenizer | None:
    """Hugging Face's older form: ids in vocab.json, the order of learning in merges.txt."""
    path = folder / "vocab.json"
    vocabulary = _read_json(path)
    if vocabulary is None:
        return None
    try:
        lines = (folder / "merges.txt").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{path} has no readable merges.txt beside it") from None
    return _byte_level(path, vocabulary, [line for line in lines if line and not line.startswith("#version")])


def _byte_level(path: Path, vocabulary: dict[str, int], merges: list[str]) -> Tokenizer:
    """GPT-2's layout: 256 bytes, then what each merge made, in the order of learning, then the end of text."""
    learned = [pair.replace(" ", "") for pair in merges]
    n = 256 + len(learned)
    tokens = {token: i for token, i in vocabulary.items() if i < n}
    in_order = [tokens.get(token) for token in learned] == list(range(256, n))
    if not in_order or len(tokens) != n or len(vocabulary) > n + 1:
        raise ValueError(
            f"{path} cannot be opened here: it is not laid out as GPT-2's vocabulary (256 bytes, then what "
            f"the merges make, in order, then the end of text)"
        )
    try:
        return from_merges(tokens, name=path.parent.resolve().name)
    except KeyError as error:
        raise ValueError(f"{path} is not byte-level: {error} stands for no byte") from None


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        stored = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise ValueError(f"{path} is damaged: not JSON") from None
    if not isinstance(stored, dict):
        raise ValueError(f"{path} is damaged: it does not hold an object")
    return stored
