"""Not a word of the person's is lost, whatever they (or a crash) did to the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.report import Writer, words_of
from lab.report.blanks import is_report, keep, region, sign, untouched, words_in
from lab.report.document import Blank, Document, Section, Words

NAMES = ["learned", "notes"]
ODD = st.text(st.characters(blacklist_categories=("Cs",)), max_size=60) | st.sampled_from(
    ["<!-- yours: notes -->", "<!-- /yours: learned -->", "a\r\nb", "```", "", " ", "\n\n", "ä\u202e|x"]
)


def make(words: dict[str, str]) -> Document:
    blanks = [Blank(name, f"{name}?") for name in NAMES]
    blanks += [Blank(name, "earlier") for name in words if name not in NAMES]
    return Document("t", "s", [], [Section("S", [Words("made by the lab"), *blanks])], "made")


def write(path: Path) -> Writer:
    writer = Writer(make)
    writer.markdown(path)
    return writer


def fill(path: Path, name: str, words: str) -> None:
    text = path.read_text(encoding="utf-8")
    start = text.index(f"<!-- yours: {name} -->\n") + len(f"<!-- yours: {name} -->\n")
    path.write_text(text[:start] + words + text[start:], encoding="utf-8", newline="")


def test_words_in_their_blanks_are_kept_and_no_copy_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    write(path)
    fill(path, "learned", "Attention is\n\nall `I` <needed>.")
    for _ in range(3):
        assert write(path).kept == []
        assert words_of(path) == {"learned": "Attention is\n\nall `I` <needed>."}
    assert untouched(path.read_text())


@pytest.mark.parametrize("damage", ["beside", "mark gone", "torn", "another's", "no head", "binary", "empty mark"])
def test_what_is_not_sure_to_be_in_a_blank_is_kept_as_a_copy(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "report.md"
    write(path)
    fill(path, "notes", "precious")
    before = path.read_bytes()
    after = {
        "beside": before.replace(b"made by the lab", b"made by the lab, says it"),
        "mark gone": before.replace(b"<!-- /yours: notes -->", b""),
        "torn": before[: before.index(b"precious") + 4],
        "another's": b"# my own report\n",
        "no head": before.split(b"\n", 1)[1],
        "binary": b"\xff\xfe" + before,
        "empty mark": before.replace(b"<!-- yours: learned -->\n", b"<!-- yours: learned --> on the same line\n"),
    }[damage]
    path.write_bytes(after)
    kept = write(path).kept
    assert [copy.read_bytes() for copy in kept] == [after]
    assert write(path).kept == []
    assert "made by the lab" in path.read_text()


def test_copies_do_not_replace_each_other(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    copies = [keep(path, content) for content in (b"one", b"two", b"one")]
    assert [copy and copy.name for copy in copies] == ["report.kept-1.md", "report.kept-2.md", None]


def test_words_under_a_question_that_is_gone_stay(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    path.write_text(sign(f"# old\n\n{region('answer-gone', 'because')}\n"))
    assert write(path).kept == []
    assert words_of(path) == {"answer-gone": "because"}


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "thesis.md"
    path.write_text("# Thesis")
    with pytest.raises(ValueError, match="no report"):
        write(path)
    page = tmp_path / "page.html"
    page.write_text("<p>mine</p>")
    with pytest.raises(ValueError, match="no report"):
        Writer(make).page(page, {})
    assert (path.read_text(), page.read_text()) == ("# Thesis", "<p>mine</p>")


@settings(max_examples=60, deadline=None)
@given(words=st.dictionaries(st.sampled_from(NAMES), ODD, min_size=1), cut=st.integers(0, 2000), insert=ODD)
def test_no_word_is_lost(
    tmp_path_factory: pytest.TempPathFactory, words: dict[str, str], cut: int, insert: str
) -> None:
    folder = tmp_path_factory.mktemp("words")
    path = folder / "report.md"
    write(path)
    for name, text in words.items():
        fill(path, name, text)
    content = path.read_bytes().decode()
    damaged = (content[:cut] + insert + content[cut:]).encode()
    path.write_bytes(damaged)
    kept = write(path).kept
    if kept:
        assert [copy.read_bytes() for copy in kept] == [damaged]
    else:  # all outside of the blanks is the lab's, letter by letter: then the rest is in the blanks
        assert untouched(damaged.decode())
        assert words_of(path) == words_in(damaged.decode())
    assert untouched(path.read_text(encoding="utf-8"))


@settings(deadline=None)
@given(text=ODD, more=ODD)
def test_reading_any_text_never_fails(text: str, more: str) -> None:
    words_in(f"{text}{region('a', more)}{text}")
    assert untouched(sign(f"{text}\n{region('a', '')}\n"))
    assert is_report(sign(text))
