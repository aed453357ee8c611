"""Writing reports: what the user wrote is carried over, files of others are left alone, pictures are drawn."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.report import Writer, user_texts_in
from lab.report.document import Document, Paragraph, Picture, Section, UserText
from lab.report.user_text import is_unchanged, marked, sign, texts_in
from lab.runs import Run
from tests.patience import PATIENCE
from tests.report.test_user_text import ODD

NAMES = ["learned", "notes"]


def make(texts: dict[str, str]) -> Document:
    fields = [UserText(name, f"{name}?") for name in NAMES]
    fields += [UserText(name, "earlier") for name in texts if name not in NAMES]
    return Document("t", "s", [], [Section("S", [Paragraph("made by the lab"), *fields])], "made")


def write(path: Path) -> Writer:
    writer = Writer(make)
    writer.markdown(path)
    return writer


def fill(path: Path, name: str, words: str) -> None:
    text = path.read_text(encoding="utf-8")
    start = text.index(f"<!-- yours: {name} -->\n") + len(f"<!-- yours: {name} -->\n")
    path.write_text(text[:start] + words + text[start:], encoding="utf-8", newline="")


def test_text_between_the_marks_is_kept_and_no_copy_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    write(path)
    fill(path, "learned", "Attention is\n\nall `I` <needed>.")
    for _ in range(3):
        assert write(path).kept == []
        assert user_texts_in(path) == {"learned": "Attention is\n\nall `I` <needed>."}
    assert is_unchanged(path.read_text())


@pytest.mark.parametrize("damage", ["beside", "mark gone", "torn", "another's", "no head", "binary", "empty mark"])
def test_a_report_changed_outside_of_the_marks_is_kept_as_a_copy(tmp_path: Path, damage: str) -> None:
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


def test_text_under_a_question_that_is_gone_stay(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    path.write_text(sign(f"# old\n\n{marked('answer-gone', 'because')}\n"))
    assert write(path).kept == []
    assert user_texts_in(path) == {"answer-gone": "because"}


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
    else:  # all outside of the marks is the lab's, letter by letter: then the rest is between them
        assert is_unchanged(damaged.decode())
        assert user_texts_in(path) == texts_in(damaged.decode())
    assert is_unchanged(path.read_text(encoding="utf-8"))


def test_both_files_with_pictures_and_without_torch(run: Run) -> None:
    code = (
        "import sys; from pathlib import Path; from lab.runs import open_run; from lab.report import Writer, report_on;"
        "run = open_run(sys.argv[1]); w = Writer(report_on(run)); w.markdown(run.report_path);"
        "w.page(run.report_path.with_suffix('.html'), {}); print(w.not_drawn, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout.strip(), done.returncode) == ("[] False", 0), done.stderr
    written = run.report_path.read_text()
    pictures = re.findall(r"!\[.*?\]\((report/[a-z-]+\.png)\)", written)
    assert len(pictures) == 7
    assert all((run.path / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)
    page = run.report_path.with_suffix(".html").read_text()
    assert page.count("data:image/png;base64,") == 2 * len(pictures)
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)


def test_a_picture_that_cannot_be_drawn_is_reported_and_left_out(tmp_path: Path) -> None:
    def draw(dark: bool) -> None:
        raise ValueError("no numbers")

    section = Section("S", [Picture("p", draw, "what it shows")])  # type: ignore[arg-type]
    writer = Writer(lambda texts: Document("t", "s", [], [section], "made"))
    writer.markdown(tmp_path / "report.md")
    writer.page(tmp_path / "report.html", {})
    assert writer.not_drawn == ["the picture 'p' could not be drawn: no numbers"]
    for path in writer.files:
        assert "what it shows" in path.read_text()
        assert "<img" not in path.read_text()
        assert "![" not in path.read_text()
