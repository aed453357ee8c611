"""Writes docs/licences.md: the licences of the packages that the lab depends on, as the installed packages state them.

python scripts/licences.py
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
EXTRAS = ("page", "wandb", "parquet")
"""What a person installs to use the lab; what only its tests and its site need is left out."""

HEAD = """# Licences of what the lab depends on

The lab is under the MIT licence. These packages come along when it is installed, each under its own terms, here as the
package itself states them. `python scripts/licences.py` writes this page from the packages of an environment; versions
and systems differ a little in what they bring. torch's builds with CUDA bring NVIDIA's packages too,
under NVIDIA's terms.
"""


def named() -> dict[str, list[Requirement]]:
    """The requirements that pyproject.toml names: of the core, and of each extra in `EXTRAS`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = {"core": project["dependencies"]} | {extra: project["optional-dependencies"][extra] for extra in EXTRAS}
    return {part: [Requirement(line) for line in lines] for part, lines in lists.items()}


def brought(requirements: Iterable[Requirement]) -> Iterator[str]:
    """Names of the installed packages that requirements bring, themselves first; each may come several times."""
    seen: set[tuple[str, str]] = set()
    ahead = [(one, extra) for one in requirements for extra in ("", *one.extras)]
    while ahead:
        requirement, extra = ahead.pop(0)
        name = canonicalize_name(requirement.name)
        if (name, extra) in seen or (requirement.marker and not requirement.marker.evaluate({"extra": extra})):
            continue
        seen.add((name, extra))
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        yield name
        needed = [Requirement(line) for line in lines]
        chosen = [one for one in needed if not one.marker or one.marker.evaluate({"extra": extra})]
        for one in chosen:
            one.marker = None  # it holds here: what it asks of an extra is asked of the package that brings it
        ahead += [(one, further) for one in chosen for further in ("", *one.extras)]


def licence(package: Message) -> str:
    """What a package states: an SPDX expression, a short text, a classifier, else the first words of a long text."""
    text = (package.get("License-Expression") or package.get("License") or "").strip()
    if text and "\n" not in text and len(text) <= 120:
        return text
    classes = [line.split(" :: ")[-1] for line in package.get_all("Classifier", []) if line.startswith("License ::")]
    if classes and classes != ["OSI Approved"]:
        return ", ".join(classes)
    return text.splitlines()[0].strip() if text else "n/a"


def table(names: dict[str, str]) -> str:
    """A table of packages, by name: the licence and the part of the lab that needs it."""
    rows = [f"| {name} | {licence(metadata.metadata(name))} | {part} |" for name, part in sorted(names.items())]
    return "\n".join(["| package | licence | for |", "| --- | --- | --- |", *rows])


def page() -> str:
    """The page, from the packages of this environment."""
    direct: dict[str, str] = {}
    along: dict[str, str] = {}
    for part, requirements in named().items():
        for requirement in requirements:
            direct.setdefault(canonicalize_name(requirement.name), part)
        for name in brought(requirements):
            along.setdefault(name, part)
    along = {name: part for name, part in along.items() if name not in direct}
    return f"{HEAD}\n## Named by the lab\n\n{table(direct)}\n\n## What these bring along\n\n{table(along)}\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE.relative_to(ROOT)} is written")
