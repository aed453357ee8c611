"""The endpoints of the page for `gradio_client`: the analyses declared as endpoints, the lists, and generation.

    from gradio_client import Client
    page = Client("http://127.0.0.1:7861/")
    page.predict(run="last", text="To be or not", layer=0, api_name="/attention")["patterns"]  # [head][query][key]
    for text in page.submit(run="last", text="To be", api_name="/generate"): print(text)

Arguments and answers are those of the routes under `/api/`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import orjson

from analysis_app.analyses import generation
from analysis_app.analyses.declaration import ANALYSES, Analysis
from analysis_app.library import Library
from analysis_app.server.answers import encode, explain

HOW = {"packed": False, "progress": False}  # fields of a request that only say how it is answered


def add_endpoints(library: Library) -> None:
    """Add them to the page that is being built."""

    # Parameters are typed with what `gr.api` can say to a client: no defaults but plain values.
    def runs() -> list:
        """All runs, the newest first."""
        return _answer(library.runs)

    def checkpoints(run: str = "last") -> list:
        """Every checkpoint and snapshot of a run."""
        return _answer(lambda: library.weights(run))

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
        """The generated text, longer with every token."""
        settings = generation.Settings(
            max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )
        so_far = ""
        try:
            for event in generation.generate(library.open(run, step), text, settings):
                so_far = event["text"] if event["event"] == "end" else so_far + event.get("text", "")
                yield so_far
        except Exception as error:
            raise _error(error) from error

    analyses = [_endpoint(declared, library) for declared in ANALYSES.values() if declared.endpoint]
    for endpoint in (runs, checkpoints, *analyses, generate):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_limit=None)


def _endpoint(declared: Analysis, library: Library) -> Callable[..., Any]:
    """A function with a parameter for each field of the request."""
    fields = {name: field for name, field in declared.request.model_fields.items() if name not in HOW}

    def endpoint(*values: Any) -> Any:
        asked = SimpleNamespace(**HOW, **dict(zip(fields, values, strict=True)))
        return _answer(lambda: declared.compute(library, asked))

    kind, types = inspect.Parameter.POSITIONAL_OR_KEYWORD, {name: field.annotation for name, field in fields.items()}
    defaults = {name: "last" if name == "run" else field.default for name, field in fields.items()}
    endpoint.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind, default=defaults[name], annotation=types[name]) for name in fields],
        return_annotation=dict,
    )
    endpoint.__name__, endpoint.__doc__ = declared.name, declared.about
    endpoint.__annotations__ = types | {"return": dict}
    return endpoint


def _answer(ask: Callable[[], Any]) -> Any:
    """The answer as plain JSON values; an error as one sentence with its id."""
    try:
        return orjson.loads(encode(ask()))
    except Exception as error:
        raise _error(error) from error


def _error(error: Exception) -> gr.Error:
    sentence, code, _ = explain(error)
    return gr.Error(f"{sentence} (id {code})", print_exception=False)
