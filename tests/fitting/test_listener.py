"""A fit without a terminal."""

from __future__ import annotations

import pytest

from lab.fitting.listener import Listener


def test_without_a_terminal_nothing_can_be_asked() -> None:
    with pytest.raises(ValueError, match=r"predict\.ask: .*--predict\.final_loss"):
        Listener().ask(None, first=True)
    assert not Listener().progress_bar
