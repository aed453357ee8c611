"""The corpora: what text a model can learn from, by name.

`open_corpus(name)` opens one of `CORPORA`: the standard library's own source, your own files, published text by
download, or one of the made corpora of `synthetic`, whose truth is known.

No corpus is ever held whole: `documents` streams, and reading twice gives the same twice.
"""

from __future__ import annotations

import math
import os
import platform
import sysconfig
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from lab.checks import did_you_mean, is_integer
from lab.data.download import data_root, fetch
from lab.data.filecorpus import VAL_FRACTION, FileCorpus
from lab.data.folders import Paths, as_list, find_ids, find_text, left_out_facts
from lab.data.idformats import DTYPES
from lab.data.opening import require_pyarrow
from lab.data.remote_corpora import REMOTE_CORPORA
from lab.data.synthetic import SYNTHETIC, SyntheticCorpus
from lab.data.tokencorpus import TokenCorpus

# Left out of the standard library: tests and their data; installed packages; the editor and the demos; what Python 3.12
# dropped; a machine's own settings; generated tables (character encodings, topics of the help, HTML entities, Unicode,
# MSI). Many of these files are nearly copies of each other: held out, they would have been learned all the same.
_NOT_LEARNED = frozenset(
    (
        *("test", "tests", "idle_test", "__phello__", "__pycache__", "site-packages", "dist-packages"),
        *("ensurepip", "idlelib", "turtledemo", "lib2to3", "distutils"),
        *("encodings", "pydoc_data", "msilib", "entities.py", "stringprep.py"),
    )
)
_NOT_LEARNED_PREFIXES = ("config-", "_sysconfigdata")


def _learned(name: str) -> bool:
    return name not in _NOT_LEARNED and not name.startswith(_NOT_LEARNED_PREFIXES)


def standard_library() -> tuple[list[Path], dict[str, Any]]:
    """The source files of the running Python's standard library that are learned from, in the order of their names; and
    their facts, with how many were passed over because they are no UTF-8.

    Raises `ValueError` where Python came without its source (some embedded and frozen builds).
    """
    root = Path(sysconfig.get_path("stdlib"))
    files, unreadable = [], 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if _learned(name))
        for name in sorted(name for name in names if name.endswith(".py") and _learned(name)):
            try:
                (file := Path(folder, name)).read_text("utf-8")
            except (UnicodeDecodeError, OSError):
                unreadable += 1
            else:
                files.append(file)
    if not files:
        raise ValueError(
            f"this Python came without the source of its standard library (none in {root}); use another"
            " Python, or your own text: --data.corpus text --data.path FILE"
        )
    source = f"standard library of Python {platform.python_version()}"
    return files, {"source": source, "licence": "PSF-2.0", "unreadable_files": unreadable}


_LIMITS = ("max_documents", "max_bytes")
_OPTIONS: dict[str, tuple[str, ...]] = {
    "python": _LIMITS,
    "text": ("text_key", "as_published", *_LIMITS),
    "tokens": ("dtype", "as_published"),
    "shakespeare": _LIMITS,
    "tinystories": ("shards", *_LIMITS),
    "fineweb-edu": ("shards", *_LIMITS),
    **{
        name: tuple(f.name for f in fields(kind) if f.name not in ("seed", "val_fraction"))
        for name, kind in SYNTHETIC.items()
    },
}
CORPORA: dict[str, str] = {
    "python": "the source of this Python's standard library: real text on every machine, no download",
    "text": "your own text: path names a file, a folder or a glob of .txt, .md, .py, .jsonl, .csv, .parquet, .arrow, …",
    "tokens": "your own token files: of nanoGPT, llm.c, Megatron, OLMo or np.save; tokenizer names their vocabulary",
    "shakespeare": "TinyShakespeare, 1.1 MB of plays, by download",
    "tinystories": "stories for small models, 4 shards of 250 MB by download (needs pyarrow)",
    "fineweb-edu": "educational web pages, 14 shards of 2.2 GB by download (needs pyarrow)",
    "markov": "made: a Markov chain; its entropy is the loss floor",
    "induction": "made: a random block, repeated; what induction heads are for",
    "copy": "made: random letters, and the same again",
    "arithmetic": "made: sums; validation asks only what training never did",
}


OWN = ("text", "tokens")  # what data.path names


def open_corpus(
    name: str,
    path: Paths | None = None,
    *,
    val_fraction: float = VAL_FRACTION,
    seed: int = 1337,
    data_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> FileCorpus | TokenCorpus | SyntheticCorpus:
    """The corpus `name`, one of `CORPORA`.

    Args:
        path: Your own text for `text`, your own token files for `tokens`: a file, a folder, a glob, or a list of them.
        val_fraction: Share that is held out, where the publisher held out none.
        seed: Chooses the split, and what a made corpus is made of.
        data_dir: Where downloads are kept; unset: `LAB_DATA_DIR`, else in the cache.
        options: What this corpus alone understands: `text_key` (the field of .jsonl, the column of .parquet),
            `as_published` (whether a split that the names of files tell is kept, default true), `dtype` (of raw token
            files, where it is not to be found out), `max_documents`,
            `max_bytes`, `shards` (files of a large corpus to download, default 1), and what a made corpus is made with.

    Raises `ValueError` for settings that cannot be, all at once, and for what cannot be found or downloaded.
    """
    if problems := corpus_problems(name, path, val_fraction, options):
        raise ValueError("\n".join(problems))
    if name in SYNTHETIC:
        kind = SYNTHETIC[name]
        own = {"val_fraction": val_fraction} if any(f.name == "val_fraction" for f in fields(kind)) else {}
        return kind(seed=seed, **own, **options)
    split: dict[str, Any] = {"val_fraction": val_fraction, "seed": seed}
    if name == "python":
        files, facts = standard_library()
        return FileCorpus(name, files, facts=facts, **split, **options)
    if name == "text":
        assert path is not None
        as_published = options.pop("as_published", True)
        found = find_text(path, options.get("text_key", "text"), as_published=as_published)
        facts = {"source": "your own files", "path": [str(p) for p in as_list(path)]}
        facts |= {"published_split": found.held_out or None, "left_out": left_out_facts(found.left_out)}
        return FileCorpus(name, found.files, found.val_files, facts=facts, **split, **options)
    if name == "tokens":
        assert path is not None
        found = find_ids(path, as_published=options.get("as_published", True))
        facts = {"source": "your own token files", "path": [str(p) for p in as_list(path)]}
        facts |= {"published_split": found.held_out or None, "left_out": left_out_facts(found.left_out)}
        return TokenCorpus(name, found.files, found.val_files, val_fraction, options.get("dtype"), facts)
    published, shards = REMOTE_CORPORA[name], options.pop("shards", 1)
    if published.parquet:
        require_pyarrow(f"the corpus '{name}'")
    files = [fetch(remote, data_dir) for remote in published.files[:shards]]
    val_files = [fetch(remote, data_dir) for remote in published.val]
    return FileCorpus(name, files, val_files, facts=published.facts, **split, **options)


def files_to_download(
    name: str, data_dir: str | os.PathLike[str] | None = None, *, shards: int = 1, **_: Any
) -> list[Path]:
    """What `open_corpus` would have to fetch: the files of a published corpus that are not on this machine, as the
    paths they would get."""
    if name not in REMOTE_CORPORA:
        return []
    published, folder = REMOTE_CORPORA[name], data_root(data_dir)
    paths = [folder / remote.name for remote in (*published.files[:shards], *published.val)]
    return [path for path in paths if not path.exists()]


def corpus_problems(name: str, path: Paths | None, val_fraction: float, options: Mapping[str, Any]) -> list[str]:
    """What is wrong with the settings of a corpus, before anything is read: one line each."""
    if name not in CORPORA:
        return [f"data.corpus is {name!r}: {did_you_mean(name, CORPORA, end=' ')}there are {', '.join(CORPORA)}"]
    problems = []
    if name in OWN and path is None:
        problems.append(f"data.corpus is '{name}', and data.path is not set: name a file, a folder, or a glob")
    if name not in OWN and path is not None:
        problems.append(
            f"data.path is {path!r}, and data.corpus is '{name}', which has no path: set data.corpus to text"
        )
    if not 0 < val_fraction < 1:
        problems.append(f"data.val_fraction is {val_fraction}: it must lie between 0 and 1, such as 0.1")
    wrong = [problem for item in options.items() if (problem := _option_problem(name, *item)) is not None]
    if name in SYNTHETIC and not wrong:
        try:
            SYNTHETIC[name](**options)
        except ValueError as error:
            wrong = str(error).splitlines()
    return problems + wrong


def _option_problem(name: str, option: str, value: Any) -> str | None:
    known, where = _OPTIONS[name], f"data.corpus_options.{option}"
    if option not in known:
        return f"{where}: {did_you_mean(option, known, end=' ')}the corpus '{name}' understands {', '.join(known)}"
    if option == "text_key" and not isinstance(value, str):
        return f"{where} is {value!r}: it must be the name of a field"
    if option == "dtype" and value not in DTYPES:
        return f"{where} is {value!r}: it must be one of {', '.join(DTYPES)}"
    if option == "as_published" and not isinstance(value, bool):
        return f"{where} is {value!r}: it must be true (the split that the files' names tell) or false"
    if option == "shards" and not _is_count(value, len(REMOTE_CORPORA[name].files)):
        return f"{where} is {value!r}: it must be a whole number from 1 to {len(REMOTE_CORPORA[name].files)}"
    if option in _LIMITS and value is not None and not _is_count(value):
        return f"{where} is {value!r}: it must be a whole number of at least 1"
    return None


def _is_count(value: object, most: float = math.inf) -> bool:
    return is_integer(value) and 1 <= value <= most
