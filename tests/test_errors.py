"""What the lab's exceptions say, and as what they are caught."""

from __future__ import annotations

from lab.errors import NonFiniteLoss, NotEnough, SettingsError, WriteError


def test_a_mistake_of_the_user_is_a_value_error() -> None:
    assert issubclass(SettingsError, ValueError)
    assert issubclass(NotEnough, ValueError)


def test_a_write_error_is_its_sentence_and_keeps_the_number() -> None:
    error = WriteError(28, "cannot write a.json: no space left")
    assert str(error) == "cannot write a.json: no space left"
    assert error.errno == 28


def test_a_loss_that_is_not_finite_names_step_and_batch() -> None:
    error = NonFiniteLoss("loss", float("nan"), 7)
    assert (error.what, error.step) == ("loss", 7)
    assert "loss is nan at step 7" in str(error)
    assert "lab batch RUN 7" in str(error)
