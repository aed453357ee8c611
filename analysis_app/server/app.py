"""The server, put together: routes, the page's own files, and Gradio with the page at `/`."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

# Read when Gradio is imported: nothing is asked of the network, no usage is reported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr
from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from analysis_app.library import Library
from analysis_app.page.layout import build_page
from analysis_app.server import websocket
from analysis_app.server.answers import add_error_answers
from analysis_app.server.endpoints import add_endpoints
from analysis_app.server.guard import Guard
from analysis_app.server.proxy import Proxied
from analysis_app.server.routes import analyses, diagnosis_quiz, generate, plan, runs, selection, training
from analysis_app.steering.launch import Launcher

ROOM = Path(__file__).parents[1]
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace"]


def create_app(
    root: str | Path = "runs",
    password: str | None = None,
    allowed_hosts: Collection[str] = (),
    root_path: str = "",
) -> FastAPI:
    """The page and the routes over the runs under `root`.

    Args:
        password: Every request has to give it.
        allowed_hosts: Names under which a proxy offers the page.
        root_path: Path under which a proxy offers the page, where it passes that path on.
    """
    app = FastAPI(
        title="Analysis page of a pretraining lab",
        description="Look inside any checkpoint of any run.",
        docs_url=None,  # FastAPI's own page would fetch its scripts from the network
        redoc_url=None,
    )
    library = Library(root)
    launcher = Launcher(library.root)
    for subject in (selection, generate, analyses, diagnosis_quiz):
        app.include_router(subject.routes(library))
    for subject in (runs, training, plan, websocket):
        app.include_router(subject.routes(library, launcher))
    add_error_answers(app)

    @app.get("/docs", include_in_schema=False)
    def docs() -> FileResponse:
        return FileResponse(ROOM / "documents" / "docs.html")

    app.mount("/components", _Fresh(directory=ROOM / "components"))
    app.mount("/documents", _Fresh(directory=ROOM / "documents"))
    app.add_middleware(Guard, password=password, allowed_hosts=allowed_hosts)
    app.add_middleware(Proxied, prefix=root_path)
    theme = gr.themes.Base(primary_hue="blue", neutral_hue="slate", font=FONTS, font_mono=MONO)
    page = build_page(lambda: add_endpoints(library))
    mounted = gr.mount_gradio_app(
        app,
        page,
        path="/",
        theme=theme,
        css_paths=ROOM / "page" / "style.css",
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        favicon_path=str(ROOM / "documents" / "icon.svg"),
    )
    # Gradio looks for queued events a thousand times a second, a twentieth of a core that the training beside it needs;
    # this page's own events pass its queue by.
    page._queue.sleep_when_free = 0.05
    return mounted


class _Fresh(StaticFiles):
    """Files that a browser asks about each time (a 304 costs a millisecond), so that an update is seen at once."""

    def file_response(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response
