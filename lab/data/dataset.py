"""The data of a run, without Lightning: corpus → tokenizer → token files → batches, and the facts of them.

Cheap to construct: settings are checked, nothing is read. The corpus is opened, the vocabulary learned and the text
tokenised when they are first needed, and kept in the cache.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from lab.data.baselines import synthetic_baselines, text_baselines
from lab.data.batches import Sequences, SyntheticSequences, TextSequences, sequences_per_epoch, step_batch
from lab.data.cache import kept
from lab.data.corpora import open_corpus
from lab.data.corpus import Split
from lab.data.settings import DataSettings, raise_problems
from lab.data.tokencorpus import TokenCorpus, TokenSpan
from lab.data.tokenfile import TokenFile, open_token_files, token_folder
from lab.data.tokenizers import Tokenizer, make_tokenizer
from lab.data.vocabulary import CharTokenizer

Batch = tuple[Tensor, Tensor]
SYNTHETIC_VAL_TOKENS = 1 << 16  # of a made corpus where val_tokens is unset: the loss is within 0.3 % of its mean
SLICE_BYTES = 20_000  # of validation text in data.json
_FEW_TOKENS_PER_ID = 20  # training tokens per id of the vocabulary; with fewer there is a warning


class LabData:
    """The data that `DataSettings` describe, whose arguments it takes."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = DataSettings(**settings)
        self.begin = (0, 0)
        """From which step on these settings hold, and which sequence is the first that it reads."""
        self.val_part: np.ndarray | None = None
        """The numbers of the validation sequences that are read at present; None: all, the whole split."""

    @property
    def context_length(self) -> int:
        """Tokens a sequence has. Raises `ValueError` where it is not set."""
        if self.settings.context_length is None:
            raise ValueError("data.context_length is not set: give it, or let the model's context_length decide")
        return self.settings.context_length

    @property
    def batch_size(self) -> int:
        """Sequences in one forward pass."""
        return self.settings.batch_size

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
        return self.settings.tokens_per_step or self.batch_size * self.context_length * self.world_size

    @property
    def sequences_per_step(self) -> int:
        """Sequences of one optimizer step, over all processes."""
        return self.tokens_per_step // self.context_length

    @property
    def accumulation(self) -> int:
        """Forward and backward passes one process makes in a step."""
        return self.sequences_per_step // (self.batch_size * self.world_size)

    # ---------------------------------------------------------------- text and tokens, opened when first needed

    @cached_property
    def corpus(self) -> Any:
        """The open corpus. Raises `ValueError` for what cannot be read or fetched."""
        asked = self.settings
        return open_corpus(
            asked.corpus,
            asked.path,
            val_fraction=asked.val_fraction,
            seed=asked.seed,
            data_dir=asked.data_dir,
            **(asked.corpus_options or {}),
        )

    @property
    def _synthetic(self) -> bool:
        return hasattr(self.corpus, "sequences")

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The vocabulary, learned if need be. A made corpus has its own: its symbols."""
        kind, vocab_size = self.settings.tokenizer, self.settings.vocab_size
        if isinstance(self.corpus, TokenCorpus):
            return make_tokenizer(self.corpus.vocabulary(kind), None, vocab_size, self.settings.cache_dir)
        if not self._synthetic:
            return make_tokenizer(kind, self.corpus, vocab_size, self.settings.cache_dir)
        symbols = CharTokenizer(self.corpus.alphabet)
        if kind not in ("bpe", "char"):  # the default, and what it is
            problem = f"data.tokenizer is {kind!r}: leave it out"
        elif vocab_size not in (None, symbols.vocab_size):
            problem = f"data.vocab_size is {vocab_size}: leave it out"
        else:
            return symbols
        name = self.settings.corpus
        raise ValueError(f"{problem}, the made corpus '{name}' has its own {symbols.vocab_size} symbols")

    @property
    def vocab_size(self) -> int:
        """Ids of the vocabulary: what the model's output is as wide as."""
        return self.tokenizer.vocab_size

    @cached_property
    def token_files(self) -> Mapping[Split, TokenFile | TokenSpan]:
        """Both splits as ids on disk, tokenised if need be."""
        if isinstance(self.corpus, TokenCorpus):
            return self.corpus.spans(self.tokenizer, self.settings.cache_dir)
        return open_token_files(self.corpus, self.tokenizer, self.settings.cache_dir)

    def prepare(self) -> None:
        """Download, learn the vocabulary, tokenise: do all that takes time."""
        if not self._synthetic:
            _ = self.token_files

    def check_step(self) -> None:
        """Raise `ValueError` unless the tokens of a step divide among the processes that share it."""
        raise_problems(self.settings.step_problems(self.world_size))

    @cached_property
    def sequences(self) -> Sequences:
        """The source of all batches.

        Raises `ValueError` for a text too short for one step, or for one validation sequence.
        """
        context = self.context_length
        if self._synthetic:
            n_val = math.ceil((self.settings.val_tokens or SYNTHETIC_VAL_TOKENS) / context)
            return SyntheticSequences(self.corpus.sequences, context, n_val)
        self._check_lengths()
        train, val = self.token_files["train"], self.token_files["val"]
        # The held-out text itself chooses the windows: runs of other seeds are validated on the same ones.
        key = val.checksum ^ val.tokens << 32
        seed, most = self.settings.seed, self.settings.val_tokens
        return TextSequences(train.array(), val.array(), context, seed, val_tokens=most, val_key=key)

    def _check_lengths(self) -> None:
        context, need = self.context_length, self.sequences_per_step
        train, val = self.token_files["train"].tokens, self.token_files["val"].tokens
        problems = []
        if (fits := sequences_per_epoch(train, context)) < need:
            problems.append(
                f"the training text of '{self.settings.corpus}' is shorter than one step: its {train} tokens make"
                f" {fits} sequences of {context}, a step takes {need}; add text, or lower"
                f" data.context_length, data.batch_size or data.tokens_per_step"
            )
        if val < context + 1:
            problems.append(
                f"the validation text of '{self.settings.corpus}' is shorter than one sequence: it has {val}"
                f" tokens, {context + 1} are needed; add text, raise data.val_fraction"
                f" (now {self.settings.val_fraction}), or lower data.context_length"
            )
        raise_problems(problems)
        if train < _FEW_TOKENS_PER_ID * self.vocab_size:
            warnings.warn(
                f"{train} training tokens for a vocabulary of {self.vocab_size}: most ids will hardly be"
                f" seen; a smaller one learns more (data.tokenizer: bpe with data.vocab_size, or char)",
                stacklevel=2,
            )

    # ---------------------------------------------------------------- batches

    def step_batch(self, step: int) -> Batch:
        """What this process reads in the update from `step` to `step + 1`.

        (tokens, targets), int64 `[accumulation, batch_size, context_length]`; a target of -1 does not count. Raises
        `ValueError` for a step before the first that these settings hold for.
        """
        return self._read(step, self.batch_size, self.rank, self.world_size)

    def sequence_at(self, step: int) -> int:
        """Number of the first sequence of the update from `step` to `step + 1`."""
        return self.begin[1] + (step - self.begin[0]) * self.sequences_per_step

    def _read(self, step: int, batch_size: int, rank: int = 0, world_size: int = 1) -> Batch:
        first_step, start = (0, 0) if self.settings.repeat_first_batch else self.begin
        if 0 <= step < first_step:
            raise ValueError(f"step {step} learned under other settings: these hold from step {first_step} on")
        step = min(step, 0) if self.settings.repeat_first_batch else step - first_step
        return step_batch(self.sequences, step, self.sequences_per_step, batch_size, rank, world_size, start=start)

    def batch_text(self, step: int) -> list[str]:
        """The text of every sequence of a step, over all processes, its last target included."""
        tokens, targets = self._read(step, self.sequences_per_step)
        last = targets[0, :, -1].tolist()
        return [
            self.tokenizer.decode([*ids, *([end] if end >= 0 else [])])
            for ids, end in zip(tokens[0].tolist(), last, strict=True)
        ]

    def epochs_seen(self, step: int) -> float | None:
        """How often the text was read in `step` steps; none for a made corpus, which never repeats."""
        per_epoch = self.sequences.per_epoch
        return None if per_epoch is None else self.sequence_at(step) / per_epoch

    # ---------------------------------------------------------------- facts

    def differs_from(self, facts: Mapping[str, Any]) -> str | None:
        """Why this is not the text, split in two, that `facts` (a run's data.json) tell of; None where it is.

        A run that was split by an earlier version is the same where both ways give the same: one ASCII document.
        """
        corpus = facts.get("corpus")
        was = corpus.get("fingerprint") if isinstance(corpus, Mapping) else None
        if was in (None, self.corpus.fingerprint()):
            return None
        earlier = getattr(self.corpus, "fingerprint_by_number", None)
        if earlier is None or was != earlier():
            return "its fingerprint differs"
        now = {split: [file.tokens, file.bytes] for split, file in self.token_files.items()}
        then = {split: [of.get("tokens"), of.get("bytes")] for split, of in (facts.get("splits") or {}).items()}
        begins = (facts.get("val_slice") or {}).get("tokens") or []
        if now == then and self.sequences.val_stream(len(begins)).tolist() == begins:
            return None
        return "an earlier version of the lab split it, by number of documents or characters; now it is split by bytes"

    def _val_pairs(self, rows: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The tokens that validation predicts, each with the one before it, in chunks; `rows`: of these sequences."""
        rows = np.arange(self.sequences.n_val) if rows is None else rows
        for start in range(0, len(rows), 1024):
            tokens, targets = self.sequences.val_rows(rows[start : start + 1024])
            yield tokens[targets >= 0], targets[targets >= 0]

    def val_counts(self, rows: np.ndarray | None = None) -> tuple[int, int]:
        """(targets, their bytes) of the validation split, or of its sequences with these numbers."""
        return self._val_counts if rows is None else self._count(rows)

    @cached_property
    def _val_counts(self) -> tuple[int, int]:
        return self._count(None)

    def _count(self, rows: np.ndarray | None) -> tuple[int, int]:
        tokens = n_bytes = 0
        for _, targets in self._val_pairs(rows):
            tokens += len(targets)
            n_bytes += int(self.tokenizer.byte_lengths[targets].sum())
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
        if self._synthetic:
            return synthetic_baselines(self.sequences, lengths, self.corpus.entropy)
        folder = token_folder(self.corpus, self.tokenizer, self.settings.cache_dir)
        train, val = self.token_files["train"].array(), self.token_files["val"].array()
        part = f"{self.settings.val_tokens}-{self.context_length}" if self._val_windows else "all"
        return kept(
            folder / f"baselines-4-{part}.json",
            lambda: text_baselines(
                train, val, lengths, self.tokenizer.decode_bytes, self._val_pairs if self._val_windows else None
            ),
        )

    @property
    def _val_windows(self) -> int | None:
        """How many random windows of the held-out text are validated on; None where it is all of it."""
        windows = getattr(self.sequences, "windows", None)
        return None if windows is None else len(windows)

    def facts(self) -> dict[str, Any]:
        """The facts of the data for data.json: plain JSON values only."""
        splits = {}
        if not self._synthetic:
            splits = {
                split: {"tokens": f.tokens, "bytes": f.bytes, "documents": f.documents}
                for split, f in self.token_files.items()
            }
        per_epoch = self.sequences.per_epoch
        tokens, n_bytes = self._val_counts
        reference = self.sequences.val_stream(2 * self.context_length)
        excerpt = self.sequences.val_stream(SLICE_BYTES)
        lengths = np.cumsum(self.tokenizer.byte_lengths[excerpt])
        excerpt = excerpt[: int(np.searchsorted(lengths, SLICE_BYTES, side="right"))]
        return {
            "corpus": {
                "name": self.settings.corpus,
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
            "validation": {
                "tokens": tokens,
                "bytes": n_bytes,
                "sequences": self.sequences.n_val,
                **({"random_windows": self._val_windows} if self._val_windows else {}),
            },
            "bytes_per_token": self.val_bytes_per_token,
            "context_length": self.context_length,
            "tokens_per_step": self.tokens_per_step,
            "sequences_per_step": self.sequences_per_step,
            "sequences_per_epoch": per_epoch,
            "steps_per_epoch": None if per_epoch is None else per_epoch / self.sequences_per_step,
            "seed": self.settings.seed,
            "baselines": self.baselines,
            "probe": {"text": self.tokenizer.decode(reference), "tokens": reference.tolist()},
            "val_slice": {"text": self.tokenizer.decode(excerpt), "tokens": excerpt.tolist()},
        }
