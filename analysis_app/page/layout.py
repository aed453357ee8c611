"""The one page: a sidebar with the selection, the text as tokens, and the tabs that read both."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from analysis_app.page import panels as make
from analysis_app.page.selection import DEFAULT_TAB, LABELS, from_query
from analysis_app.page.tabs import BUILDERS

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
            make.selection_panel()
        make.header()
        make.token_strip()
        with gr.Tabs(selected=DEFAULT_TAB, elem_id="lab-tabs") as tabs:
            for name, label in LABELS.items():
                with gr.Tab(label, id=name) as tab:
                    BUILDERS[name]()
                tab.select(None, js=_REMEMBER.format(tab=name), queue=False, api_visibility="private")
        add_endpoints()
        page.load(_opened, outputs=tabs, queue=False, show_progress="hidden", api_visibility="private")
    return page


def _opened(request: gr.Request) -> gr.Tabs:
    """The tab that the address names."""
    selection, _ = from_query(dict(request.query_params))
    return gr.Tabs(selected=selection.tab)
