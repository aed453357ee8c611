"""A hook of MkDocs (mkdocs.yml): the pages of the site that are no files under docs/.

The reference has a page for each room and each of its public modules, found by walking the package, so a renamed module
needs no edit here. CONTRIBUTING.md and LOG.md become pages, and links that leave docs/ lead to those or to the
reference.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lab"
BORROWED = {"CONTRIBUTING.md": "contributing.md", "LOG.md": "log.md"}
"""Files of the project's root that are pages, too."""


def modules_of(folder: Path) -> list[Path]:
    """The public modules of a room, and of the folders in it, in the order of their names."""
    return [
        path
        for path in sorted(folder.rglob("*.py"))
        if not any(part.startswith(("_", ".")) for part in path.relative_to(folder).parts)
    ]


def rooms() -> Iterator[tuple[str, Path, list[Path]]]:
    """Each room's name, its file, and its public modules (none, where the room is one file)."""
    for path in sorted(PACKAGE.iterdir()):
        if (path / "__init__.py").exists():
            yield path.name, path / "__init__.py", modules_of(path)
        elif path.suffix == ".py" and not path.name.startswith("_"):
            yield path.stem, path, []


def dotted(path: Path) -> str:
    """`lab/model/gpt.py` → `lab.model.gpt`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def page_of(path: Path) -> str:
    """Where a module's page is: `reference/model/gpt.md`; a room's: `reference/model/index.md`."""
    inside = path.relative_to(PACKAGE).with_suffix(".md").as_posix()
    return "reference/" + inside.replace("__init__.md", "index.md")


def first_line(path: Path) -> str:
    """What a module says of itself in its first sentence."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def table(rows: list[tuple[str, str, Path]]) -> str:
    """Modules with their links and what they are."""
    lines = [f"| [`{name}`]({link}) | {first_line(path)} |" for name, link, path in rows]
    return "\n".join(["| module | what is in it |", "| ------ | ------------- |", *lines, ""])


def reference() -> Iterator[tuple[str, str]]:
    """Address and text of each page of the reference."""
    yield (
        "reference/index.md",
        "# Reference\n\nEvery public class and function of the package `lab`, from its docstring.\n\n"
        + "::: lab\n    options: {members: false, heading_level: 2}\n\n"
        + table([(dotted(path), page_of(path).removeprefix("reference/"), path) for _, path, _ in rooms()]),
    )
    for _, path, modules in rooms():
        folder = path.parent
        rows = [(dotted(m), m.relative_to(folder).with_suffix(".md").as_posix(), m) for m in modules]
        members = "\n    options: {members: false}\n" if modules else "\n"
        yield page_of(path), f"::: {dotted(path)}{members}\n" + (f"\n## Modules\n\n{table(rows)}" if rows else "")
        for module in modules:
            yield page_of(module), f"::: {dotted(module)}\n"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference to the navigation."""
    entries: list[Any] = [{"Overview": "reference/index.md"}]
    for name, path, modules in rooms():
        pages = [{dotted(module).removeprefix(f"lab.{name}."): page_of(module)} for module in modules]
        entries.append({name: [page_of(path), *pages] if modules else page_of(path)})
    assert config.nav is not None
    config.nav.append({"Reference": entries})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages themselves."""
    for uri, content in reference():
        files.append(File.generated(config, uri, content=content))
    for name, uri in BORROWED.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links as the repository has them into links of the site."""
    if page.file.src_uri in BORROWED.values():
        return re.sub(r"\]\(docs/", "](", markdown)

    def moved(link: re.Match[str]) -> str:
        target = BORROWED.get(link[1])
        return f"]({target or page_of(ROOT / link[1])}"

    return re.sub(r"\]\(\.\./((?:lab/[\w/]+\.py)|[A-Z]+\.md)", moved, markdown)
