"""Measure that memory does not grow with the corpus: tokenise and train on a large text and on a small one.

    python scripts/memory.py --size-mb 1000

Measured is anonymous memory (RssAnon in /proc/PID/status): the token files are memory-mapped, and pages of a file can
be dropped at any time. The text is made up: words of syllables, as frequent as words (Zipf's law), in documents of
about 2 kB, so that a BPE vocabulary is learned and used as on real text. Linux only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SMALL_MB = 10
ALLOWED_MB = 300  # between the two peaks
SAMPLE_SECONDS = 0.02
N_WORDS = 50_000
WORDS_PER_DOCUMENT = 350
BLOCK_WORDS = 1000 * WORDS_PER_DOCUMENT
PROC = Path("/proc")


@dataclass(frozen=True)
class Peak:
    """Highest anonymous memory of one fit, in MB (10⁶ bytes), before its first step and after, and its seconds."""

    preparing: float
    training: float
    seconds: float

    @property
    def highest(self) -> float:
        """Of the whole fit."""
        return max(self.preparing, self.training)

    def __str__(self) -> str:
        parts = f"{self.preparing:.0f} preparing, {self.training:.0f} training; {self.seconds:.0f} s"
        return f"{self.highest:6.0f} MB ({parts})"


def make_words(rng: np.random.Generator, n: int = N_WORDS) -> list[str]:
    """`n` words of one to four syllables."""
    onsets, vowels = [*"bcdfghklmnprstvw", "st", "tr", "ch", "sh"], ["a", "e", "i", "o", "u", "ea", "ou"]
    syllables = [onset + vowel for onset in onsets for vowel in vowels]
    drawn = rng.integers(len(syllables), size=(4 * n, 4)).tolist()
    lengths = rng.integers(1, 5, size=4 * n).tolist()
    words = {"".join(syllables[i] for i in row[:length]): None for row, length in zip(drawn, lengths, strict=True)}
    return sorted(list(words)[:n], key=len)


def write_text(path: Path, megabytes: float, seed: int = 0) -> Path:
    """Stream documents of made-up words to `path`; the k-th word is drawn in proportion to 1/k."""
    rng = np.random.default_rng(seed)
    words = np.array(make_words(rng), dtype=object)
    upto = np.cumsum(1 / np.arange(1, len(words) + 1))
    left = int(megabytes * 1e6)
    with open(path, "w", encoding="ascii") as file:
        while left > 0:
            drawn = words[np.searchsorted(upto, rng.random(BLOCK_WORDS) * upto[-1])].tolist()
            documents = (drawn[i : i + WORDS_PER_DOCUMENT] for i in range(0, BLOCK_WORDS, WORDS_PER_DOCUMENT))
            block = "\n<|endoftext|>\n".join(map(" ".join, documents))[:left]
            file.write(block + "\n<|endoftext|>\n")
            left -= len(block)
    return path


def fit_arguments(text: Path, folder: Path, *, tokenizer: str, steps: int, val_tokens: int) -> list[str]:
    """A fit of a tiny model, with all of the preparation and a validation at its end."""
    settings = {
        "run.root": folder / "runs",
        "run.name": "memory",
        "model.config.n_layers": 1,
        "model.config.n_heads": 2,
        "model.config.d_model": 32,
        "model.config.context_length": 64,
        "data.corpus": "text",
        "data.path": text,
        "data.tokenizer": tokenizer,
        "data.cache_dir": folder / "cache",
        "data.val_tokens": val_tokens,
        "horizon.steps": steps,
        "validation.every": steps,
        "validation.at_start": "false",
        "trainer.accelerator": "cpu",
    }
    return [f"--{name}={value}" for name, value in settings.items()]


def anonymous_mb(pid: int) -> float:
    """Anonymous resident memory of a process in MB; 0 when it has ended."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((1024 * int(line.split()[1]) / 1e6 for line in lines if line.startswith("RssAnon:")), 0.0)


def measure(text: Path, folder: Path, *, tokenizer: str = "bpe", steps: int = 200, val_tokens: int = 3_000_000) -> Peak:
    """Run a fit in a process of its own and measure its memory. Raises `RuntimeError` when it fails."""
    folder.mkdir(parents=True)
    arguments = fit_arguments(text, folder, tokenizer=tokenizer, steps=steps, val_tokens=val_tokens)
    # Nothing of the caller's cache: token files that exist already would hide the work.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LAB_CACHE_DIR": str(folder / "cache")}
    began = time.monotonic()
    with open(folder / "output.txt", "w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab", "fit", *arguments], stdout=output, stderr=output, env=environment
        )
        preparing = training = 0.0
        started = folder / "runs" / "memory" / "run.json"
        while process.poll() is None:
            now = anonymous_mb(process.pid)
            if training or started.exists():
                training = max(training, now)
            else:
                preparing = max(preparing, now)
            time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        raise RuntimeError(f"the fit on {text.name} failed:\n{(folder / 'output.txt').read_text()[-2000:]}")
    return Peak(preparing, training, time.monotonic() - began)


def compare(folder: Path, small_mb: float, large_mb: float, **settings: int | str) -> tuple[Peak, Peak]:
    """The peaks of a fit on a small and on a large text; prints each as it is known, and deletes its files."""
    peaks = []
    for name, size in (("small", small_mb), ("large", large_mb)):
        text = write_text(folder / f"{name}.txt", size)
        peaks.append(measure(text, folder / name, **settings))  # type: ignore[arg-type]
        print(f"{size:7,.0f} MB of text: {peaks[-1]}", flush=True)
        text.unlink()
        shutil.rmtree(folder / name)
    return peaks[0], peaks[1]


def main() -> int:
    """Print both peaks and the verdict; 0 when they differ by at most ALLOWED_MB."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-mb", type=float, default=1000, help="the large text (default: 1000)")
    parser.add_argument("--small-mb", type=float, default=SMALL_MB, help=f"the small text (default: {SMALL_MB})")
    parser.add_argument("--tokenizer", default="bpe", help="bpe, char, bytes or gpt2 (default: bpe)")
    parser.add_argument("--steps", type=int, default=200, help="optimizer steps (default: 200)")
    parser.add_argument("--folder", help="where to put the texts, of about three times --size-mb (default: temporary)")
    given = parser.parse_args()
    if not (PROC / "self" / "status").exists():
        parser.error("anonymous memory is read from /proc, which this system does not have")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        small, large = compare(
            Path(folder), given.small_mb, given.size_mb, tokenizer=given.tokenizer, steps=given.steps
        )
    more = large.highest - small.highest
    print(f"{more:+.0f} MB, {'within' if more <= ALLOWED_MB else 'NOT within'} the {ALLOWED_MB} MB allowed")
    return 0 if more <= ALLOWED_MB else 1


if __name__ == "__main__":
    sys.exit(main())
