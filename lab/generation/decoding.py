"""Decoding: a model continues a text one token at a time, and gives its probabilities at each."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from lab.data.vocabulary import UNKNOWN
from lab.generation.prompt import read_prompt
from lab.generation.sampling import Sampling, distribution, draw, own_probabilities
from lab.model import GPT, KVCache
from lab.model.linear import one_thread

if TYPE_CHECKING:
    from lab.data.vocabulary import Tokenizer

KEPT_WHEN_SLIDING = 3 / 4  # of a full context
ALTERNATIVES = 5  # a step
# Numbers of a model below which one thread takes a step of decoding: a hundred products of 0.1 ms or less. A second one
# gains little on a quiet machine, and beside another program to wait for it takes a hundred times as long.
FEW_WEIGHTS = 1 << 25


class Alternative(NamedTuple):
    """A likely token and its probability before any sampling setting."""

    token: int
    probability: float


@dataclass(frozen=True, slots=True)
class Step:
    """One token written.

    Args:
        token: Its id.
        probability: In the model's own distribution, before temperature, top-k and top-p.
        chance: Its probability in the distribution it was drawn from, after them.
        alternatives: The most probable tokens of the model's own distribution, best first.
        removed: How many tokens top-k and top-p excluded.
    """

    token: int
    probability: float
    chance: float
    alternatives: tuple[Alternative, ...]
    removed: int


def stream(
    model: GPT,
    tokens: Sequence[int] | Tensor,
    sampling: Sampling | None = None,
    *,
    stop: Collection[int] = (),
    alternatives: int = ALTERNATIVES,
) -> Iterator[Step]:
    """Continue `tokens` (ids, `[pos]`), one `Step` at a time.

    Ends after max_new_tokens, or with the first token of `stop`, which is the last step then.

    Keys and values of earlier positions are cached, so each step costs one position. When the context is full, its last
    3/4 are read again and decoding continues from there. So a token follows from the last context_length tokens at
    most, and 3/4 of that at least; sliding by one each time would read the whole context for each token. Within the
    context the cache changes nothing but rounding.

    Draws from a generator of its own: PyTorch's random state stays as it was, and a model in training mode is in it
    again between the steps. Raises `ValueError`, before the first step, for no tokens, more than context_length (see
    `read_prompt`) or ids that the model does not have; and at a step whose logits are not numbers.
    """
    ids = [int(token) for token in tokens]
    problems = list(_problems(model, ids, alternatives))
    if problems:
        raise ValueError("\n".join(problems))
    return _steps(model, ids, sampling or Sampling(), frozenset(stop), alternatives)


def stream_text(
    model: GPT, tokenizer: Tokenizer, prompt: str = "", *, stop_at_end: bool = True, **settings: Any
) -> Iterator[str]:
    """The text that follows `prompt`, piece by piece as it is written; `settings` are those of `Sampling`.

    Ends before an end of text, or continues with a new document unless `stop_at_end`. A prompt that is too long loses
    its beginning (with a warning that says how much), an empty one starts a new document, see `read_prompt`. Every
    piece is of whole characters.
    """
    start = read_prompt(prompt, tokenizer, model.config.context_length)
    if start.dropped:
        warnings.warn(start.notes[0], stacklevel=2)
    end = () if tokenizer.eot_id is None else (tokenizer.eot_id,)
    steps = stream(model, start.tokens, Sampling(**settings), stop=end if stop_at_end else (), alternatives=0)
    return (piece for _, piece in with_text(steps, tokenizer, end) if piece)


def with_text(
    steps: Iterable[Step], tokenizer: Tokenizer, stop: Collection[int] = ()
) -> Iterator[tuple[Step | None, str]]:
    """Each step with the text that is certain now that it was taken, which may be empty.

    A character whose bytes have not all come is held back; what is left of one at the end comes as a last piece, with
    no step. A token of `stop` has no text, an id that the vocabulary has a gap at is U+FFFD.
    """
    decoder = tokenizer.stream()
    for step in steps:
        if step.token in stop:
            yield step, ""
        elif tokenizer.tokens[step.token] is None:
            yield step, decoder.flush() + UNKNOWN
        else:
            yield step, decoder.push(step.token)
    if rest := decoder.flush():
        yield None, rest


def _problems(model: GPT, ids: list[int], alternatives: int) -> Iterator[str]:
    vocab_size, context = model.config.vocab_size, model.config.context_length
    if not ids:
        yield "no tokens to continue: give at least one (read_prompt makes one of an empty text)"
    if len(ids) > context:
        yield f"{len(ids)} tokens are more than context_length={context}: give the last (as read_prompt does)"
    if wrong := [token for token in ids if not 0 <= token < vocab_size]:
        yield f"token ids {wrong[:5]} are not in the model's vocabulary of {vocab_size}: was this its tokenizer?"
    if not 0 <= alternatives <= vocab_size:
        yield f"alternatives={alternatives}: must lie between 0 and the vocabulary's {vocab_size}"


def _steps(model: GPT, ids: list[int], sampling: Sampling, stop: frozenset[int], alternatives: int) -> Iterator[Step]:
    context = model.config.context_length
    generator = torch.Generator().manual_seed(sampling.seed)  # on the CPU: the same on every device
    seen = list(ids)  # the window: what the cache holds, then what it has yet to read
    unread = seen
    cache = model.new_cache(1, capacity=min(context, len(ids) + sampling.max_new_tokens))
    small = sum(weight.numel() for weight in model.parameters()) < FEW_WEIGHTS
    for _ in range(sampling.max_new_tokens):
        with one_thread() if small and len(unread) == 1 else nullcontext():
            logits = _next_logits(model, unread, cache)
        u = float(torch.rand((), dtype=torch.float64, generator=generator))
        with one_thread():
            step = _choose(logits, sampling, u, alternatives)
        yield step
        if step.token in stop:
            return
        seen.append(step.token)
        unread = [step.token]
        if cache.length == context:
            seen = unread = seen[-max(1, int(context * KEPT_WHEN_SLIDING)) :]
            cache.rewind()


def _next_logits(model: GPT, tokens: list[int], cache: KVCache) -> Tensor:
    """Logits `[vocab_size]` of the token after `tokens`, which follow those in the cache and are appended to it."""
    with _evaluating(model):
        device = model.token_embedding.weight.device
        # The head for the last position only: thousands of logits of each other one would be thrown away. Not by
        # `model(...)`, which may be compiled: it would be compiled again for every length.
        stream = model.residual(torch.tensor([tokens], device=device), cache=cache)
        logits = model.unembed(stream[0, -1]).float().cpu()
    if torch.isnan(logits).any():
        raise ValueError("the model's logits are not numbers (NaN): its weights are damaged, or training diverged")
    return logits


@contextmanager
def _evaluating(model: GPT) -> Iterator[None]:
    """No gradients and no dropout, and afterwards all as before: a step may fall between two steps of training."""
    training = model.training
    if training:
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        if training:
            model.train()


def _choose(logits: Tensor, sampling: Sampling, u: float, alternatives: int) -> Step:
    own, drawn_from = own_probabilities(logits), distribution(logits, sampling)
    token = draw(drawn_from.probabilities, u)
    best = own.topk(alternatives)
    return Step(
        token=token,
        probability=float(own[token]),
        chance=float(drawn_from.probabilities[token]),
        alternatives=tuple(map(Alternative, best.indices.tolist(), best.values.tolist())),
        removed=int(drawn_from.removed_by_top_k.sum() + drawn_from.removed_by_top_p.sum()),
    )
