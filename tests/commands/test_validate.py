"""`validate` as it is typed: a run first, and what is wrong with what was typed."""

from __future__ import annotations

import pytest

from lab.commands.validate import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say which run to validate"),
        (["--root", "runs"], "say which run to validate"),
        (["no-such-run"], "no run 'no-such-run'"),
        (["no-such-run@5", "--run.root", "elsewhere"], "'elsewhere'"),
    ],
)
def test_a_mistake_is_a_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_its_help_explains_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert "--data.val_tokens" in capsys.readouterr().out
