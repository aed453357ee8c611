"""Which files a path stands for: what is learned from, what its publisher held out, and what is left out and why.

`find_text` turns paths (a file, a folder, a glob, a list of them) into files in one fixed order. Whatever a folder
holds beside them is in `Found.left_out`, by reason.
"""

from __future__ import annotations

import glob
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lab.checks import did_you_mean
from lab.data.idformats import holds_ids
from lab.data.opening import ENDINGS, TOKEN_ENDINGS, is_ids, is_packed, is_text, kind_of, split_name
from lab.data.progress import say
from lab.data.published import published_split
from lab.data.text_files import read_pieces, read_values
from lab.files import as_path

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

READ_BYTES = 64 << 20  # plain files up to this are read through before they are taken from a folder
MARKUP = (".html", ".htm", ".xhtml", ".xml", ".rtf", ".svg")
_NAMED = 3  # files that stand for all of their reason
_OF_IDS = "of token ids (data.corpus: tokens reads them)"
_DESCRIPTIONS = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")  # of `datasets`


class Found(NamedTuple):
    """The files of some paths.

    `files`: what is learned from, or all of it where its publisher held nothing out. `val_files`: what he held out, as
    its `validation` or `test` split (`held_out`). `left_out`: what a folder holds beside these, by reason.
    """

    files: list[Path]
    val_files: list[Path]
    held_out: str
    left_out: dict[str, list[str]]


def find_ids(paths: Paths, *, as_published: bool = True) -> Found:
    """The token files that `paths` stand for, as `find_text` finds text; an index (`.idx`) goes with its `.bin`."""
    left_out: dict[str, list[str]] = defaultdict(list)
    index = {one: as_path(one) for one in as_list(paths) if Path(one).suffix == ".idx"}
    if alone := [one for one in index.values() if one.exists() and not one.with_suffix(".bin").exists()]:
        raise ValueError(
            f"data.path: {alone[0]} is an index, and the ids are in {alone[0].stem}.bin, which is not there"
        )
    named = [index[one].with_suffix(".bin") if one in index else one for one in as_list(paths)]
    files = find_files(named, is_ids, left_out)
    left_out.pop(_OF_IDS, None)
    return _as_published(files, left_out, as_published)


def left_out_facts(left_out: dict[str, list[str]]) -> list[dict[str, Any]]:
    """What was left out, for data.json: how many, why, and the first few by name."""
    return [
        {"count": len(names), "reason": reason, "names": sorted(names)[:_NAMED]}
        for reason, names in left_out.items()
        if names
    ]


def as_list(paths: Paths) -> list[str | os.PathLike[str]]:
    """One path or several, as a list."""
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def find_text(paths: Paths, text_key: str = "text", *, as_published: bool = True) -> Found:
    """The text files that `paths` (a file, a folder, a glob, or a list of them) stand for, each once.

    A folder stands for the text in it, at any depth; hidden files, linked folders and what is no UTF-8 stay out. A file
    named outright, or matched by a glob, is taken whatever it is. The order is that of the list, and inside a folder or
    glob that of the names: the same on every machine. Where names tell a published split (`published_split`), it is
    kept, unless `as_published` is false. Raises one `ValueError` with all problems.
    """
    left_out: dict[str, list[str]] = defaultdict(list)
    taken = find_files(paths, is_text, left_out)
    for folder in dict.fromkeys(one for one in map(as_path, as_list(paths)) if one.is_dir()):
        taken = _leave_out(taken, folder, partial(_why_not, text_key=text_key), left_out)
        taken = _leave_out(taken, folder, partial(_why_beside, neighbours=taken), left_out)
    for file in taken:
        if split_name(file.name)[1] in TOKEN_ENDINGS and holds_ids(file):
            raise ValueError(
                f"data.path: {file} holds token ids, no text: set data.corpus to tokens, and data.tokenizer to the"
                " vocabulary that they were made with, such as gpt2"
            )
    if marked := [file for file in taken if split_name(file.name)[1] in MARKUP]:
        say(
            f"{marked[0]}{f' and {len(marked) - 1} more' if len(marked) > 1 else ''}: read as it stands, its markup is"
            " learned with its text; for the text alone convert it first, such as by `pandoc -t plain`"
        )
    if not taken:
        held = left_out_line(left_out_facts(left_out))
        raise ValueError(f"data.path: no text in {', '.join(map(str, as_list(paths)[:3]))}: it holds {held}")
    return _as_published(taken, left_out, as_published)


def _as_published(files: list[Path], left_out: dict[str, list[str]], wanted: bool) -> Found:
    root = common_folder(files)
    published = published_split(files, root) if wanted else None
    if published is None:
        return Found(files, [], "", left_out)
    left_out["of the test split, left alone"] += [_name(file.absolute(), root) for file in published.test]
    left_out["outside of the published split"] += [_name(file.absolute(), root) for file in published.outside]
    return Found(published.train, published.val, published.held_out, left_out)


def _leave_out(
    files: list[Path], folder: Path, reason_of: Callable[[Path, Path], str | None], left_out: dict[str, list[str]]
) -> list[Path]:
    """`files` without those of the folder for which there is a reason, which are added to `left_out`."""
    kept = []
    for file in files:
        if file.is_relative_to(folder) and (reason := reason_of(file, folder)):
            left_out[reason].append(_name(file, folder))
        else:
            kept.append(file)
    return kept


def find_files(
    paths: Paths, wanted: Callable[[str], bool] = is_text, left_out: dict[str, list[str]] | None = None
) -> list[Path]:
    """The files that `paths` stand for, those of a folder where `wanted(name)`; why the others are not among them is
    added to `left_out`. Raises one `ValueError` with all problems."""
    asked = as_list(paths)
    others: dict[str, list[str]] = defaultdict(list) if left_out is None else left_out
    problems: list[str] = []
    found: dict[Path, Path] = {}
    for one in asked:
        if not str(one).strip():
            problems.append("data.path is blank: name a file, a folder, or a glob such as 'texts/**/*.txt'")
            continue
        path = as_path(one)
        try:
            passed_over: dict[str, list[str]] = defaultdict(list)
            files = _expand(path, wanted, passed_over)
            if not files:
                problems.append(_why_none(path, wanted, passed_over))
            for reason, names in passed_over.items():
                others[reason] += names
        except OSError as error:
            problems.append(f"data.path: cannot look into {path}: {error.strerror or error}")
            continue
        for file in files:
            if (same := file.resolve()) not in found:
                found[same] = file
            elif path.is_dir() and found[same].is_relative_to(path):
                others["the same file once more"].append(_name(file, path))
    if not asked:
        problems.append("data.path is empty: name a file, a folder, or a glob such as 'texts/**/*.txt'")
    if problems:
        raise ValueError("\n".join(problems))
    return list(found.values())


def _expand(path: Path, wanted: Callable[[str], bool], left_out: dict[str, list[str]]) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        return sorted(_inside(path, wanted, left_out), key=lambda file: file.relative_to(path).parts)
    if glob.has_magic(str(path)):
        return sorted(
            (p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file()), key=lambda p: p.parts
        )
    return []


def _inside(root: Path, wanted: Callable[[str], bool], left_out: dict[str, list[str]]) -> Iterable[Path]:
    """The files of a folder that are wanted, links to folders not followed."""

    def refuse(error: OSError) -> None:
        left_out["in a folder that cannot be read"].append(_name(Path(error.filename), root))

    for at, folders, names in os.walk(root, onerror=refuse):
        here = Path(at)
        for name in sorted(folders):
            if name.startswith(".") or (here / name).is_symlink():
                left_out["hidden" if name.startswith(".") else "a link to a folder"].append(
                    _name(here / name, root) + "/"
                )
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = here / name
            reason = _by_name(file, wanted)
            if reason is None:
                yield file
            else:
                left_out[reason].append(_name(file, root))


def _by_name(file: Path, wanted: Callable[[str], bool]) -> str | None:
    """Why a file of a folder is not taken, as far as its name and size tell."""
    if file.name.startswith("."):
        return "hidden"
    if not file.is_file():
        return "a link to nothing" if file.is_symlink() else "no regular file"
    if not wanted(file.name):
        _, ending, packing = split_name(file.name)
        indexed = ending != ".idx" or file.with_suffix(".bin").exists()
        if ending in TOKEN_ENDINGS and not packing and indexed:
            return _OF_IDS
        return f"with the ending {ending}{packing}" if ending or packing else "without an ending"
    return None if file.stat().st_size else "empty"


def _why_not(file: Path, root: Path, text_key: str) -> str | None:
    """Why a text file of a folder is left out, as far as its content tells."""
    kind = kind_of(file)
    # One small file, but a folder may hold a hundred thousand texts.
    saved = _saved_files(file.parent) if kind == "arrow" or file.name in _DESCRIPTIONS else None
    if file.name in _DESCRIPTIONS:
        if absent := [name for name in sorted(saved or ()) if not (file.parent / name).exists()]:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise ValueError(
                f"data.path: {file.parent} has no {absent[0]}{more}, which its state.json names: save or fetch it again"
            )
        return "describing the data"
    if kind == "arrow":
        return None if saved is None or file.name in saved else "cached by datasets, not in state.json"
    try:
        if is_packed(file):
            return None
        if kind in ("json", "csv"):  # also what programs keep their settings in
            next(iter(read_values(file, text_key)), None)
        elif kind == "plain":
            _check_text(file)
    except ValueError as error:
        if not os.access(file, os.R_OK):
            return "that cannot be read"
        if kind == "plain":
            return "binary" if "is binary" in str(error) else "not UTF-8"
        return f"with the ending {split_name(file.name)[1]} and no text under '{text_key}'"
    return None


def _why_beside(file: Path, root: Path, neighbours: Sequence[Path]) -> str | None:
    """Why a file is left out because of those beside it: the card of a dataset is about its text."""
    card = file.parent == root and file.name.lower() == "readme.md"
    return "the dataset card" if card and any(kind_of(one) != "plain" for one in neighbours) else None


def _check_text(file: Path) -> None:
    """Raise `ValueError` for a plain file that is binary or no UTF-8; of a large one the beginning is not enough to
    tell, so reading it will."""
    if file.stat().st_size > READ_BYTES:
        return
    try:
        text = file.read_bytes()
        text.decode("utf-8")  # many times as fast as reading it in pieces
        certain = b"\0" not in text
    except (UnicodeDecodeError, OSError):
        certain = False
    if not certain:
        for _ in read_pieces(file):
            pass


def _saved_files(folder: Path) -> set[str] | None:
    """The files that `Dataset.save_to_disk` wrote into a folder; none where it did not."""
    try:
        state = json.loads((folder / "state.json").read_text("utf-8"))
        return {str(one["filename"]) for one in state["_data_files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _why_none(path: Path, wanted: Callable[[str], bool], passed_over: dict[str, list[str]]) -> str:
    """Why a path stands for no file."""
    if path.is_dir():
        holds = left_out_line(left_out_facts(passed_over)) or "nothing"
        looked = ", ".join(ending for ending in (*ENDINGS, *TOKEN_ENDINGS) if wanted(f"x{ending}"))
        what = "text" if wanted is is_text else "token file"
        return f"data.path: no {what} in the folder {path}: looked for {looked}, and it holds {holds}"
    if path.exists():
        return f"data.path: {path} is no regular file: text is read more than once, so store it in one first"
    if glob.has_magic(str(path)):
        return f"data.path: no file matches {path} (a glob; ** stands for folders at any depth)"
    if path.is_symlink():
        return f"data.path: {path} is a link to {os.readlink(path)}, which does not exist"
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = did_you_mean(
        path.name, beside, "check the spelling, or give an absolute path", show=lambda name: str(path.parent / name)
    )
    return f"data.path: {path} does not exist; {hint}"


def common_folder(files: Sequence[Path]) -> Path:
    """The deepest folder that holds all of `files`."""
    return Path(os.path.commonpath([file.parent.absolute() for file in files]))


def _name(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def left_out_line(facts: Sequence[dict[str, Any]], most: int = 8) -> str:
    """What was left out of a text, in one line: how many, why, and the first few by name."""

    def one(fact: dict[str, Any]) -> str:
        names = ", ".join(fact["names"]) + (", …" if fact["count"] > len(fact["names"]) else "")
        return f"{fact['count']:,} {fact['reason']} ({names})"

    ordered = sorted(facts, key=lambda fact: -fact["count"])
    rest = sum(fact["count"] for fact in ordered[most:])
    return "; ".join(map(one, ordered[:most])) + (f"; {rest:,} more" if rest else "")
