"""What surrounds a program: variables that would end or spoil it, and outputs that may refuse what is printed.

`run_program` is how `python -m lab` and `python -m analysis_app` begin and end. A notebook's own process is left as it
is.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
"""What Lightning reads as whole numbers while it is imported."""
NARROWEST = 20  # columns; with 0 nothing at all would be shown


def run_program(main: Callable[[], int]) -> NoReturn:
    """Call `main`, before anything heavy is imported, and leave with its exit code; 130 after Ctrl-C."""
    settle()
    show_any_character()
    try:
        try:
            sys.exit(main())
        finally:
            sys.stdout.flush()  # at Python's exit a reader that has gone would be a traceback
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # `lab --help | head -1`: the reader has what it wanted
        discard_output()
        sys.exit(0)
    except OSError as error:  # `lab --help > /dev/full`
        discard_output()
        print(f"error: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)


def settle(environment: MutableMapping[str, str] = os.environ) -> None:
    """Make the environment one in which everything that is imported starts.

    MPLBACKEND names how pictures are shown, often in a notebook around this process; here they are only written. A
    process without a home folder (a container's user without an entry in passwd) gets one for its caches.
    """
    environment["MPLBACKEND"] = "agg"
    for name in RANKS:
        if not environment.get(name, "0").strip().isdecimal():
            del environment[name]
    if (columns := environment.get("COLUMNS")) is not None and not _is_wide(columns):
        del environment["COLUMNS"]
    with suppress(OSError):  # without any folder to write to, what needs one says so
        _settle_home(environment)


def _is_wide(columns: str) -> bool:
    return columns.strip().isdecimal() and int(columns) >= NARROWEST


def _settle_home(environment: MutableMapping[str, str]) -> None:
    try:
        home = Path.home()
    except RuntimeError:
        home = None
    if not _has_entry():
        environment.setdefault("USER", str(os.getuid()))  # torch and others name folders by it
    if home is None or not home.is_dir():
        environment["HOME"] = str(substitute_home())
    elif not os.access(home, os.W_OK):  # there may be a cache in it to read
        environment.setdefault("MPLCONFIGDIR", str(substitute_home()))


def _has_entry() -> bool:
    import pwd

    try:
        return bool(pwd.getpwuid(os.getuid()))
    except KeyError:
        return False


def substitute_home() -> Path:
    """Where a user without a home that can be written to keeps what belongs there."""
    return own_folder(f"pretraining-lab-{os.getuid()}")


def own_folder(name: str) -> Path:
    """The folder of that name among the temporary ones, if it can be this user's alone; else a new one."""
    folder = Path(tempfile.gettempdir(), name)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():  # another user was first
        return Path(tempfile.mkdtemp(prefix=f"{name}-"))
    return folder


@contextmanager
def without_proxies() -> Iterator[None]:
    """A stretch in which no variable names a proxy: what is imported in it may refuse one it has no use for."""
    held = {name: os.environ.pop(name) for name in [*os.environ] if name.lower().endswith("_proxy")}
    try:
        yield
    finally:
        os.environ.update(held)


def show_any_character() -> None:
    """Let nothing that is printed fail: a terminal that cannot show a character (Latin-1, ASCII) shows "?" for it, and
    what goes to an output that the shell has closed (`>&-`) is dropped.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")


def discard_output(descriptor: int | None = None) -> None:
    """Drop what is still to be written to `descriptor` (None: what is printed), once its reader has gone: neither a
    line nor Python's flush at exit may fail for that.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno() if descriptor is None else descriptor)
