"""The rules of the house (CONTRIBUTING.md), as far as a machine can tell."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[1]
CODE = sorted(path for room in ("lab", "analysis_app", "scripts") for path in (ROOT / room).rglob("*.py"))
READ_BY_PEOPLE = sorted(
    path
    for pattern in ("*.md", "*.toml", "lab/**/*", "analysis_app/**/*", "configs/**/*", "docs/**/*", "scripts/**/*")
    for path in ROOT.glob(pattern)
    if path.suffix in (".py", ".md", ".toml", ".yaml", ".js", ".css", ".html", "")
    if path.is_file() and "node_modules" not in path.parts
)
MODULE_LINES, FUNCTION_LINES = 400, 60
LONG: dict[str, str] = {}
"""Modules (`lab/room/file.py`) and functions (`lab/room/file.py:name`) that may be longer, and why."""
WHERE_CLASSES_SPEAK = {"forward", "error", "wants"}
"""What PyTorch, argparse and the model's taps ask for by name: the class says what it does, with shapes."""
FORBIDDEN = {
    r"\b(TODO|FIXME|XXX)\b": "a note to oneself: do it, or write it into LOG.md",
    r"(?<![\w.])/(home|root|Users|work|mnt)/\w": "a path of somebody's machine",
}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def name_of(path: Path) -> str:
    """A file as it is called in this project."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """A file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"))


def public(node: ast.AST, inside: str = "") -> Iterator[tuple[str, Definition]]:
    """Public classes, functions and methods with their dotted names; not what is defined within a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition) and not child.name.startswith("_"):
            yield f"{inside}{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{child.name}.")


def sets_docstring(node: ast.AST) -> bool:
    """Whether a class takes its docstring from elsewhere, `__doc__ = …`."""
    return any(
        isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "__doc__" for line in getattr(node, "body", [])
    )


# ---------------------------------------------------------------- what tools say


def tool(*words: str) -> str:
    """What a checker prints; empty when it is content."""
    found = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    return "" if found.returncode == 0 else found.stdout + found.stderr


def test_rooms_import_only_from_the_floors_beneath() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 broken" in found.stdout


def test_ruff_has_nothing_to_say() -> None:
    assert not (found := tool("ruff", "check", "--no-cache", "--output-format", "concise")), found
    assert not (found := tool("ruff", "format", "--check", "--no-cache")), found


@pytest.mark.slow
def test_types_are_right() -> None:
    assert not (found := tool("mypy")), found


# ---------------------------------------------------------------- length, docstrings, words


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_modules_and_functions_are_short(path: Path) -> None:
    lengths = {name_of(path): (len(path.read_text(encoding="utf-8").splitlines()), MODULE_LINES)}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            lengths[f"{name_of(path)}:{node.name}"] = (lines, FUNCTION_LINES)
    too_long = {name: lines for name, (lines, most) in lengths.items() if lines > most and name not in LONG}
    assert not too_long


def test_what_may_be_long_is_long() -> None:
    for name, reason in LONG.items():
        assert (ROOT / name.split(":")[0]).exists(), f"{name} is gone: take it off the list"
        assert reason


@cache
def documented_methods() -> set[str]:
    """Names of methods that some class of the project documents: its protocols and base classes."""
    found = (name for path in CODE for name, node in public(tree_of(path)) if ast.get_docstring(node))
    return {name.rsplit(".", 1)[-1] for name in found if "." in name}


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_what_is_public_has_a_docstring(path: Path) -> None:
    module = tree_of(path)
    assert ast.get_docstring(module), "a module opens by saying what it does"
    silent = []
    for name, node in public(module):
        inherited = "." in name and node.name in documented_methods() | WHERE_CLASSES_SPEAK
        if not (ast.get_docstring(node) or inherited or sets_docstring(node)):
            silent.append(name)
    assert not silent


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_no_words_that_do_not_belong(pattern: str) -> None:
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in READ_BY_PEOPLE
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if re.search(pattern, line)
    ]
    assert not found, f"{FORBIDDEN[pattern]}: {found}"


UNTESTED = {"lab/data/corpus.py": "a protocol: what its corpora do is tested"}
"""Modules without a test file of their own, and why."""


def test_tests_mirror_the_tree() -> None:
    modules = [path for path in CODE if path.parts[len(ROOT.parts)] != "scripts" and not path.name.startswith("__")]
    places = {name_of(path): path.relative_to(ROOT).parts for path in modules}
    missing = {
        name
        for name, parts in places.items()
        if not ROOT.joinpath("tests", *parts[parts[0] == "lab" : -1], f"test_{parts[-1]}").exists()
    }
    assert missing == UNTESTED.keys()


def test_no_empty_file_but_packages() -> None:
    assert not [name_of(path) for path in CODE if not path.read_text(encoding="utf-8").strip()]
