"""A declared analysis: what its route accepts, and what its function is given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from analysis_app.analyses import declaration
from analysis_app.analyses.declaration import ANALYSES, WeightsRequest, analysis
from analysis_app.library import Library, Opened, no_progress
from lab.interp.ablation import Progress


@pytest.fixture(autouse=True)
def _only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declaration, "ANALYSES", {})


def test_a_request_has_the_fields_that_the_function_names() -> None:
    @analysis("lengths")
    def lengths(
        opened: Opened,
        text: str | None,
        k: Annotated[int, Field(ge=1)],
        site: str = "a",
        progress: Progress = no_progress,
    ) -> list[int]:
        """The lengths,
        in words.

        More of it.
        """
        return []

    declared = declaration.ANALYSES["lengths"]
    assert set(declared.request.model_fields) == {"run", "step", "text", "packed", "progress", "k", "site"}
    assert (declared.about, declared.is_long, declared.is_stream, declared.endpoint) == (
        "The lengths, in words.",
        True,
        False,
        False,
    )
    asked = declared.request(run="r", k=2)
    assert (asked.site, asked.text, asked.progress) == ("a", None, False)
    for wrong in ({"run": "r"}, {"run": "r", "k": 0}, {"run": "r", "k": 1, "other": 1}):
        with pytest.raises(ValidationError):
            declared.request(**wrong)


def test_the_function_is_given_what_it_names(library: Library) -> None:
    @analysis("names", WeightsRequest, endpoint=True)
    def names(library: Library, opened: Opened, run: str, progress: Progress, k: int = 3) -> tuple:
        """Names."""
        progress(1, 2)
        return library, opened.loaded.step, run, k

    reported: list[tuple[int, int]] = []
    declared = declaration.ANALYSES["names"]
    assert "text" not in declared.request.model_fields
    asked = SimpleNamespace(run="tiny", step=4, k=5)
    found = declared.compute(library, asked, lambda *done: reported.append(done))
    assert found == (library, 4, "tiny", 5)
    assert reported == [(1, 2)]


def test_every_analysis_says_what_it_is() -> None:
    import analysis_app.analyses  # noqa: F401 (declares them)

    assert len(ANALYSES) > 15
    assert all(declared.about.endswith(".") for declared in ANALYSES.values())
