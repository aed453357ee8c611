"""What commands share: safe text, mistakes in a line, and the option that was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.console.terminal import Parser, guarded, visible


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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--sede", "1"], "--sede: no such argument; did you mean --seed?"),
        (["--sede=1"], "did you mean --seed?"),
        (["--qqqq"], "--qqqq: no such argument (see"),
        (["extra"], "extra: no such argument (see"),
        (["--see", "1"], "--see: no such argument"),
    ],
)
def test_the_option_that_was_meant_is_named(given: list[str], said: str) -> None:
    parser = Parser(prog="it", description="Does it.")
    parser.add_argument("--seed", type=int)
    assert parser.parse_args(["--seed", "3"]).seed == 3
    with pytest.raises(ValueError, match="no such argument") as error:
        parser.parse_args(given)
    assert said in str(error.value)


def test_a_line_for_each_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(_: list[str]) -> int:
        raise ValueError("one\x1b[2J\n\ntwo")

    assert guarded(fails)([]) == 2
    assert capsys.readouterr() == ("", "error: one\\x1b[2J\nerror: two\n")


def test_faults_of_ours_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        guarded(lambda _: 1 // 0)([])
