"""What an analysis reads, as tokens: a typed text, the run's default text, or the validation text in data.json."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from analysis_app.analyses.token_labels import labels
from analysis_app.library import NotFoundError, Opened
from lab.runs import Run

MAX_TEXT = 20_000  # characters; more is refused before anything reads it
DEFAULT_TEXT_TOKENS = 48
DEFAULT_TEXT = "The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog."


@dataclass(frozen=True)
class Source:
    """The weights and the tokens that an answer is about."""

    run: str
    step: int | None
    tokens: list[str]  # [pos] labels
    ids: list[int]  # [pos]


def read_text(opened: Opened, text: str | None, at_least: int = 1) -> Source:
    """The tokens of `text` (None: the default text) as this model reads them.

    Raises `ValueError` for a text with fewer than `at_least` tokens or more than the context, or with characters that
    the vocabulary lacks.
    """
    text = default_text(opened) if text is None else text
    if len(text) > MAX_TEXT:
        raise ValueError(f"the text has {len(text):,} characters, at most {MAX_TEXT:,} are read")
    ids = opened.tokenizer.encode(text).tolist()
    context = opened.model.config.context_length
    if len(ids) > context:
        raise ValueError(
            f"the text has {len(ids):,} tokens and this model looks at {context:,}: leave out {len(ids) - context:,}"
        )
    if len(ids) < at_least:
        raise ValueError(f"the text has {len(ids)} tokens: type at least {at_least}")
    return Source(opened.loaded.name, opened.loaded.step, labels(opened.tokenizer, ids), ids)


def default_text(opened: Opened) -> str:
    """The beginning of the run's probe text, which comes from its validation split; else a common sentence.

    Read again it has no more tokens than the context: an end-of-text id is left out, which would be typed as many, and
    so is what is half a character.
    """
    most = min(DEFAULT_TEXT_TOKENS, opened.model.config.context_length)
    ids = max(_between_specials(opened), key=lambda some: min(len(some), most))
    if text := _read_within(opened, ids, most):
        return text
    try:
        return _read_within(opened, opened.tokenizer.encode(DEFAULT_TEXT).tolist(), most)
    except ValueError:  # an alphabet without these letters
        return _read_within(opened, list(range(min(most, opened.tokenizer.vocab_size))), most)


def _between_specials(opened: Opened) -> list[list[int]]:
    """The probe tokens in stretches without a special one."""
    special, stretches = set(opened.tokenizer.specials.values()), [list[int]()]
    for i in probe_ids(opened):
        if i in special:
            stretches.append([])
        else:
            stretches[-1].append(i)
    return stretches


def _read_within(opened: Opened, ids: list[int], most: int) -> str:
    """As much of the beginning of `ids` as is read back as `most` tokens at most, as text."""
    for n in range(min(most, len(ids)), 0, -1):
        text = opened.tokenizer.decode(ids[:n]).strip("\ufffd")
        try:
            if len(opened.tokenizer.encode(text)) <= most:
                return text
        except ValueError:  # a vocabulary without the bytes of U+FFFD
            continue
    return ""


def probe_ids(opened: Opened) -> list[int]:
    """The fixed probe tokens of a run, from data.json; none where it has none, or damaged ones."""
    return _stored_ids(opened, "probe")


def validation_pieces(opened: Opened) -> torch.Tensor:
    """The validation slice in pieces as long as the context, `[piece, pos]`; an incomplete last one is left out."""
    ids = torch.tensor(validation_ids(opened))
    length = min(opened.model.config.context_length, len(ids))
    return ids[: len(ids) // length * length].view(-1, length)


def validation_ids(opened: Opened) -> list[int]:
    """The slice of validation text in data.json. Raises `ValueError` where there is none."""
    if ids := _stored_ids(opened, "val_slice"):
        return ids
    raise ValueError(f"no validation text lies beside the weights of {opened.loaded.name!r}: its data.json has none")


def _stored_ids(opened: Opened, name: str) -> list[int]:
    run: Run | None = opened.loaded.run
    try:
        data = (run.data() if run else None) or {}
        ids = [int(i) for i in data[name]["tokens"]]
    except (ValueError, KeyError, TypeError):
        return []
    return ids if all(0 <= i < opened.tokenizer.vocab_size for i in ids) else []


def check_index(*indices: tuple[str, int | None, int]) -> None:
    """Raise `NotFoundError` for each (name, index, count) whose index is not from 0 to count - 1; None passes."""
    problems = [
        f"{name} {index}: there are {count}, from 0 to {count - 1}"
        for name, index, count in indices
        if index is not None and not 0 <= index < count
    ]
    if problems:
        raise NotFoundError("\n".join(problems))


def check_part(opened: Opened, layer: int | None, head: int | None) -> tuple[slice, slice]:
    """One layer and one head as slices, or all. Raises `NotFoundError` for one that the model lacks, and `ValueError`
    for a head without a layer.
    """
    config = opened.model.config
    check_index(("layer", layer, config.n_layers), ("head", head, config.n_heads))
    if head is not None and layer is None:
        raise ValueError(f"head {head} of which layer? Name one from 0 to {config.n_layers - 1}")
    layers, heads = (slice(None) if i is None else slice(i, i + 1) for i in (layer, head))
    return layers, heads
