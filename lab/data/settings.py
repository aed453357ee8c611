"""The settings of a run's data: which text, as which tokens, in which batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.data.bpe import SMALLEST
from lab.data.corpora import corpus_problems
from lab.data.tokencorpus import pickled_table
from lab.data.tokenizers import KINDS

MOST = {
    **dict.fromkeys(("vocab_size", "context_length", "batch_size"), (1 << 31) - 1),
    **dict.fromkeys(("tokens_per_step", "val_tokens"), (1 << 62) - 1),
}
"""What a tensor can count: a batch of such sizes is larger than any memory, and still a number."""


@dataclass(frozen=True)
class DataSettings:
    """Which text a run learns from, as which tokens, in which batches.

    Batch n is a pure function of (`seed`, n): it is what the update from step n to n+1 sees. One item of the training
    loader is one whole optimizer step.

    Args:
        corpus: `python` (the standard library's source), `text` and `tokens` (your own, see `path`), `shakespeare`,
            `tinystories`, `fineweb-edu`; or made: `markov`, `induction`, `copy`, `arithmetic`.
        path: Your text for `corpus: text`, your token files for `corpus: tokens` (`tokenizer` names their vocabulary):
            a file, a folder, a glob or a list of them. A split that the names of files tell (train-…, validation-…) is
            kept.
        tokenizer: `char`, `bytes`, `bpe` (learned from the corpus in seconds), `gpt2`, `r50k_base`, `p50k_base`,
            `cl100k_base`, `o200k_base`, or the path of a tokenizer.json (this lab's, or Hugging Face's with byte-level
            BPE).
        vocab_size: Ids of a `bpe` vocabulary; unset: 4096, or fewer where the text gives no more.
        context_length: Tokens a sequence has; unset: as many as the model has positions.
        batch_size: Sequences in one forward pass: what fits into memory. It changes no result.
        tokens_per_step: Tokens one optimizer step learns from; a multiple of batch_size · context_length, reached by
            accumulating. Unset: one forward pass.
        seed: Chooses the split, the order of the sequences, and what a made corpus is made of.
        val_fraction: Share of the text, in bytes, that is held out: whole documents, and the end of one where they
            do not make the share.
        val_tokens: Validate on so many tokens of the held-out text, in random windows of a context each that are the
            same in all runs on it; unset: on all of it (65 536 of a made corpus).
        cache_dir: Where vocabularies and token files are kept; unset: LAB_CACHE_DIR, else ~/.cache/pretraining-lab.
        data_dir: Where downloaded corpora are kept; unset: LAB_DATA_DIR, else beside the cache.
        corpus_options: What one corpus alone understands, such as `{text_key: body}` (the field of .jsonl and
            .parquet).
        repeat_first_batch: Every step learns from batch 0: its loss must go to nearly zero, or something is broken.

    Raises:
        ValueError: for settings that cannot be, all of them at once; later, for a text that is too short for one step.
    """

    corpus: str = "python"
    path: str | list[str] | None = None
    tokenizer: str = "bpe"
    vocab_size: int | None = None
    context_length: int | None = None
    batch_size: int = 16
    tokens_per_step: int | None = None
    seed: int = 1337
    val_fraction: float = 0.1
    val_tokens: int | None = None
    cache_dir: str | None = None
    data_dir: str | None = None
    corpus_options: dict[str, Any] | None = None
    repeat_first_batch: bool = False

    def __post_init__(self) -> None:
        raise_problems(self._problems() or self.step_problems())

    def _problems(self) -> list[str]:
        counts = ("vocab_size", "context_length", "batch_size", "tokens_per_step", "val_tokens")
        problems = [
            f"data.{name} is {value}: it must be at least 1"
            for name in counts
            if (value := getattr(self, name)) is not None and value < 1
        ]
        problems += [
            f"data.{name} is {value}: the most is {MOST[name]}"
            for name in counts
            if (value := getattr(self, name)) is not None and value > MOST[name]
        ]
        if not abs(self.seed) < 1 << 63:
            problems.append(f"data.seed is {self.seed}: it must be less than 2^63")
        problems += corpus_problems(self.corpus, self.path, self.val_fraction, self.corpus_options or {})
        kind = self.tokenizer
        if kind.endswith((".pkl", ".pickle")):
            problems.append(f"data.tokenizer is {kind!r}: {pickled_table(Path(kind))}")
        elif kind not in KINDS and not kind.endswith(".json"):
            problems.append(f"data.tokenizer is {kind!r}: choose one of {', '.join(KINDS)}, or a tokenizer.json")
        if kind == "bpe" and self.vocab_size in range(1, SMALLEST):
            problems.append(
                f"data.vocab_size is {self.vocab_size}: 'bpe' needs {SMALLEST} or more, for 256 bytes and the end of"
                " text"
            )
        return problems

    def step_problems(self, world_size: int = 1) -> list[str]:
        """What is wrong with the number of tokens in a step that `world_size` processes share; nothing while the
        context length is not known."""
        asked, context = self.tokens_per_step, self.context_length
        if asked is None or context is None:
            return []
        unit = self.batch_size * context * world_size
        if asked % unit == 0:
            return []
        nearest = " or ".join(str(n * unit) for n in (asked // unit, asked // unit + 1) if n)
        by = f"batch_size · context_length = {self.batch_size} · {context}"
        by += f", on {world_size} processes: {unit}" if world_size > 1 else f" = {unit}"
        return [f"data.tokens_per_step is {asked}: it must be a multiple of {by}; the nearest are {nearest}"]


def raise_problems(problems: list[str]) -> None:
    """Raise one ValueError with all `problems`, a line each, if there are any."""
    if problems:
        raise ValueError("\n".join(problems))
