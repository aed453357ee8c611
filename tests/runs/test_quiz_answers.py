"""Guesses are kept, counted once a case, and survive a damaged file."""

from __future__ import annotations

from pathlib import Path

from lab.runs import list_runs
from lab.runs.quiz_answers import NAME, add_guess, first_guesses, read_guesses


def test_the_first_guess_of_a_case_counts(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    assert read_guesses(root) == []
    add_guess(root, "no_mask", "spike", False)
    add_guess(root, "spike", "spike", True)
    guesses = add_guess(root, "no_mask", "no_mask", True)
    assert read_guesses(root) == guesses
    assert [sorted(guess) for guess in guesses] == [["case", "guess", "right", "wall"]] * 3
    assert first_guesses(guesses) == {"no_mask": False, "spike": True}
    assert list_runs(root) == []


def test_a_damaged_file_holds_no_guesses_and_is_written_anew(tmp_path: Path) -> None:
    for content in ("{", "[]", '{"guesses": 3}', '{"guesses": [1, {"case": 2}, {"case": "a", "right": "yes"}]}'):
        (tmp_path / NAME).write_text(content)
        assert read_guesses(tmp_path) == []
    add_guess(tmp_path, "a", "a", True)
    assert first_guesses(read_guesses(tmp_path)) == {"a": True}
