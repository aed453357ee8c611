"""The routes of Experiments: runs laid over each other, and the text of a batch."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from analysis_app.analyses.batch import Batches
from analysis_app.analyses.experiments import overlay
from analysis_app.library.runs import Library
from analysis_app.server.answers import answer


class OverlayAsked(BaseModel):
    """Which runs, and what of them."""

    model_config = ConfigDict(extra="forbid")
    runs: list[str] = Field(description="names of runs", max_length=100)
    metric: str = Field("train/loss", description="one that the runs log, such as val/bits_per_byte", max_length=200)
    packed: bool = Field(False, description="arrays as base64 instead of nested lists")


class BatchAsked(BaseModel):
    """Which batch of which run, scored by which weights."""

    model_config = ConfigDict(extra="forbid")
    run: str = Field(description="a run's name, or `last`", max_length=200)
    batch: int = Field(description="optimizer steps done before it: 0 is the first", ge=0, lt=10**12)
    step: int | None = Field(None, description="of the weights; left out: the last at or before it", ge=0, lt=10**18)
    first: int = Field(0, description="the sequence to begin with", ge=0, lt=10**9)
    packed: bool = Field(False, description="arrays as base64 instead of nested lists")


def routes(library: Library) -> APIRouter:
    """The routes over the runs of `library`."""
    router, batches = APIRouter(prefix="/api/analyze"), Batches(library)

    @router.post("/overlay")
    def overlaid(asked: OverlayAsked) -> Response:
        """One metric of several runs over steps, tokens, minutes and FLOPs, and the settings that tell them apart."""
        return answer(overlay(library, asked.runs, asked.metric), asked.packed)

    @router.post("/batch")
    def batch(asked: BatchAsked) -> Response:
        """The text that one step learned from, with the loss of every token under the weights of a step."""
        return answer(batches.show(asked.run, asked.batch, asked.step, asked.first), asked.packed)

    return router
