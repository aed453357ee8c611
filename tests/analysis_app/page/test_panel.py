"""The wrapper of a panel."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis_app.page.panel import panel
from analysis_app.page.tabs import PANELS, TABS

COMPONENTS = Path(__file__).parents[3] / "analysis_app" / "components"
SHOWN = sorted({module for tab in TABS.values() for row in tab.rows for module in row.split()})
FRAMED = [module for module in SHOWN if module in PANELS]


@pytest.mark.parametrize("module", SHOWN)
def test_every_panel_of_a_tab_has_a_module(module: str) -> None:
    assert (COMPONENTS / f"{module}.js").is_file()


@pytest.mark.parametrize("module", FRAMED)
def test_a_panel_has_a_title_help_and_its_own_module(module: str) -> None:
    title, help = PANELS[module]
    assert title
    assert help
    made = panel(module)
    assert f'data-panel="{module}"' in made.html_template
    assert 'role="status"' in made.html_template
    assert f'load("{module}")' in made.js_on_load


def test_a_panel_without_a_title_has_no_frame() -> None:
    assert "lab-bare" in panel("header").html_template
    assert "lab-card" in panel(FRAMED[0]).html_template
