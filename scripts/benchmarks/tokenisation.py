"""`tokenize`: characters against a Python loop, BPE against Hugging Face's fastest call on the same vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from lab.data.bpe import train_bpe
from lab.data.vocabulary import CharTokenizer
from scripts.benchmarks.measure import Options, Row, TimedProcess, compare, run_by_turns
from scripts.benchmarks.workloads import library_text

Encode = Callable[[int], object]


def run(options: Options) -> list[Row]:
    """Megabytes of text into ids. Both BPE encoders are given the same documents and yield the same ids."""
    n_characters, vocab = (20_000, 300) if options.quick else (8_000_000, 4096)
    text = str(library_text(n_characters))
    rows = []
    for threads in options.threads:
        for kind, baseline in (("char", build_loop), ("bpe", build_tokenizers)):
            processes = [
                TimedProcess(name, build, text, kind, vocab, threads, threads=threads, environment=_threads(threads))
                for name, build in (("python loop" if kind == "char" else "tokenizers", baseline), ("lab", build_lab))
            ]
            run_by_turns(processes, blocks=2 if options.quick else 5, steps=1, warm_up=1)
            rows += compare("tokenize", kind, processes, threads, unit=f"{n_characters / 1e6:g} MB")
    return rows


def _threads(n: int) -> dict[str, str]:
    return {"RAYON_NUM_THREADS": str(n), "TOKENIZERS_PARALLELISM": "true" if n > 1 else "false"}


def documents(text: str) -> list[str]:
    """The text in paragraphs of about 4 KB: a corpus of documents."""
    return [text[i : i + 4096] for i in range(0, len(text), 4096)]


def build_loop(path: str, kind: str, vocab: int, threads: int) -> Encode:
    """A dictionary and a comprehension, as a first tokenizer is written."""
    text = Path(path).read_text(encoding="utf-8")
    ids = {c: i for i, c in enumerate(sorted(set(text)))}
    return lambda n: np.array([ids[c] for c in text], dtype=np.uint16)


def build_lab(path: str, kind: str, vocab: int, threads: int) -> Encode:
    """The lab's tokenizer, whose threads follow OMP_NUM_THREADS."""
    text = Path(path).read_text(encoding="utf-8")
    if kind == "char":
        tokenizer = CharTokenizer("".join(sorted(set(text))))
        return lambda n: tokenizer.encode(text)
    parts, learned = documents(text), train_bpe([text[:1_000_000]], vocab)
    return lambda n: learned.encode_batch(parts)


def build_tokenizers(path: str, kind: str, vocab: int, threads: int) -> Encode:
    """Hugging Face's `encode_batch_fast` with the lab's vocabulary."""
    text = Path(path).read_text(encoding="utf-8")
    parts = documents(text)
    theirs = hugging_face_bpe(text[:1_000_000], vocab)
    return lambda n: theirs.encode_batch_fast(parts)


def hugging_face_bpe(text: str, vocab: int):  # type: ignore[no-untyped-def]
    """A `tokenizers.Tokenizer` trained as the lab trains its own."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab - 1, min_frequency=2, show_progress=False, initial_alphabet=alphabet)
    learner.train_from_iterator([text], trainer)
    return learner
