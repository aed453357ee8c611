"""Writing files so that a reader finds a whole one at every moment; reading JSON and YAML.

A file is written under a temporary name in the same folder, forced to the disk, then renamed over the old one. Rename
is atomic, so a reader sees the old file or the new one, and kill -9 or a full disk leave the old one untouched.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from lab.errors import WriteError

TEMPORARY_PREFIX = ".tmp-"

NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What some network file systems answer a process that asks for a file lock."""

_counter = itertools.count()


def as_path(name: str | os.PathLike[str]) -> Path:
    """A path as it was given, `~` standing for the home folder; a file whose own name begins with `~` is that file."""
    path = Path(name)
    if os.path.lexists(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user, or this one has no home
        return path


def explain_write_error(error: OSError, path: Path, kept: str) -> WriteError:
    """Turn an `OSError` met while writing `path` into one clear line; `kept` says what is still intact."""
    remedies = {
        errno.ENOSPC: "the disk is full: free some space, or choose another place with --run.root",
        errno.EDQUOT: "the disk quota is used up: free some space, or choose another place with --run.root",
        errno.EFBIG: "the file would be larger than this system allows (see `ulimit -f`)",
        errno.EACCES: "permission denied: check the owner of the folder",
        errno.EPERM: "permission denied: check the owner of the folder",
        errno.EROFS: "the file system is read-only: choose another place with --run.root",
    }
    cause = remedies.get(error.errno or 0, error.strerror or type(error).__name__)
    return WriteError(error.errno or errno.EIO, f"could not write {path}: {cause} ({kept})")


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to the disk: without it a rename can be undone by a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems refuse to sync folders; the file itself is safe
        pass
    finally:
        os.close(descriptor)


def temporary_path(path: Path) -> Path:
    """A fresh hidden name beside `path`: same folder, so that renaming never crosses a file system."""
    return path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{os.getpid()}-{next(_counter)}")


@contextmanager
def writing_whole(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a binary file that appears as `path` when the block ends well, and not at all otherwise.

    `durable` forces content and name to the disk first (milliseconds), so that a power cut is survived too;
    without it only a crash of the process is. Give the file to `torch.save`: nothing is held in memory twice.

    Raises `WriteError` when the disk is full or refuses; the earlier file, if any, is then untouched.
    """
    temporary = temporary_path(path)
    kept = "the earlier file is untouched" if path.exists() else "nothing was left behind"
    try:
        with open(temporary, "xb", buffering=1 << 17) as file:
            yield cast(BinaryIO, file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, WriteError):
            raise explain_write_error(error, path, kept) from error
        raise
    if durable:
        sync_folder(path.parent)


def write_whole(path: Path, content: bytes | str, *, durable: bool = True) -> None:
    """Replace `path` by `content` (text as UTF-8) in one atomic step; errors as in `writing_whole`."""
    with writing_whole(path, durable=durable) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def link_whole(source: Path, target: Path) -> None:
    """Make `target` name the same file as `source`, atomically and without a second copy on the disk.

    A hard link, renamed into place: there is no moment without a `target`. File systems without hard links
    get a copy.
    """
    temporary = temporary_path(target)
    try:
        try:
            os.link(source, temporary)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise
            with open(source, "rb") as original, open(temporary, "xb") as copy:
                shutil.copyfileobj(original, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise explain_write_error(error, target, "the earlier file is untouched") from error
    finally:
        # Renaming one hard link over another of the same file does nothing and leaves both (POSIX rename).
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def sweep_temporaries(folder: Path, *, older_than: float = 0.0) -> int:
    """Remove what writers that were killed left under temporary names; the number of files removed.

    Only who holds the run's lock may sweep without `older_than` (seconds): others may be writing right now.
    """
    removed = 0
    for leftover in folder.glob(f"{TEMPORARY_PREFIX}*"):
        try:
            if time.time() - leftover.stat().st_mtime >= older_than:
                leftover.unlink()
                removed += 1
        except FileNotFoundError:
            continue
    return removed


def plain(value: Any) -> Any:
    """A value that JSON does not know, as one it does: tensors and arrays as numbers, the rest as text."""
    if hasattr(value, "tolist"):  # numpy and torch alike, without importing either
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def to_json(content: Any, *, indent: bool = True) -> bytes:
    """JSON with its newline, on one line or indented; tensors, arrays and paths may be in it, NaN becomes null."""
    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    options |= orjson.OPT_INDENT_2 if indent else 0
    try:
        return orjson.dumps(content, default=plain, option=options)
    except TypeError:  # a file name that is no UTF-8
        return orjson.dumps(_told(content), default=plain, option=options)


def _told(content: Any) -> Any:
    """The same, where a text has bytes that are no UTF-8 with these as `\\xe9`."""
    if isinstance(content, str):
        return content.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(content, Mapping):
        return {_told(key): _told(value) for key, value in content.items()}
    return [_told(one) for one in content] if isinstance(content, list | tuple) else content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file as a whole by `to_json`; errors as in `writing_whole`."""
    write_whole(path, to_json(content))


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, None without a file. Raises `ValueError` if it holds anything else."""
    try:
        content = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{path} is damaged: not JSON") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it does not hold an object")
    return content


def read_yaml(path: Path) -> dict[str, Any] | None:
    """The mapping in a YAML file, None without a file. Raises `ValueError` if it holds anything else."""
    import yaml  # 15 ms that most readers of a run do not need

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where PyYAML has it: 7 times as fast
        content = yaml.load(path.read_text(encoding="utf-8"), loader)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ValueError(f"{path} is damaged: not YAML") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it does not hold a mapping")
    return content
