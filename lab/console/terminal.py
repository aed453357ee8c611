"""What all commands share: options, mistakes in a line each, interrupts, pipes."""

from __future__ import annotations

import argparse
import functools
import io
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from lab.checks import did_you_mean
from lab.environment import discard_output, show_any_character
from lab.visible import visible

MISTAKE, INTERRUPTED = 2, 130


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `ValueError`, one line, instead of printing its usage and leaving."""

    def __init__(self, prog: str, description: str, usage: str | None = None) -> None:
        super().__init__(prog=prog, description=description, usage=usage, allow_abbrev=False)

    def add_root(self) -> None:
        """`--root`, the folder of all runs; `--run.root`, its name among the settings of a fit, means the same."""
        self.add_argument("--root", default="runs", help="folder that holds the runs (default: runs)")
        self.add_argument("--run.root", dest="root", default=argparse.SUPPRESS, help=argparse.SUPPRESS)

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As argparse's; to an option that does not exist it names the one that was meant."""
        found, unknown = self.parse_known_intermixed_args(args, namespace)
        if not unknown:
            return found
        options = [option for option in self._option_string_actions if option.startswith("--")]
        asked = unknown[0].split("=")[0].replace("-", "_") if unknown[0].startswith("-") else ""
        hint = did_you_mean(asked, options, show=str, cutoff=0.5)
        self.error(f"{unknown[0]}: no such argument{f'; {hint}' if hint else ''}")


class _Unfailing(io.FileIO):
    """A file descriptor to which writing never fails: what cannot be written is dropped."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError:  # EPIPE: `| head` has seen enough; EIO: the terminal is gone; ENOSPC: the log's disk is full
            return len(data)


def outlive_readers() -> None:
    """From here on nothing that is printed can end this process: hours of training outlast a terminal."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper:  # as Python opened it, not what a notebook or a test put in its place
            stream.flush()
            raw = _Unfailing(stream.fileno(), "wb", closefd=False)
            # As Python opens them: `python -u` writes each piece at once.
            binary: Any = raw if stream.write_through else io.BufferedWriter(raw)
            written = (stream.line_buffering, stream.write_through)
            setattr(sys, name, io.TextIOWrapper(binary, stream.encoding, stream.errors, None, *written))


def guarded(command: Callable[[list[str]], int]) -> Callable[[list[str]], int]:
    """A command that never ends in a traceback over a mistake in its input.

    Its own exit code; 2 after a line on stderr for each mistake; 130 after Ctrl-C; 0 where `| head` has seen enough.
    """

    @functools.wraps(command)
    def main(argv: list[str]) -> int:
        show_any_character()
        try:
            return command(argv)
        except ValueError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
        except BrokenPipeError:
            discard_output()
            return 0
        except OSError as error:
            lines = [f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)]
        for line in lines:
            print(f"error: {visible(line)}", file=sys.stderr)
        return MISTAKE

    return main
