"""When a run is validated where nobody says how often."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.__main__ import main
from lab.callbacks.validation import PER_RUN, Validation
from lab.runs import open_run
from tests.tiny import tiny_args


@given(st.integers(1, 2000))
def test_at_the_start_at_the_end_and_at_most_twenty_times_after_the_start(steps: int) -> None:
    validation = Validation()
    at = [step for step in range(steps + 1) if validation.due(step, steps)]
    assert at[0] == 0
    assert at[-1] == steps
    assert len(at) <= PER_RUN + 1


def test_zero_is_never_and_below_it_is_refused() -> None:
    assert not any(Validation(0).due(step, 10) for step in range(11))
    with pytest.raises(ValueError, match=r"validation\.every is -1"):
        Validation(-1)


def test_other_weights_than_those_trained_end_the_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--trainer.callbacks", "tests.callbacks.swapping.HomeMade", "--validation.every", "2"]
    assert main(["fit", *tiny_args(tmp_path, *own)]) == 2
    assert "trainer.callbacks has HomeMade: at step 2 other weights are validated" in capsys.readouterr().err
    assert open_run("tiny", tmp_path / "runs").status().state == "failed"
