"""An analysis is declared once, over a plain function; its REST route, its endpoint and their docs follow from it.

    @analysis("patching")
    def patching(opened: Opened, text: str | None, other: str, site: str = "resid_pre", progress: Progress = …) -> …

is `POST /api/analyze/patching` with the fields `run`, `step`, `text`, `packed`, `progress`, `other` and `site`. The
function is given what its parameters name: `library`, `opened` (the model of `run` and `step`), `progress` (a long
analysis reports to it), and fields of the request. It returns plain values and NumPy arrays by name, or an iterator of
events.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_type_hints

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, create_model

from analysis_app.library import Library, no_progress
from lab.interp.ablation import Progress

Array = np.ndarray[Any, np.dtype[Any]]
Answer = dict[str, Any]  # what a route sends: plain values, arrays, and dataclasses of these
RunName = Annotated[str, Field(description="a run's name, or `last`", max_length=200)]
OneLayer = Annotated[int | None, Field(description="left out: all")]
OneHead = Annotated[int | None, Field(description="left out: all of the layer")]
Plain = TypeVar("Plain", bound=Callable[..., Any])
GIVEN = ("library", "opened", "progress")  # parameters that are no fields of a request


class Request(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid")


class PackedRequest(Request):
    """How arrays are sent."""

    packed: bool = Field(False, description="arrays as base64 instead of nested lists")


class WeightsRequest(Request):
    """Which weights."""

    run: RunName
    step: int | None = Field(None, description="left out: the newest weights", ge=0, lt=10**18)


class TextRequest(WeightsRequest, PackedRequest):
    """Which weights, and the text they read."""

    text: str | None = Field(None, description="left out: the beginning of the run's own validation text")


class LongRequest(TextRequest):
    """The same for an analysis that may take seconds."""

    progress: bool = Field(False, description="answer with JSON lines: `progress` as it goes, `result` at the end")


@dataclass(frozen=True)
class Analysis:
    """A declared analysis. `endpoint`: it is an endpoint for `gradio_client` too."""

    name: str
    function: Callable[..., Any]
    request: type[Request]
    endpoint: bool

    @property
    def about(self) -> str:
        """The first paragraph of the function's docstring."""
        return " ".join(inspect.cleandoc(self.function.__doc__ or "").partition("\n\n")[0].split())

    @property
    def is_long(self) -> bool:
        """Whether it reports progress."""
        return "progress" in inspect.signature(self.function).parameters

    @property
    def is_stream(self) -> bool:
        """Whether it returns an iterator of events."""
        return "Iterator" in str(inspect.signature(self.function).return_annotation)

    def compute(self, library: Library, asked: Any, progress: Progress = no_progress) -> Any:
        """The result for a request, or for any object with its fields."""
        names = inspect.signature(self.function).parameters
        given = {name: getattr(asked, name) for name in names if name not in GIVEN}
        if "opened" in names:
            given["opened"] = library.open(asked.run, asked.step)
        if "library" in names:
            given["library"] = library
        return self.function(**given, **({"progress": progress} if self.is_long else {}))


ANALYSES: dict[str, Analysis] = {}  # by the names of their routes


def analysis(name: str, request: type[Request] | None = None, *, endpoint: bool = False) -> Callable[[Plain], Plain]:
    """Declare the function as the analysis `name`. Its request is `request` (left out: `TextRequest`, or `LongRequest`
    where the function reports progress) and a field for each parameter which that lacks.
    """

    def declare(function: Plain) -> Plain:
        parameters, hints = inspect.signature(function).parameters, get_type_hints(function, include_extras=True)
        base = request or (LongRequest if "progress" in parameters else TextRequest)
        own: dict[str, Any] = {
            key: (hints[key], ... if parameter.default is parameter.empty else parameter.default)
            for key, parameter in parameters.items()
            if key not in GIVEN and key not in base.model_fields
        }
        accepted = create_model(f"{name.title().replace('_', '')}Request", __base__=base, **own)
        ANALYSES[name] = Analysis(name, function, accepted, endpoint)
        return function

    return declare
