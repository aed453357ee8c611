"""`GET /api/selection`: what an address of the page stands for now."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace

from fastapi import APIRouter, Request, Response

from analysis_app.analyses.declaration import Answer
from analysis_app.analyses.text import default_text
from analysis_app.library import Library, Opened
from analysis_app.page.selection import Selection, clamp, from_query
from analysis_app.server.answers import answer


def routes(library: Library) -> APIRouter:
    """The route over the runs of `library`."""
    router = APIRouter(prefix="/api")

    @router.get("/selection")
    def selection(request: Request) -> Response:
        """What an address of the page stands for now: the selection, the runs, the run's steps, the model."""
        return answer(_resolve(library, dict(request.query_params)))

    return router


def _resolve(library: Library, query: dict[str, str]) -> Answer:
    """The selection for an address, even one that is out of date: what cannot be is replaced, with a note."""
    selected, notes = from_query(query)
    runs = library.runs()
    found: Answer = {"runs": runs, "weights": [], "steps": [], "model": None, "problem": None}
    names = [run.name for run in runs]
    if selected.run not in names and selected.run not in (None, "last"):
        notes.append(f"there is no run {selected.run[:100]!r} here")
        selected = replace(selected, run=None, step=None)
    if names:
        run = selected.run if selected.run in names else library.newest(runs)
        selected = replace(selected, run=run)
        try:
            selected, more = _resolve_weights(library, selected, found)
            notes += more
        except ValueError as error:
            found["problem"] = str(error)
            with suppress(ValueError):
                found["weights"] = library.weights(run)  # the row of the weights that failed has the reason now
    return found | {"selection": asdict(selected), "notes": notes}


def _resolve_weights(library: Library, selected: Selection, found: Answer) -> tuple[Selection, list[str]]:
    """Fill in what is found of the selected run; a step, layer and head that it has, and a note on each change."""
    run = selected.run
    assert run is not None
    notes = []
    found["weights"] = library.weights(run)
    found["steps"] = steps = library.steps(run)
    step = selected.step if selected.step in steps else (steps[-1] if steps else None)
    if selected.step not in (None, step):
        notes.append(f"run {run!r} has no weights of step {selected.step:,}: showing step {step}")
    selected = replace(selected, step=step)
    if not found["weights"]:
        return selected, notes
    found["model"] = model = _shape(library.open(run, step))
    selected, more = clamp(selected, model["n_layers"], model["n_heads"])
    return selected, [*notes, *more]


def _shape(opened: Opened) -> Answer:
    """The sizes of a model, and the text that the page shows with it first."""
    config = opened.model.config
    names = ("n_layers", "n_heads", "d_model", "context_length", "vocab_size")
    return {name: getattr(config, name) for name in names} | {
        "d_mlp": config.mlp_width,
        "n_parameters": sum(p.numel() for p in opened.model.parameters()),
        "tokenizer": opened.tokenizer.name,
        "default_text": default_text(opened),
    }
