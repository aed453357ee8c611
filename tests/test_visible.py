"""Control characters are written out, everything else stays as it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.visible import visible


@given(st.text())
def test_nothing_that_a_terminal_would_obey_is_left(text: str) -> None:
    shown = visible(text)
    assert all(c.isprintable() or c in "\n\t" for c in shown)
    shown.encode()


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert visible(f"{text} 中文\n\té🙂") == f"{text} 中文\n\té🙂"


def test_escape_sequences_are_written_out() -> None:
    assert visible("a\x1b[2Jb\r\x9bc\u202ed") == "a\\x1b[2Jb\\r\\x9bc\\u202ed"
