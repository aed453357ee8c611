"""axe-core (Deque, MPL-2.0, `axe/`) finds nothing serious on any tab, in light and in dark.

A tab is covered by standing in `TABS`. What axe calls serious or critical counts; Gradio's own parts count too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis_app.page.tabs import TABS
from tests.analysis_app.conftest import Person

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text("utf-8")
COUNTS = ("serious", "critical")


@pytest.fixture(scope="module")
def page(browser: Any, server: Any) -> Any:
    """One page for all tabs: what is looked at stays, what is asked again comes from its memory."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    found = Person(context, server.url)
    yield found
    context.close()
    assert not found.problems, "\n".join(found.problems)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("tab", TABS)
def test_no_serious_finding(page: Person, tab: str, theme: str) -> None:
    page.page.emulate_media(color_scheme="light")
    more = {"part": "attn"} if tab == "anatomy" else {}
    page.open(tab, run="tiny", token=3, layer=1, **more)
    page.settled()
    page.page.wait_for_load_state("networkidle")
    page.page.evaluate(f"document.body.classList.toggle('dark', {str(theme == 'dark').lower()})")
    page.page.evaluate(AXE)
    found = page.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    told = [
        f"{finding['impact']} {finding['id']}: {finding['help']}: {node['target']} {node['html'][:160]} "
        f"{node['failureSummary'][:300]}"
        for finding in found["violations"]
        if finding["impact"] in COUNTS
        for node in finding["nodes"][:3]
    ]
    assert not told, "\n".join(told)
