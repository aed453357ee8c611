"""Routes of the analyses that read more than the text: the validation slice, a second text, the vocabulary, the log."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from analysis_app.analyses import embeddings, neurons, patching
from analysis_app.analyses import position_loss as validation
from analysis_app.analyses import training_norms as norms
from analysis_app.library.runs import Library
from analysis_app.page.selection import MAX_TEXT
from analysis_app.server.answers import Analysis, Asked, LongAsked, answer, answer_long


class NeuronAsked(LongAsked):
    """Which unit."""

    layer: int = 0
    unit: int = Field(0, description="of the layer's MLP, from 0")
    position: int | None = Field(None, description="where the strongest units are looked for; left out: anywhere")


class NeighboursAsked(Asked):
    """Whose neighbours."""

    token: int = Field(description="the token's id", ge=0)
    k: int = Field(embeddings.NEIGHBOURS, ge=1, le=200)


class PieceAsked(Asked):
    """What is looked for in the vocabulary."""

    text: str = Field(max_length=200)


class PatchingAsked(LongAsked):
    """The second text, and what is put into it."""

    other: str = Field(description="the second text, of as many tokens", max_length=MAX_TEXT)
    site: str = Field("resid_pre", description=f"one of {', '.join(patching.SITES)}")


def routes(library: Library) -> APIRouter:
    """All of them, over the runs of `library`."""
    router = APIRouter(prefix="/api/analyze")
    _add_texts(router, library)
    _add_vocabulary(router, library)

    @router.post("/norms")
    def training_norms(asked: Analysis) -> Response:
        """Gradient, update and weight norms of each layer over training, as they were logged."""
        return answer(norms.training_norms(library, asked.run), asked.packed)

    return router


def _add_texts(router: APIRouter, library: Library) -> None:
    @router.post("/neuron")
    def neuron(asked: NeuronAsked) -> Response:
        """One MLP unit on a text, and the units that the text moves most."""
        where = {"layer": asked.layer, "unit": asked.unit, "position": asked.position}
        return answer(neurons.neuron(library, asked.run, asked.step, asked.text, **where), asked.packed)

    @router.post("/neuron_examples")
    def neuron_examples(asked: NeuronAsked) -> Response:
        """The tokens of the validation text at which one MLP unit is most active."""
        where = {"layer": asked.layer, "unit": asked.unit}
        return answer_long(
            asked,
            lambda progress: neurons.neuron_examples(library, asked.run, asked.step, **where, progress=progress),
        )

    @router.post("/position_loss")
    def position_loss(asked: LongAsked) -> Response:
        """The loss at each position of the context, over the validation text."""
        return answer_long(asked, lambda progress: validation.position_loss(library, asked.run, asked.step, progress))

    @router.post("/patching")
    def patch(asked: PatchingAsked) -> Response:
        """What each layer and position of a first text brings back of its answer in a second."""
        texts = (asked.text, asked.other, asked.site)
        return answer_long(
            asked, lambda progress: patching.patch(library, asked.run, asked.step, *texts, progress=progress)
        )


def _add_vocabulary(router: APIRouter, library: Library) -> None:
    @router.post("/embeddings")
    def embedding_map(asked: Analysis) -> Response:
        """Token embeddings in the two directions along which those of the last snapshot differ most."""
        return answer(embeddings.embedding_map(library, asked.run, asked.step), asked.packed)

    @router.post("/neighbours")
    def neighbours(asked: NeighboursAsked) -> Response:
        """The tokens whose embeddings are most like one token's."""
        return answer(embeddings.neighbours(library, asked.run, asked.step, asked.token, asked.k))

    @router.post("/piece")
    def piece(asked: PieceAsked) -> Response:
        """The one token that a text is."""
        return answer(embeddings.find_token(library, asked.run, asked.step, asked.text))
