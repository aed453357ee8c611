"""A Hugging Face GPT-2 folder to a model and its tokenizer.

The folder holds `config.json` and its weights in `model.safetensors`, or in shards that
`model.safetensors.index.json` names. `lab.loading.vocabulary` reads its vocabulary.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lab.data.tokenizers import Tokenizer
from lab.files import read_json
from lab.loading.vocabulary import read_vocabulary
from lab.model import GPT, GPTConfig
from lab.model.gpt2_layout import CONFIG_FILE, WEIGHTS_FILE, config_from_gpt2, model_from_gpt2

INDEX_FILE = "model.safetensors.index.json"
SHARD_NAME = re.compile(r"\w[\w.-]{0,199}")  # a file in the same folder
POINTER = b"version https://git-lfs"  # how a file begins that Git LFS has not fetched


def load_folder(folder: Path) -> tuple[GPT, Tokenizer]:
    """The model, in fp32 and evaluation mode, and its tokenizer. Raises ValueError as `load_gpt2`, and where the
    vocabulary is missing, damaged, of another kind or larger than the model's."""
    model = load_gpt2(folder)
    rows = model.config.vocab_size
    tokenizer = read_vocabulary(folder, rows)
    if tokenizer.vocab_size < rows:
        # Rows without a token (a vocabulary rounded up) are padding: never read, never written.
        model.config = replace(model.config, vocab_size=tokenizer.vocab_size, pad_vocab_to=rows)
    return model, tokenizer


def load_gpt2(folder: str | Path) -> GPT:
    """A GPT in fp32 and evaluation mode, from a Hugging Face GPT-2 folder with safetensors weights.

    Raises ValueError where the folder holds no GPT-2, one with settings that this model does not have, or weights that
    are torn or don't fit its configuration.
    """
    folder = Path(folder)
    config = _read_config(folder / CONFIG_FILE)
    weights = _read_weights(folder)
    try:
        return model_from_gpt2(config, weights)
    except ValueError as error:
        raise ValueError(f"the weights in {folder} do not fit {CONFIG_FILE}: {_in_a_line(error)}") from None


def _read_config(path: Path) -> GPTConfig:
    try:
        if (stored := read_json(path)) is not None:
            return config_from_gpt2(stored)
    except ValueError as error:
        raise ValueError(f"{path} describes no GPT-2 that opens here: {_in_a_line(error)}") from None
    raise ValueError(f"{path.parent} is no GPT-2 folder: it has no {path.name}")


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of the one file, or of all shards."""
    if (folder / WEIGHTS_FILE).exists() or (index := read_json(folder / INDEX_FILE)) is None:
        return _read_tensors(folder / WEIGHTS_FILE)
    names_of = _shards(folder / INDEX_FILE, index.get("weight_map"))
    if absent := [shard for shard in names_of if not (folder / shard).exists()]:
        raise ValueError(f"{folder} has no {', '.join(absent)}, which {INDEX_FILE} names: fetch it, too")
    weights: dict[str, Tensor] = {}
    for shard, names in names_of.items():
        found = _read_tensors(folder / shard)
        if lacking := [name for name in names if name not in found]:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise ValueError(f"{folder / shard} has no {lacking[0]}{more}, which {INDEX_FILE} says it has")
        weights |= {name: found[name] for name in names}
    return weights


def _shards(path: Path, weight_map: object) -> dict[str, list[str]]:
    """Files beside the index and the weights in each."""
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{path} is damaged: it has no weight_map from weights to files")
    names_of = defaultdict(list)
    for name, shard in weight_map.items():
        if not isinstance(shard, str) or not SHARD_NAME.fullmatch(shard):
            raise ValueError(f"{path} is damaged: {str(shard)[:80]!r} (for {name[:80]!r}) is no file beside it")
        names_of[shard].append(name)
    return dict(names_of)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise ValueError(f"{path.parent} has no {path.name}: only safetensors are read") from None
    except (SafetensorError, OSError) as error:
        pointer = "it is a pointer of Git LFS to the weights; fetch them with `git lfs pull`"
        why = pointer if _begins_with(path, POINTER) else error
        raise ValueError(f"{path} cannot be read as safetensors: {why}") from None


def _in_a_line(error: ValueError) -> str:
    return "; ".join(str(error).splitlines())


def _begins_with(path: Path, start: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(start)) == start
    except OSError:
        return False
