"""What commands share: mistakes in a line, and the option that was meant."""

from __future__ import annotations

import pytest

from lab.console.terminal import Parser, guarded


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
