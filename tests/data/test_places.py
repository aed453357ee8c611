"""Relative paths of a run's data are meant from the folder in which they were given."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.data.places import from_folder, same_places


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder [with brackets] that holds texts; the working folder is another."""
    folder = tmp_path / "pro[ject]"
    (folder / "texts").mkdir(parents=True)
    for name in ("book.txt", "~tilde.txt", "texts/a.txt", "tok.json"):
        (folder / name).write_text("text")
    (folder / "cache").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({"path": "book.txt"}, {"path": "{}/book.txt"}),
        ({"path": ["book.txt", "/abs.txt"]}, {"path": ["{}/book.txt", "/abs.txt"]}),
        ({"path": "~tilde.txt"}, {"path": "{}/~tilde.txt"}),
        ({"path": "gone.txt"}, {"path": "gone.txt"}),
        ({"path": None, "tokenizer": "gpt2"}, {"path": None, "tokenizer": "gpt2"}),
        ({"tokenizer": "tok.json", "cache_dir": "cache"}, {"tokenizer": "{}/tok.json", "cache_dir": "{}/cache"}),
    ],
)
def test_a_relative_path_is_one_of_its_folder(project: Path, given: dict[str, object], seen: dict[str, object]) -> None:
    def placed(value: object) -> object:
        if isinstance(value, list):
            return [placed(one) for one in value]
        return value.replace("{}", str(project)) if isinstance(value, str) else value

    assert from_folder(given, str(project)) == {name: placed(value) for name, value in seen.items()}
    assert from_folder(given, None) == given


def test_a_glob_is_one_of_its_folder_whatever_that_is_called(project: Path) -> None:
    pattern = from_folder({"path": "texts/*.txt"}, str(project))["path"]
    assert [*Path("/").glob(str(pattern)[1:])] == [project / "texts" / "a.txt"]


def test_two_ways_to_name_a_file_are_one_place(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert same_places("book.txt", str(project / "book.txt"), str(project))
    assert same_places(["book.txt"], str(project / "texts/../book.txt"), str(project))
    assert not same_places("book.txt", "book.txt", str(project))
    monkeypatch.chdir(project)
    assert same_places("book.txt", "./book.txt", None)
    assert same_places(None, None, None)
    assert not same_places("book.txt", None, None)
