"""`tokenize`: text into ids.

Characters against a Python loop, BPE against Hugging Face's fastest call on the same vocabulary, both from memory; and
200 MB of source files into token files, on one core, on all, and by `tokenizers` on all.
"""

from __future__ import annotations

import os
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lab.data.bpe import train_bpe
from lab.data.corpus import Piece
from lab.data.filecorpus import FileCorpus
from lab.data.tokenfile import open_token_files
from lab.data.tokenising import tokenised
from lab.data.vocabulary import CharTokenizer
from lab.limits import usable_cpus
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
    return rows + files_into_ids(options, vocab)


def files_into_ids(options: Options, vocab: int) -> list[Row]:
    """Reading, splitting, encoding and writing, as `fit` does it; `tokenizers` reads, encodes and writes."""
    n_bytes = 200_000 if options.quick else 200_000_000
    files, cores = source_files(n_bytes), len(usable_cpus())
    variants = [("lab, 1 core", build_lab_files, 1)]
    variants += [(f"lab, {cores} cores", build_lab_files, cores)] if cores > 1 else []
    variants += [(f"tokenizers, {cores} cores", build_tokenizers_files, cores)]
    processes = [
        TimedProcess(name, build, files, vocab, n, threads=n, environment=_threads(n)) for name, build, n in variants
    ]
    run_by_turns(processes, blocks=2 if options.quick else 5, steps=1, warm_up=1)
    return compare("tokenize", f"{len(files):,} files", processes, cores, unit=f"{n_bytes / 1e6:g} MB")


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
    """The lab's tokenizer."""
    text = Path(path).read_text(encoding="utf-8")
    if kind == "char":
        tokenizer = CharTokenizer("".join(sorted(set(text))))
        return lambda n: tokenizer.encode(text)
    parts = [Piece(part, True) for part in documents(text)]
    learned = train_bpe([text[:1_000_000]], vocab)
    return lambda n: list(tokenised(parts, learned, None, threads))


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


# ---------------------------------------------------------------- files


def source_files(n_bytes: int) -> list[str]:
    """So much Python source: the standard library's files and those of the installed packages; again if they end."""
    found: list[str] = []
    while n_bytes > 0:
        for root in (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")):
            for file in sorted(Path(root).rglob("*.py")):
                content = file.read_bytes()
                if n_bytes > 0 and content.strip() and b"\0" not in content and _is_utf8(content):
                    found.append(str(file))
                    n_bytes -= len(content)
    return found


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _first_megabyte(files: list[str]) -> str:
    return "".join(Path(file).read_text(encoding="utf-8") for file in files[:200])[:1_000_000]


def _bind(cores: int) -> None:
    """Let this process run on so many cores only."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def build_lab_files(files: list[str], vocab: int, cores: int) -> Encode:
    """The lab's token files of both splits, made anew each time."""
    _bind(cores)
    corpus = FileCorpus("files", [Path(file) for file in files])
    learned = train_bpe([_first_megabyte(files)], vocab)
    corpus.fingerprint()

    def step(_: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            open_token_files(corpus, learned, folder)

    return step


def build_tokenizers_files(files: list[str], vocab: int, cores: int) -> Encode:
    """`tokenizers` over the same files, a thousand at a time, into one file of ids."""
    _bind(cores)
    theirs = hugging_face_bpe(_first_megabyte(files), vocab)

    def step(_: int) -> None:
        with tempfile.TemporaryFile() as out:
            for first in range(0, len(files), 1000):
                texts = [Path(file).read_text(encoding="utf-8") for file in files[first : first + 1000]]
                for encoded in theirs.encode_batch_fast(texts):
                    out.write(np.array(encoded.ids, dtype=np.uint16).data)

    return step
