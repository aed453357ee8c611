"""The rules of the house for the page's JavaScript: strict types (JSDoc), lint, format, length.

Files have at most 400 lines, functions 60. A function that has to be longer says why above it:
`// oxlint-disable-next-line max-lines-per-function -- why`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.patience import PATIENCE

pytestmark = pytest.mark.javascript

ROOT = Path(__file__).parents[2]
COMPONENTS = ROOT / "analysis_app" / "components"
SCRIPTS = sorted(path for ending in ("*.js", "*.ts") for path in COMPONENTS.rglob(ending))
TOOLS = ROOT / "node_modules" / ".bin"
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
LINE = 120


def name_of(path: Path) -> str:
    """A script as it is called in what the checkers say."""
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
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE)


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


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_types_are_right(path: Path) -> None:
    errors = type_errors().get(name_of(path), []) + type_errors().get("", [])
    assert not errors, "\n".join(errors)


# ---------------------------------------------------------------- lint and length


def test_oxlint_has_nothing_to_say() -> None:
    done = tool("oxlint", "--report-unused-disable-directives", "--deny-warnings", "analysis_app/components")
    assert done.returncode == 0, done.stdout


# ---------------------------------------------------------------- format


def test_the_formatter_would_change_nothing() -> None:
    done = tool("dprint", "check")
    assert done.returncode == 0, f"run: npm run format\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_lines_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert not [f"{number}: {line}" for number, line in enumerate(lines, start=1) if len(line) > LINE]
