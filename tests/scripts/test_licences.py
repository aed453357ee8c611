"""The page of licences names every package that pyproject.toml does, with a licence each."""

from __future__ import annotations

import re
from email.message import Message

import pytest
from packaging.utils import canonicalize_name

from scripts.licences import PAGE, brought, licence, named, page

ROW = re.compile(r"^\| ([a-z0-9-]+) \| (.+) \| (core|page|wandb|parquet) \|$", re.MULTILINE)


def rows(text: str) -> dict[str, tuple[str, str]]:
    return {name: (terms, part) for name, terms, part in ROW.findall(text)}


def test_every_package_that_the_project_names_is_on_the_page_with_its_licence() -> None:
    direct = rows(PAGE.read_text().split("## What these bring along")[0])
    wanted = {canonicalize_name(one.name): part for part, lines in named().items() for one in lines}
    assert direct.keys() == wanted.keys(), "python scripts/licences.py writes the page anew"
    assert {name: part for name, (_, part) in direct.items()} == wanted
    assert not [name for name, (terms, _) in rows(PAGE.read_text()).items() if terms == "n/a"]


def test_the_page_is_made_of_what_is_installed() -> None:
    pytest.importorskip("wandb")
    pytest.importorskip("gradio")
    now = page()
    assert rows(now).keys() >= {"torch", "gradio", "wandb"}
    assert "# Licences of what the lab depends on" in now


def test_what_comes_along_is_followed_through_extras_and_only_where_it_is_needed() -> None:
    core = set(brought(named()["core"]))
    assert {"torch", "jsonargparse", "docstring-parser"} <= core  # the last by jsonargparse[signatures]
    assert not {"gradio", "wandb", "pytest"} & core


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        ({"License-Expression": "BSD-3-Clause", "License": "see the file"}, "BSD-3-Clause"),
        ({"License": "MIT"}, "MIT"),
        ({"License": "MIT License\n\nCopyright"}, "MIT License"),
        ({"License": "A long text\nand more", "Classifier": "License :: OSI Approved :: ISC License"}, "ISC License"),
        ({"Classifier": "Topic :: Text"}, "n/a"),
    ],
)
def test_a_licence_is_read_from_whichever_field_states_it(stated: dict[str, str], shown: str) -> None:
    package = Message()
    for field, value in stated.items():
        package[field] = value
    assert licence(package) == shown
