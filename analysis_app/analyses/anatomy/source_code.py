"""The functions that compute each part, found in the running program itself: file, line and source."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import lab
from analysis_app.analyses.declaration import Answer
from analysis_app.library import NotFoundError
from lab.data.bpe import BPETokenizer
from lab.data.huggingface import HuggingFaceTokenizer
from lab.data.vocabulary import ByteTokenizer, CharTokenizer
from lab.generation.sampling import own_probabilities
from lab.model.attention import Attention, explicit_attention
from lab.model.fused import rms_norm
from lab.model.gpt import GPT, Block
from lab.model.layers import MLP, LayerNorm, RMSNorm, SwiGLU, rotate
from lab.model.loss import head_logits

Function = Callable[..., Any]
HOME = Path(lab.__file__).parents[1]  # files are named from here, whatever the machine
# What can be shown: a request names one of these, never a path.
FUNCTIONS: dict[str, Function] = {
    function.__qualname__: function
    for function in (
        CharTokenizer.encode,
        ByteTokenizer.encode,
        BPETokenizer.encode,
        HuggingFaceTokenizer.encode,
        GPT.residual,
        GPT.unembed,
        Block.forward,
        LayerNorm.forward,
        RMSNorm.forward,
        rms_norm,
        Attention.forward,
        Attention._heads,
        explicit_attention,
        rotate,
        MLP.forward,
        SwiGLU.forward,
        head_logits,
        own_probabilities,
    )
}


@dataclass(frozen=True)
class Place:
    """Where a function stands: the file from the project's root, the line it starts at, from 1."""

    name: str
    file: str
    line: int


@cache  # finding a function's end means reading its file
def place_of(function: Function) -> Place:
    """Where `function` stands now."""
    _, line = inspect.getsourcelines(function)
    file = Path(str(inspect.getsourcefile(function)))
    return Place(function.__qualname__, file.relative_to(HOME).as_posix(), line)


def code_of(name: str) -> Answer:
    """Place and source of one of `FUNCTIONS`, by its qualified name. Raises `NotFoundError` naming those there are."""
    if name not in FUNCTIONS:
        raise NotFoundError(f"there is no function {name[:80]!r} to show; there are {', '.join(FUNCTIONS)}")
    return {"place": place_of(FUNCTIONS[name]), "source": inspect.getsource(FUNCTIONS[name])}
