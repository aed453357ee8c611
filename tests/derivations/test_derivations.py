"""Every metric of the registry and every analysis of the page equals what follows from its definition."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import analysis_app.analyses
from analysis_app.analyses.declaration import ANALYSES
from lab.runs.metrics import METRICS
from tests.derivations import forecasts, gradients, inside, losses, page, page_inside, speed, texts
from tests.derivations.register import DERIVATIONS, Derivation
from tests.derivations.tiny_run import VARIANTS, TinyRun

ROOMS = (analysis_app.analyses, forecasts, gradients, inside, losses, page, page_inside, speed, texts)
NOT_THE_ROOM = {"tiny_run.py", "conftest.py"}  # what makes the runs and asks the page
CASES = [
    pytest.param(derivation, variant, id=f"{derivation.compute.__name__}-{variant}")
    for derivation in DERIVATIONS
    for variant in derivation.only or VARIANTS
]


@pytest.mark.parametrize(("derivation", "variant"), CASES)
def test_the_number_is_what_its_definition_gives(
    derivation: Derivation, variant: str, tiny_runs: dict[str, TinyRun], record_property: pytest.RecordProperty
) -> None:
    difference = derivation.difference(tiny_runs[variant])
    names = ", ".join(derivation.names)
    told = f"{names} | {variant} | {derivation.how} | differs by {difference:.0e}, allowed {derivation.within:.0e}"
    record_property("derivation", told)
    assert difference <= derivation.within, told


def test_every_metric_and_every_analysis_is_derived() -> None:
    """A new metric or analysis needs a derivation here."""
    derived = {name for derivation in DERIVATIONS for name in derivation.names}
    shown = METRICS.keys() | {f"page/{name}" for name in ANALYSES}
    assert shown - derived == set(), "has no derivation"
    assert derived - shown == set(), "is derived, but shown nowhere"


def test_no_logged_metric_is_undeclared(tiny_runs: dict[str, TinyRun]) -> None:
    for run in tiny_runs.values():
        assert run.names() <= METRICS.keys()


def test_derivations_import_nothing_of_the_lab() -> None:
    for path in Path(__file__).parent.glob("*.py"):
        if path.name in NOT_THE_ROOM or path.name.startswith("test_"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.split(".")[0] in ("lab", "analysis_app")], path.name
