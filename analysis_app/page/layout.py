"""The one page: a sidebar with the selection, the text as tokens, and the tabs that read both."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from analysis_app.page.panel import panel
from analysis_app.page.selection import from_query
from analysis_app.page.tabs import DEFAULT_TAB, TABS

TITLE = "Look inside · pretraining lab"
_REMEMBER = """async () => {{
  const store = await import(new URL("components/lib/store.js", document.baseURI));
  store.select({{ tab: "{tab}" }});
  return [];
}}"""


def build_page(add_endpoints: Callable[[], None]) -> gr.Blocks:
    """The page without data: each panel asks for its own when it is seen. `add_endpoints` adds those for programs."""
    with gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False) as page:
        with gr.Sidebar(width=300):
            panel("selection_panel")
        panel("header")
        panel("token_strip")
        with gr.Tabs(selected=DEFAULT_TAB, elem_id="lab-tabs") as tabs:
            for name, tab in TABS.items():
                with gr.Tab(tab.label, id=name) as shown:
                    for row in tab.rows:
                        _add_row(row.split())
                shown.select(None, js=_REMEMBER.format(tab=name), queue=False, api_visibility="private")
        add_endpoints()
        page.load(_opened, outputs=tabs, queue=False, show_progress="hidden", api_visibility="private")
    return page


def _add_row(modules: list[str]) -> None:
    if len(modules) == 1:
        panel(modules[0])
        return
    with gr.Row(elem_classes="lab-split", equal_height=False):
        for module in modules:
            panel(module)


def _opened(request: gr.Request) -> gr.Tabs:
    """The tab that the address names."""
    selection, _ = from_query(dict(request.query_params))
    return gr.Tabs(selected=selection.tab)
