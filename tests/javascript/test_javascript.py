"""The rules of the house for the page's JavaScript: strict types (JSDoc), lint, format, length.

What does not obey yet is listed in `not_yet.json`, which may only shrink: `types` names files that `tsc --strict`
finds fault with, `long` names files above 400 lines (`lib/chart.js`) and functions above 60 (`live.js:mount`). A
function that has to be longer says why above it: `// oxlint-disable-next-line max-lines-per-function -- why`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.javascript

ROOT = Path(__file__).parents[2]
COMPONENTS = ROOT / "analysis_app" / "components"
SCRIPTS = sorted(path for ending in ("*.js", "*.ts") for path in COMPONENTS.rglob(ending))
TOOLS = ROOT / "node_modules" / ".bin"
NOT_YET: dict[str, list[str]] = json.loads(Path(__file__).with_name("not_yet.json").read_text(encoding="utf-8"))
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
LINE = 120


def name_of(path: Path) -> str:
    """A script as it is called on the list."""
    return path.relative_to(COMPONENTS).as_posix()


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    if not shutil.which("node", path=PATH):
        pytest.skip("no Node found: run ./scripts/test, or install Node 18 or newer, then: npm install")
    if not (TOOLS / "tsc").exists():
        pytest.skip("the checks of the page's JavaScript are not installed: npm install")


def tool(*words: str) -> subprocess.CompletedProcess[str]:
    """What a checker of `node_modules` says of the scripts."""
    environment = os.environ | {"PATH": PATH, "DPRINT_CACHE_DIR": str(ROOT / "node_modules" / ".cache" / "dprint")}
    command = [str(TOOLS / words[0]), *words[1:]]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


# ---------------------------------------------------------------- types


@cache
def type_errors() -> dict[str, list[str]]:
    """What tsc finds, by file; what it says of no file is under the empty name."""
    found: dict[str, list[str]] = {}
    for line in tool("tsc", "--pretty", "false").stdout.splitlines():
        if line.startswith(" "):  # the details of the line above
            continue
        file = re.match(r"analysis_app/components/(.+?)\(\d+,\d+\): ", line)
        found.setdefault(file.group(1) if file else "", []).append(line)
    return found


@pytest.mark.parametrize("path", [path for path in SCRIPTS if name_of(path) not in NOT_YET["types"]], ids=name_of)
def test_types_are_right(path: Path) -> None:
    errors = type_errors().get(name_of(path), []) + type_errors().get("", [])
    assert not errors, "\n".join(errors)


def test_what_is_typed_by_now_leaves_the_list() -> None:
    assert not [name for name in NOT_YET["types"] if name not in type_errors()]


# ---------------------------------------------------------------- lint and length


@cache
def lint() -> tuple[dict[str, str], list[str]]:
    """What is too long, by its name on the list, and every other complaint."""
    done = tool("oxlint", "--report-unused-disable-directives", "--format", "json", "analysis_app/components")
    found: list[dict[str, Any]] = json.loads(done.stdout)["diagnostics"]
    long, others = {}, []
    for one in found:
        file = Path(one["filename"]).relative_to("analysis_app/components").as_posix()
        line = one["labels"][0]["span"]["line"] if one["labels"] else 0
        said = f"{file}:{line}: {one['message']} [{one['code']}]"
        if "max-lines-per-function" in one["code"]:
            function = re.search(r"function `(.+?)`", one["message"])
            long[f"{file}:{function.group(1) if function else line}"] = said
        elif "max-lines" in one["code"]:
            long[file] = said
        else:
            others.append(said)
    return long, others


def test_oxlint_has_nothing_to_say() -> None:
    assert not lint()[1]


def test_files_and_functions_are_short() -> None:
    assert not [said for name, said in lint()[0].items() if name not in NOT_YET["long"]]


def test_what_is_short_by_now_leaves_the_list() -> None:
    assert not [name for name in NOT_YET["long"] if name not in lint()[0]]


# ---------------------------------------------------------------- format


def test_the_formatter_would_change_nothing() -> None:
    done = tool("dprint", "check")
    assert done.returncode == 0, f"run: npm run format\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_lines_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert not [f"{number}: {line}" for number, line in enumerate(lines, start=1) if len(line) > LINE]
