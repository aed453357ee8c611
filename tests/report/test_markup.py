"""The two marks of a report's text; everything else is disabled."""

from __future__ import annotations

import pytest

from lab.report.markup import code, pieces, to_html, to_markdown, unbroken, without_marks

ODD = "<b>x</b> [a](b) _i_ # |"


def test_the_two_marks() -> None:
    assert list(pieces("a `b` **c** d")) == [
        ("plain", "a "),
        ("code", "b"),
        ("plain", " "),
        ("strong", "c"),
        ("plain", " d"),
    ]
    assert to_html("a `b` **c**") == "a <code>b</code> <strong>c</strong>"
    assert to_markdown("a `b` **c**") == "a `b` **c**"
    assert without_marks("a `b` **c**") == "a b c"


def test_everything_else_is_plain_text() -> None:
    assert to_html(ODD) == "&lt;b&gt;x&lt;/b&gt; [a](b) _i_ # |"
    assert to_markdown(ODD) == r"\<b\>x\</b\> \[a\](b) \_i\_ \# \|"
    assert to_markdown("`a|b`\nc", cell=True) == r"`a\|b` c"


@pytest.mark.parametrize(
    ("value", "shown"), [("a\nb", "`a⏎b`"), ("`x`", "`ˋxˋ`"), ("", "` `"), ("\x1b[31m", r"`\x1b[31m`")]
)
def test_any_value_as_code(value: str, shown: str) -> None:
    assert code(value) == shown
    assert code("x" * 300, 10) == f"`{'x' * 10}…`"


def test_an_option_is_not_broken_after_its_hyphens() -> None:
    assert unbroken("fit --run.name x") == 'fit <span class="option">--run.name</span> x'
