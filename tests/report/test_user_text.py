"""No text of the user's is lost, whatever they (or a crash) did to the file."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.report.user_text import is_report, is_unchanged, keep_copy, marked, sign, texts_in, user_texts_in

ODD = st.text(st.characters(blacklist_categories=("Cs",)), max_size=60) | st.sampled_from(
    ["<!-- yours: notes -->", "<!-- /yours: learned -->", "a\r\nb", "```", "", " ", "\n\n", "ä\u202e|x"]
)


def test_texts_are_found_between_their_marks() -> None:
    report = sign(f"# r\n\n{marked('a', 'one')}\n{marked('b', '')}\n{marked('a', 'two')}\n")
    assert texts_in(report) == {"a": "one\n\ntwo"}, "twice the same mark: both are kept; empty ones are none"
    assert is_report(report)
    assert is_unchanged(report)
    assert is_unchanged(report.replace("one", "1"))
    assert is_unchanged(report.replace("\n", "\r\n"))
    assert not is_unchanged(report.replace("# r", "# s"))
    assert not is_report("# somebody's own file")


def test_no_file_has_no_texts(tmp_path: Path) -> None:
    assert user_texts_in(tmp_path / "report.md") == {}


def test_copies_do_not_replace_each_other(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    copies = [keep_copy(path, content) for content in (b"one", b"two", b"one")]
    assert [copy and copy.name for copy in copies] == ["report.kept-1.md", "report.kept-2.md", None]


@settings(deadline=None)
@given(text=ODD, more=ODD)
def test_reading_any_text_never_fails(text: str, more: str) -> None:
    texts_in(f"{text}{marked('a', more)}{text}")
    assert is_unchanged(sign(f"{text}\n{marked('a', '')}\n"))
    assert is_report(sign(text))
