"""The same analyses for `gradio_client`, as named endpoints of the page.

    from gradio_client import Client
    page = Client("http://127.0.0.1:7861/")
    page.predict(run="last", text="To be or not", layer=0, api_name="/attention")["patterns"]  # [head][query][key]
    for written in page.submit(run="last", text="To be", api_name="/generate"): print(written)

Arguments and answers are those of the routes under `/api/` (`analysis_app.server.answers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import orjson

from analysis_app.analyses import generation as writing
from analysis_app.analyses import services
from analysis_app.library.runs import Library
from analysis_app.server.answers import encode, explain


def add_endpoints(library: Library) -> None:
    """Add them to the page that is being built."""

    # Parameters are typed with what `gr.api` can say to a client: no defaults but plain values.
    def runs() -> list:
        """All runs, the newest first."""
        return _told(library.runs)

    def checkpoints(run: str = "last") -> list:
        """Every checkpoint and snapshot of a run."""
        return _told(lambda: library.weights(run))

    def attention(
        run: str = "last",
        step: int | None = None,
        text: str | None = None,
        layer: int | None = None,
        head: int | None = None,
    ) -> dict:
        """Patterns of all heads, of a layer, or of a head, and what each head does."""
        return _told(lambda: services.attention(library, run, step, text, layer, head))

    def activations(
        run: str = "last",
        step: int | None = None,
        text: str | None = None,
        layer: int | None = None,
        head: int | None = None,
    ) -> dict:
        """Norms along the residual stream, histograms, dead units."""
        return _told(lambda: services.activations(library, run, step, text, layer, head))

    def predictions(
        run: str = "last",
        step: int | None = None,
        text: str | None = None,
        layer: int | None = None,
        head: int | None = None,
    ) -> dict:
        """Loss and guesses at each token, the logit lens, direct logit attribution."""
        return _told(lambda: services.predictions(library, run, step, text, layer, head))

    def generate(
        run: str = "last",
        step: int | None = None,
        text: str | None = None,
        max_tokens: int = 200,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 1337,
    ) -> Iterator[str]:
        """What the model writes, longer with every token."""
        settings = writing.Settings(max_tokens, temperature, top_k, top_p, seed)
        yield from _written(library, run, step, text, settings)

    for endpoint in (runs, checkpoints, attention, activations, predictions, generate):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_limit=None)


def _told(ask: Callable[[], Any]) -> Any:
    """The answer as plain JSON values; what goes wrong as one sentence with its id."""
    try:
        return orjson.loads(encode(ask()))
    except Exception as error:
        raise _refused(error) from error


def _written(
    library: Library, run: str, step: int | None, text: str | None, settings: writing.Settings
) -> Iterator[str]:
    so_far = ""
    try:
        for event in writing.write(library, run, step, text, settings):
            so_far = event["text"] if event["event"] == "end" else so_far + event.get("text", "")
            yield so_far
    except Exception as error:
        raise _refused(error) from error


def _refused(error: Exception) -> gr.Error:
    sentence, code, _ = explain(error)
    return gr.Error(f"{sentence} (id {code})", print_exception=False)
