"""The data of a run: corpus → tokenizer → token files → batches, and what is known of them. Knows no
Lightning.

Cheap to construct: settings are checked, nothing is read. The corpus is opened, the vocabulary learned and
the text tokenised when they are first needed, and kept in the cache.
"""

from __future__ import annotations

import difflib
import math
import warnings
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from lab.data.baselines import kept, made_baselines, text_baselines
from lab.data.batches import MadeSequences, Sequences, TextSequences, sequences_per_epoch, step_batch
from lab.data.bpe import SMALLEST
from lab.data.corpora import CORPORA, corpus_problems, open_corpus
from lab.data.tokenfile import Split, TokenFile, open_token_files, token_folder
from lab.data.tokenizers import KINDS, Tokenizer, make_tokenizer
from lab.data.vocabulary import CharTokenizer

Batch = tuple[Tensor, Tensor]
# Of a made corpus, unless val_tokens says otherwise: enough that the loss is within 0.3 % of its mean.
MADE_VAL_TOKENS = 1 << 16
SLICE_BYTES = 20_000
_FEW_TOKENS_PER_ID = 20


class LabData:
    """Which text a run learns from, as which tokens, in which batches.

    Batch n is a pure function of (`seed`, n): it is what the update from step n to n+1 sees. One item of
    the training loader is one whole optimizer step.

    Args:
        corpus: `python` (the standard library's source), `text` (your own, see `path`), `shakespeare`,
            `tinystories`, `fineweb-edu`; or made: `markov`, `induction`, `copy`, `arithmetic`.
        path: Your text for `corpus: text`: a file, a folder, a glob or a list of them.
        tokenizer: `char`, `bytes`, `bpe` (learned from the corpus in seconds), `gpt2`, `r50k_base`,
            `p50k_base`, `cl100k_base`, `o200k_base`, or the path of a tokenizer.json.
        vocab_size: Ids of a `bpe` vocabulary; unset: 4096, or fewer where the text gives no more.
        context_length: Tokens a sequence has; unset: as many as the model has positions.
        batch_size: Sequences in one forward pass: what fits into memory. It changes no result.
        tokens_per_step: Tokens one optimizer step learns from; a multiple of batch_size · context_length,
            reached by accumulating. Unset: one forward pass.
        seed: Chooses the split, the order of the sequences, and what a made corpus is made of.
        val_fraction: Share of the text that is held out.
        val_tokens: Validate on the first so many tokens of the held-out text; unset: on all of it (65 536 of
            a made corpus).
        cache_dir: Where vocabularies and token files are kept; unset: LAB_CACHE_DIR, else
            ~/.cache/pretraining-lab.
        data_dir: Where downloaded corpora are kept; unset: LAB_DATA_DIR, else beside the cache.
        corpus_options: What one corpus alone understands, such as `{text_key: body}` (the field of .jsonl
            and .parquet).
        repeat_first_batch: Every step learns from batch 0: its loss must go to nearly zero, or something is broken.

    Raises:
        ValueError: for settings that cannot be, all of them at once; later, for a text that is too short
            for one step.
    """

    def __init__(
        self,
        corpus: str = "python",
        path: str | list[str] | None = None,
        tokenizer: str = "bpe",
        vocab_size: int | None = None,
        context_length: int | None = None,
        batch_size: int = 16,
        tokens_per_step: int | None = None,
        seed: int = 1337,
        val_fraction: float = 0.1,
        val_tokens: int | None = None,
        cache_dir: str | None = None,
        data_dir: str | None = None,
        corpus_options: dict[str, Any] | None = None,
        repeat_first_batch: bool = False,
    ) -> None:
        super().__init__()
        self.corpus_name, self.path = corpus, path
        self.tokenizer_kind, self._asked_vocab_size = tokenizer, vocab_size
        self._context_length = context_length
        self.batch_size = batch_size
        self._asked_tokens_per_step = tokens_per_step
        self.seed, self.val_fraction, self.val_tokens = seed, val_fraction, val_tokens
        self.cache_dir, self.data_dir = cache_dir, data_dir
        self.corpus_options = dict(corpus_options or {})
        self.repeat_first_batch = repeat_first_batch
        self._sequences: Sequences | None = None
        _raise(self._problems())

    # ---------------------------------------------------------------- settings

    def _problems(self) -> list[str]:
        problems = [
            f"data.{name} is {value}: it must be at least 1"
            for name, value in (
                ("vocab_size", self._asked_vocab_size),
                ("context_length", self._context_length),
                ("batch_size", self.batch_size),
                ("tokens_per_step", self._asked_tokens_per_step),
                ("val_tokens", self.val_tokens),
            )
            if value is not None and value < 1
        ]
        if not abs(self.seed) < 1 << 63:
            problems.append(f"data.seed is {self.seed}: it must be less than 2^63")
        if self.corpus_name in CORPORA:
            problems += corpus_problems(self.corpus_name, self.path, self.val_fraction, self.corpus_options)
        else:
            close = difflib.get_close_matches(self.corpus_name, CORPORA, 1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            problems.append(f"data.corpus is {self.corpus_name!r}: {hint}there are {', '.join(CORPORA)}")
        kind = self.tokenizer_kind
        if kind not in KINDS and not kind.endswith(".json"):
            problems.append(f"data.tokenizer is {kind!r}: choose one of {', '.join(KINDS)}, or a tokenizer.json")
        if kind == "bpe" and self._asked_vocab_size in range(1, SMALLEST):
            problems.append(
                f"data.vocab_size is {self._asked_vocab_size}: 'bpe' needs {SMALLEST} or more, for 256 bytes"
                f" and the end of text"
            )
        return problems or self._step_problems()

    def _step_problems(self, world_size: int = 1) -> list[str]:
        """What is wrong with the number of tokens in a step, once the context length is known."""
        asked, context = self._asked_tokens_per_step, self._context_length
        if asked is None or context is None:
            return []
        unit = self.batch_size * context * world_size
        if asked % unit == 0:
            return []
        nearest = " or ".join(str(n * unit) for n in (asked // unit, asked // unit + 1) if n)
        by = f"batch_size · context_length = {self.batch_size} · {context}"
        by += f", on {world_size} processes: {unit}" if world_size > 1 else f" = {unit}"
        return [f"data.tokens_per_step is {asked}: it must be a multiple of {by}; the nearest are {nearest}"]

    @property
    def context_length(self) -> int:
        """Tokens a sequence has. Raises `ValueError` while nobody has set it."""
        if self._context_length is None:
            raise ValueError("data.context_length is not set: give it, or let the model's context_length decide")
        return self._context_length

    @context_length.setter
    def context_length(self, value: int) -> None:
        self._context_length = value
        self._sequences = None
        self.__dict__.pop("_val_counts", None)
        self.__dict__.pop("baselines", None)
        _raise(self._problems())

    @property
    def world_size(self) -> int:
        """Processes that share a step."""
        return 1

    @property
    def rank(self) -> int:
        """Which of them this is."""
        return 0

    @property
    def tokens_per_step(self) -> int:
        """Tokens one optimizer step learns from, over all processes."""
        return self._asked_tokens_per_step or self.batch_size * self.context_length * self.world_size

    @property
    def sequences_per_step(self) -> int:
        """Sequences of one optimizer step, over all processes."""
        return self.tokens_per_step // self.context_length

    @property
    def accumulation(self) -> int:
        """Forward and backward passes one process makes in a step."""
        return self.sequences_per_step // (self.batch_size * self.world_size)

    # ---------------------------------------------------------------- text and tokens, made when first needed

    @cached_property
    def corpus(self) -> Any:
        """The open corpus. Raises `ValueError` for what cannot be read or fetched."""
        return open_corpus(
            self.corpus_name,
            self.path,
            val_fraction=self.val_fraction,
            seed=self.seed,
            data_dir=self.data_dir,
            **self.corpus_options,
        )

    @property
    def _made(self) -> bool:
        return hasattr(self.corpus, "sequences")

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The vocabulary, learned if need be. A made corpus has its own: its symbols."""
        if self._made:
            return self._own_symbols()
        return make_tokenizer(self.tokenizer_kind, self.corpus, self._asked_vocab_size, self.cache_dir)

    def _own_symbols(self) -> Tokenizer:
        symbols = CharTokenizer(self.corpus.alphabet)
        if self.tokenizer_kind not in ("bpe", "char"):  # the default, and what it is
            problem = f"data.tokenizer is {self.tokenizer_kind!r}: leave it out"
        elif self._asked_vocab_size not in (None, symbols.vocab_size):
            problem = f"data.vocab_size is {self._asked_vocab_size}: leave it out"
        else:
            return symbols
        raise ValueError(f"{problem}, the made corpus '{self.corpus_name}' has its own {symbols.vocab_size} symbols")

    @property
    def vocab_size(self) -> int:
        """Ids of the vocabulary: what the model's output is as wide as."""
        return self.tokenizer.vocab_size

    @cached_property
    def token_files(self) -> dict[Split, TokenFile]:
        """Both splits as ids on disk, tokenised if need be."""
        return open_token_files(self.corpus, self.tokenizer, self.cache_dir)

    def prepare(self) -> None:
        """Download, learn the vocabulary, tokenise: all that takes time is done after this."""
        if not self._made:
            _ = self.token_files

    def check_step(self) -> None:
        """Raise `ValueError` unless the tokens of a step divide among the processes that share it."""
        _raise(self._step_problems(self.world_size))

    @property
    def sequences(self) -> Sequences:
        """The source of all batches.

        Raises `ValueError` for a text too short for one step, or for one validation sequence.
        """
        if self._sequences is None:
            self._sequences = self._open_sequences()
        return self._sequences

    def _open_sequences(self) -> Sequences:
        context = self.context_length
        if self._made:
            n_val = math.ceil((self.val_tokens or MADE_VAL_TOKENS) / context)
            return MadeSequences(self.corpus.sequences, context, n_val)
        self._check_lengths()
        return TextSequences(self.token_files["train"].array(), self._val_array(), context, self.seed)

    def _val_array(self) -> np.ndarray:
        return self.token_files["val"].array()[: None if self.val_tokens is None else self.val_tokens + 1]

    def _check_lengths(self) -> None:
        context, need = self.context_length, self.sequences_per_step
        train, val = self.token_files["train"].tokens, self.token_files["val"].tokens
        problems = []
        if (fits := sequences_per_epoch(train, context)) < need:
            problems.append(
                f"the training text of '{self.corpus_name}' is shorter than one step: its {train} tokens make"
                f" {fits} sequences of {context}, a step takes {need}; add text, or lower"
                f" data.context_length, data.batch_size or data.tokens_per_step"
            )
        if val < context + 1:
            problems.append(
                f"the validation text of '{self.corpus_name}' is shorter than one sequence: it has {val}"
                f" tokens, {context + 1} are needed; add text, raise data.val_fraction"
                f" (now {self.val_fraction}), or lower data.context_length"
            )
        _raise(problems)
        if train < _FEW_TOKENS_PER_ID * self.vocab_size:
            warnings.warn(
                f"{train} training tokens for a vocabulary of {self.vocab_size}: most ids will hardly be"
                f" seen; a smaller one learns more (data.tokenizer: bpe with data.vocab_size, or char)",
                stacklevel=2,
            )

    # ---------------------------------------------------------------- what a step saw

    def step_batch(self, step: int) -> Batch:
        """What this process sees in the update from `step` to `step + 1`.

        (tokens, targets), int64 `[accumulation, batch_size, context_length]`; a target of -1 does not count.
        Raises `ValueError` for a negative step.
        """
        share = (self.rank, self.world_size)
        return step_batch(self.sequences, self._batch_of(step), self.sequences_per_step, self.batch_size, *share)

    def _batch_of(self, step: int) -> int:
        return min(step, 0) if self.repeat_first_batch else step

    def batch_text(self, step: int) -> list[str]:
        """The text of every sequence of a step, over all processes, its last target included."""
        per_step = self.sequences_per_step
        tokens, targets = step_batch(self.sequences, self._batch_of(step), per_step, per_step)
        last = targets[0, :, -1].tolist()
        return [
            self.tokenizer.decode([*ids, *([end] if end >= 0 else [])])
            for ids, end in zip(tokens[0].tolist(), last, strict=True)
        ]

    def epochs_seen(self, step: int) -> float | None:
        """How often the text was read in `step` steps; none for a made corpus, which never repeats."""
        per_epoch = self.sequences.per_epoch
        return None if per_epoch is None else step * self.sequences_per_step / per_epoch

    # ---------------------------------------------------------------- what is known of the data

    @cached_property
    def _val_counts(self) -> tuple[int, int]:
        """(targets, their bytes) of the validation split."""
        tokens = n_bytes = 0
        for start in range(0, self.sequences.n_val, 1024):
            _, targets = self.sequences.val(start, min(start + 1024, self.sequences.n_val))
            counted = targets[targets >= 0]
            tokens += len(counted)
            n_bytes += int(self.tokenizer.byte_lengths[counted].sum())
        return tokens, n_bytes

    @property
    def val_bytes(self) -> int:
        """Bytes of the text that validation predicts: its nats, over ln 2, over this are bits per byte."""
        return self._val_counts[1]

    @property
    def val_bytes_per_token(self) -> float:
        """Bytes per predicted validation token: bits per byte = nats per token / ln 2 / this."""
        tokens, n_bytes = self._val_counts
        return n_bytes / tokens

    @cached_property
    def baselines(self) -> dict[str, Any]:
        """`{"nats_per_token": {…}, "bits_per_byte": {…}, "windows": …, "method": {…}}`; see `lab.data.baselines`."""
        lengths = self.tokenizer.byte_lengths
        if self._made:
            return made_baselines(self.sequences, lengths, self.corpus.entropy)
        folder = token_folder(self.corpus, self.tokenizer, self.cache_dir)
        train, val = self.token_files["train"].array(), self._val_array()
        return kept(
            folder / f"baselines-2-{self.val_tokens or 'all'}.json",
            lambda: text_baselines(train, val, lengths, self.tokenizer.decode_bytes),
        )

    def facts(self) -> dict[str, Any]:
        """What is known of the data before training, for data.json: plain JSON values only."""
        splits = {}
        if not self._made:
            splits = {
                split: {"tokens": f.tokens, "bytes": f.bytes, "documents": f.documents}
                for split, f in self.token_files.items()
            }
        per_epoch = self.sequences.per_epoch
        tokens, n_bytes = self._val_counts
        probe = self.sequences.val_stream(2 * self.context_length)
        excerpt = self.sequences.val_stream(SLICE_BYTES)
        lengths = np.cumsum(self.tokenizer.byte_lengths[excerpt])
        excerpt = excerpt[: int(np.searchsorted(lengths, SLICE_BYTES, side="right"))]
        return {
            "corpus": {
                "name": self.corpus_name,
                "fingerprint": self.corpus.fingerprint(),
                **self.corpus.describe(),
            },
            "tokenizer": {
                "name": self.tokenizer.name,
                "kind": self.tokenizer.kind,
                "vocab_size": self.vocab_size,
                "eot_id": self.tokenizer.eot_id,
                "fingerprint": self.tokenizer.fingerprint,
            },
            "vocab_size": self.vocab_size,
            "splits": splits,
            "validation": {"tokens": tokens, "bytes": n_bytes, "sequences": self.sequences.n_val},
            "bytes_per_token": self.val_bytes_per_token,
            "context_length": self.context_length,
            "tokens_per_step": self.tokens_per_step,
            "sequences_per_step": self.sequences_per_step,
            "sequences_per_epoch": per_epoch,
            "steps_per_epoch": None if per_epoch is None else per_epoch / self.sequences_per_step,
            "seed": self.seed,
            "baselines": self.baselines,
            "probe": {"text": self.tokenizer.decode(probe), "tokens": probe.tolist()},
            "val_slice": {"text": self.tokenizer.decode(excerpt), "tokens": excerpt.tolist()},
        }


def _raise(problems: list[str]) -> None:
    if problems:
        raise ValueError("\n".join(problems))
