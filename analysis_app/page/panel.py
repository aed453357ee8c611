"""The wrapper that every panel of the page has: a title, one sentence of help, a place for controls, and the places
where `components/lib/panel.js` shows its states (empty, loading, stale, error, ready).

The template never changes and holds no data: what a panel shows is put in by its own JavaScript module, as text and
pixels, so that markup in a token or a run's name stays text.
"""

from __future__ import annotations

import html

import gradio as gr

from analysis_app.page.tabs import PANELS

_TEMPLATE = """
<section class="lab-panel {classes}" data-panel="{module}" data-state="waiting" {labelled}>
  {header}
  <div class="lab-body"></div>
  <div class="lab-message" role="status"></div>
</section>
"""
_HEADER = """
<header>
  <div class="lab-title"><h2 id="{name}-title">{title}</h2><span class="lab-badge" role="status"></span>
  <small class="lab-source"></small></div>
  <div class="lab-actions"></div>
  <p class="lab-help">{help}</p>
</header>
"""
_BARE = '<span class="lab-badge" hidden></span><div class="lab-actions" hidden></div>'
# ES modules: the browser loads each once, and what they share stays one. The menu to export comes with every title.
_LOAD = """
const load = (path) => import(new URL(`components/${{path}}.js`, document.baseURI));
Promise.all([load("{module}"), load("lib/export")]).then(([panel, exports]) => {{
  panel.mount(element);
  exports.offer(element);
}});
"""


def panel(module: str) -> gr.HTML:
    """A panel that `components/{module}.js` fills, with its title and help from `PANELS`; without these, no frame.

    A function and not a subclass of `gr.HTML`: for subclasses Gradio writes files beside the module.
    """
    title, help = PANELS.get(module, (None, ""))
    name = f"lab-{module.replace('_', '-')}"
    header = _BARE if title is None else _HEADER.format(name=name, title=html.escape(title), help=html.escape(help))
    template = _TEMPLATE.format(
        classes="lab-bare" if title is None else "lab-card",
        module=module,
        labelled="" if title is None else f'aria-labelledby="{name}-title"',
        header=header,
    )
    return gr.HTML(
        html_template=template, js_on_load=_LOAD.format(module=module), elem_id=name, apply_default_css=False
    )
