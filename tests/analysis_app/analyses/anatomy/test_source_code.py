"""The code that is shown is the code that runs."""

from __future__ import annotations

import inspect

import pytest

from analysis_app.analyses.anatomy.source_code import FUNCTIONS, HOME, code_of
from analysis_app.library import NotFoundError


def test_code_is_what_stands_in_the_file() -> None:
    for name, function in FUNCTIONS.items():
        found = code_of(name)
        lines = (HOME / found["place"].file).read_text("utf-8").splitlines(keepends=True)
        first = found["place"].line - 1
        assert "".join(lines[first : first + len(found["source"].splitlines())]) == found["source"]
        assert inspect.getsource(function) == found["source"]
    with pytest.raises(NotFoundError, match=r"Attention\.forward"):
        code_of("os.system")
