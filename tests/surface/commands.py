"""Every command with its arguments, taken from the parser whose help `COMMAND --help` prints."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import analysis_app.__main__
import lab.__main__

PARTS = {"tokenizer": ("train", "show")}
"""Commands within commands, which have a help of their own."""


def commands(_: Path) -> list[str]:
    """One line a command and argument; commands that share an argument share its line."""
    lines: list[str] = []
    takers: dict[str, list[str]] = defaultdict(list)
    main = lab.__main__.main
    names = re.findall(r"^  (\w+)  ", printed(main, ["--help"]), flags=re.MULTILINE)
    for name in names:
        for words in [[name], *([name, part] for part in PARTS.get(name, ()))]:
            lines += [f"{' '.join(words)}{line}" for line in usage(printed(main, [*words, "--help"]))]
            for line in arguments(main, words) if name not in PARTS or len(words) > 1 else ():
                takers[line].append(" ".join(words))
    page = analysis_app.__main__.main
    takers |= {line: ["python -m analysis_app"] for line in arguments(page, [])}
    return sorted(lines) + sorted(f"{line}  [{', '.join(sorted(names))}]" for line, names in takers.items())


def printed(main: Callable[[list[str]], Any], words: list[str]) -> str:
    """What a command prints, on a terminal so wide that no line is broken."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        mock.patch.dict("os.environ", COLUMNS="100000"),
        contextlib.suppress(SystemExit),
    ):
        main(words)
    return out.getvalue()


def usage(text: str) -> list[str]:
    """`: RUN [--json]`, what a help says of the order of arguments; the line that argparse makes of itself is left out.

    That one repeats the arguments, and each version of Python breaks and orders it in its own way.
    """
    first = text.split("\n\n")[0].removeprefix("usage: ").splitlines()
    return sorted(
        "" if "[-h]" in line else re.sub(r"^ *python -m lab \w+(?: (?:train|show)\b)?", ":", line) for line in first
    )


def arguments(main: Callable[[list[str]], Any], words: list[str]) -> list[str]:
    """`--flag: type = default`, one line an argument, of the parser that prints the help of `words`."""
    seen: list[argparse.ArgumentParser] = []
    format_help = argparse.ArgumentParser.format_help

    def look(parser: argparse.ArgumentParser) -> str:
        seen.append(parser)
        return format_help(parser)

    with mock.patch.object(argparse.ArgumentParser, "format_help", look):
        printed(main, [*words, "--help"])
    assert seen, f"{' '.join(words)} --help: no argparse parser printed it"
    return [line for action in seen[-1]._actions if (line := argument(action))]


def argument(action: argparse.Action) -> str | None:
    """One argument; None for --help, for what links fill in, and for what is not shown."""
    flags = [flag for flag in action.option_strings if flag.startswith("-")]
    if action.help == argparse.SUPPRESS or "--help" in flags or len(flags) < len(action.option_strings):
        return None
    line = ", ".join(flags) or str(action.metavar or action.dest)
    kind = getattr(action, "_typehint", None) or action.type
    if line.startswith("--trainer."):
        kind = None  # Lightning's business, and different from one version to the next
    if kind is not None:
        line += f": {type_name(kind)}"
    if action.choices:
        line += f" of {', '.join(map(str, action.choices))}"
    if action.nargs not in (None, 0):
        line += f" nargs {action.nargs}"
    default = str(action.default) if isinstance(action.default, Path) else action.default
    return line if default in (None, argparse.SUPPRESS) else f"{line} = {default!r}"


def type_name(kind: Any) -> str:
    """A type as it is written today: `int | None`, whatever this version of Python makes of it."""
    if isinstance(kind, type) and not hasattr(kind, "__args__"):
        return kind.__name__
    text = re.sub(r"\btyping\.|\bcollections\.abc\.", "", str(kind)).replace("NoneType", "None")
    text = re.sub(r"^Optional\[(.*)\]$", r"\1 | None", text)
    if text.startswith("Union["):
        text = " | ".join(re.split(r", (?![^\[]*\])", text.removeprefix("Union[")[:-1]))
    return text
