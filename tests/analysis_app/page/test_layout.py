"""The page as Gradio builds it."""

from __future__ import annotations

import json

from analysis_app.page.layout import build_page
from analysis_app.page.tabs import TABS


def test_the_page_has_every_tab_and_every_panel_and_no_data() -> None:
    asked: list[str] = []
    page = build_page(lambda: asked.append("endpoints"))
    parts = json.loads(json.dumps(page.config["components"], default=str))
    tabs = [part["props"]["id"] for part in parts if part["type"] == "tabitem"]
    assert tabs == list(TABS)
    panels = {part["props"]["elem_id"] for part in parts if part["type"] == "html"}
    wanted = {module for tab in TABS.values() for row in tab.rows for module in row.split()}
    assert panels == {f"lab-{name.replace('_', '-')}" for name in wanted | {"selection_panel", "header", "token_strip"}}
    assert asked == ["endpoints"]
