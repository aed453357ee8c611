"""The prompt: a text as ids, cut to the model's context, and never empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.data.vocabulary import Tokenizer


@dataclass(frozen=True)
class Prompt:
    """The ids a text begins with.

    Args:
        tokens: At least one, at most the model's context_length.
        text: The part of the given text that they stand for.
        dropped: Tokens cut off at the front, beyond the context.
        notes: What was changed, a sentence each.
    """

    tokens: list[int]
    text: str
    dropped: int = 0
    notes: tuple[str, ...] = ()


def read_prompt(text: str, tokenizer: Tokenizer, context_length: int) -> Prompt:
    """The prompt that `text` makes.

    Longer than the context: the end of it stays, and `notes` says how many tokens are dropped. Empty: the model starts
    from the end of text (after which a document begins), else from a new line, else from the first id. Raises
    `ValueError` for characters that the tokenizer does not know.
    """
    if not text:
        token, name = _start(tokenizer)
        return Prompt([token], "", notes=(f"the prompt is empty: starting from {name}",))
    tokens = tokenizer.encode(text).tolist()
    dropped = max(0, len(tokens) - context_length)
    if not dropped:
        return Prompt(tokens, text)
    note = (
        f"the prompt has {len(tokens):,} tokens and the model can look at {context_length:,}: "
        f"the first {dropped:,} are dropped"
    )
    kept = tokens[dropped:]
    return Prompt(kept, tokenizer.decode(kept), dropped, (note,))


def _start(tokenizer: Tokenizer) -> tuple[int, str]:
    if tokenizer.eot_id is not None:
        return tokenizer.eot_id, "the end-of-text token, as a document does"
    try:
        newline = tokenizer.encode("\n").tolist()
    except ValueError:  # an alphabet without it
        newline = []
    if newline:
        return newline[0], "a new line"
    return 0, f"the vocabulary's first token, {tokenizer.decode([0])!r}"
