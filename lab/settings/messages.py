"""What is said of a mistaken setting: one line with its name, its value and what would be right."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from lab.presets import find_settings, near_file

DECIDED_ELSEWHERE = {
    "model.config.vocab_size": "it follows from the tokenizer: set data.tokenizer or data.vocab_size",
    "trainer.max_steps": "the horizon decides it: set horizon.steps (or tokens, tokens_per_parameter, minutes)",
    "trainer.max_epochs": "a run is measured in steps: set horizon.steps (or tokens, tokens_per_parameter, minutes)",
    "trainer.accumulate_grad_batches": "it follows from data.tokens_per_step and data.batch_size",
    "trainer.val_check_interval": "set validation.every, in optimizer steps",
    "trainer.check_val_every_n_epoch": "set validation.every, in optimizer steps",
    "trainer.gradient_clip_val": "set model.optimizer.clip",
    "trainer.gradient_clip_algorithm": "model.optimizer.clip clips by the global norm",
    "trainer.default_root_dir": "set run.root and run.name",
    "trainer.logger": "set tensorboard and wandb",
    "trainer.enable_checkpointing": "set checkpoint.every",
    "trainer.min_steps": "a run has one length: set horizon.steps",
    "trainer.min_epochs": "a run is measured in steps: set horizon.steps",
    "trainer.fast_dev_run": "for a short try set horizon.steps to 10",
    "trainer.limit_train_batches": "set horizon.steps",
    "trainer.limit_val_batches": "set data.val_tokens",
    "trainer.limit_test_batches": "a run has a training and a validation split, and no other",
    "trainer.limit_predict_batches": "a run has a training and a validation split, and no other",
    "trainer.overfit_batches": "set data.repeat_first_batch",
    "trainer.num_sanity_val_steps": "validation at step 0 is that check: see validation.every",
    "trainer.log_every_n_steps": "set log.every",
    "trainer.enable_model_summary": "its line is printed when a run starts",
    "trainer.barebones": "it switches off what makes a run directory",
    "trainer.reload_dataloaders_every_n_epochs": "batch n follows from data.seed and n",
    "trainer.use_distributed_sampler": "batch n follows from data.seed and n",
    "trainer.sync_batchnorm": "the model has no batch norm",
    "trainer.strategy": "a run trains on one device",
    "trainer.num_nodes": "a run trains on one machine",
    "trainer.enable_autolog_hparams": "the whole configuration is always logged",
    "trainer.model_registry": "checkpoints lie in the run directory",
}
"""Settings that Lightning or a link would overrule in silence, or that mean nothing here, and what to set instead."""

TYPE_NAMES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    NoneType: "null",
    list: "a list",
    tuple: "a list",
    dict: "a mapping such as {name: value}",
}
CLASS_PROBLEM = re.compile(
    r"Problem with given class_path [^-]*|Expected a dot import path string: \S+"
    r"|the following arguments are required: [\w, ]*"
)
"""What jsonargparse says of a class that cannot be imported or built: the one message that has no structure."""


def bad_value(key: str, value: Any, type_: Any, reason: str) -> str:
    """A value that its setting does not take. `reason` is jsonargparse's, used where the type has a class in it."""
    if found := CLASS_PROBLEM.search(reason):
        expected = f"{found[0].strip()} (give a class's import path, such as lightning.pytorch.callbacks.EarlyStopping)"
    else:
        expected = expected_of(type_) or " ".join(reason.split())
    return f"{key} is {value if isinstance(value, str) and value else repr(value)}: {expected}"


def expected_of(type_: Any) -> str:
    """`int | None` in words: `expected a whole number or null`; empty for a type that has no word.

    >>> expected_of(Literal["off", "online"])
    'expected one of off, online'
    """
    parts = get_args(type_) if get_origin(type_) in (Union, UnionType) else (type_,)
    words = []
    for part in parts:
        if get_origin(part) is Literal:
            words.append(f"one of {', '.join(repr(choice) for choice in get_args(part))}")
        elif word := TYPE_NAMES.get(get_origin(part) or part):
            words.append(word)
    return f"expected {' or '.join(dict.fromkeys(words))}" if words else ""


def takes_null(type_: Any) -> bool:
    """Whether null is a value of a setting of this type.

    >>> takes_null(int), takes_null(int | None)
    (False, True)
    """
    if get_origin(type_) in (Union, UnionType):
        return any(takes_null(part) for part in get_args(type_))
    return type_ in (Any, NoneType) or (get_origin(type_) is Literal and None in get_args(type_))


def takes_text(type_: Any, text: Any) -> bool:
    """Whether a setting of this type means `text`, a word or a list of words, where YAML reads something else.

    >>> takes_text(str | None, "1e5"), takes_text(int | str, "12"), takes_text(list[str] | None, ["on"])
    (True, False, True)
    >>> takes_text(Literal["off", "online"], "off"), takes_text(Literal[32, "32"], "32")
    (True, False)
    """
    parts = get_args(type_) if get_origin(type_) in (Union, UnionType) else (type_,)
    choices = [choice for part in parts if get_origin(part) is Literal for choice in get_args(part)]
    if any(isinstance(one, bool | int | float) for one in choices) or {bool, int, float} & set(parts):
        return False
    if isinstance(text, list):
        return list[str] in parts and all(isinstance(one, str) for one in text)
    return str in parts or text in choices


def no_file(key: str, value: str) -> str:
    """A group of settings that is given as a file which is not there."""
    return f"{key} is {value!r}: no such file, nor a setting of {key}{near_file(Path(value))}"


def not_a_group(key: str, value: Any, inside: str) -> str:
    """A plain value where a group of settings belongs; `inside` names one of them."""
    return f"{key} is {value!r}: it is a group of settings, such as {inside}"


def stray_word(word: str) -> str:
    """A word that belongs to no setting: most often a configuration without `--config` in front."""
    if word.startswith("-"):
        return f"{word}: no such setting; settings are given as --name value (see --help)"
    if word.endswith((".yaml", ".yml")) or find_settings(word).is_file():
        return f"{word}: a configuration is given as --config {word}"
    return f"{word}: belongs to no setting; settings are given as --name value (see --help)"


def unknown_key(key: str, keys: list[str]) -> str:
    """`model.config.n_layres`: no such setting; did you mean …"""
    last = key.rsplit(".", 1)[-1]
    close = difflib.get_close_matches(key, keys, n=2, cutoff=0.75)
    close += [
        k for k in keys if k.rsplit(".", 1)[-1] in difflib.get_close_matches(last, [x.rsplit(".", 1)[-1] for x in keys])
    ]
    close = list(dict.fromkeys(close))[:3]
    return f"{key}: no such setting" + (f"; did you mean {' or '.join(close)}?" if close else "")


def decided_elsewhere(key: str) -> str:
    """Why a setting cannot be given, and what to set instead."""
    return f"{key} cannot be set: {DECIDED_ELSEWHERE[key]}"
