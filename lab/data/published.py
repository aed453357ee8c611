"""The split that a publisher made, told from the names of files.

The words and where they may stand are those that `datasets` goes by (its documentation, "Structure your repository"):
`train-00000-of-00004.parquet`, `wiki.valid.txt`, `validation/part-3.jsonl`, `fineweb_val_000000.bin`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lab.data.opening import TOKEN_ENDINGS, kind_of, split_name

_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words}
_BETWEEN = re.compile(r"[-._ 0-9]+")
_NUMBERS = re.compile(r"[0-9a-f]{16}|[-._ 0-9]")  # of shards, and the hash that older files carry
# Of plain text only these, and only where two names differ in the word alone: `train.py` beside `test.py` is a program,
# "train journey.txt" beside "test results.txt" are notes.
_PLAIN = (".txt", ".raw", ".tokens")


class Published(NamedTuple):
    """A published split: what is learned from, what is held out under which name, and the rest."""

    train: list[Path]
    val: list[Path]
    held_out: str
    test: list[Path]
    outside: list[Path]


def published_split(files: Sequence[Path], root: Path) -> Published | None:
    """The split that the names of `files` beneath `root` tell; none where they tell of none.

    There is one where some files are for training and others for validation or, without such, for testing. Where there
    are both, the test split is left alone.
    """
    told = {file: _told(file.absolute().relative_to(root)) for file in files}
    templates: dict[str, set[str]] = {}
    for split, template in filter(None, told.values()):
        templates.setdefault(template, set()).add(split)

    def of(split: str) -> list[Path]:
        found = [(file, known[1]) for file, known in told.items() if known and known[0] == split]
        return [file for file, template in found if not _plain(file) or len(templates[template]) > 1]

    train, val, test = map(of, _WORDS)
    held_out = "validation" if val else "test"
    if not val:
        val, test = test, []
    if not train or not val:
        return None
    named = {*train, *val, *test}
    return Published(train, val, held_out, test, [file for file in files if file not in named])


def _plain(file: Path) -> bool:
    return kind_of(file) == "plain" and split_name(file.name)[1] in _PLAIN


def _told(name: Path) -> tuple[str, str] | None:
    """The split that a file's name, or else one of its folders', tells; and the name without that word and the numbers
    of shards."""
    stem, ending, _ = split_name(name.name)
    if kind_of(name) == "plain" and ending not in (*_PLAIN, *TOKEN_ENDINGS):
        return None
    parts = [*name.parts[:-1], stem]
    for i in reversed(range(len(parts))):
        words = [word for word in _BETWEEN.split(parts[i].lower()) if word in _SPLIT_OF]
        if len({_SPLIT_OF[word] for word in words}) == 1:
            parts[i] = parts[i].lower().replace(words[0], "*", 1)
            return _SPLIT_OF[words[0]], _NUMBERS.sub("", "/".join(parts)) + ending
    return None
