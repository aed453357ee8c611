"""The short form of scripts/memory.py: eleven times the text, and no more memory than a fraction of the difference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.memory import PROC, anonymous_mb, compare, write_text

pytestmark = pytest.mark.skipif(
    not (PROC / "self" / "status").exists(), reason="anonymous memory is read from /proc: needs Linux"
)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    small, large = compare(tmp_path, 3, 33, tokenizer="bytes", steps=10, val_tokens=50_000)
    # Were the text held it would be 30 MB more, were its ids held 60 MB, and as int64 240 MB.
    assert large.highest - small.highest < 20, f"{small} with 3 MB of text, {large} with 33 MB"
    assert not list(tmp_path.iterdir())


def test_anonymous_memory_is_measured() -> None:
    code = "import sys; held = b'x' * 100_000_000; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline()
        held = anonymous_mb(process.pid)
        process.communicate()
    assert 100 <= held < 130
    assert anonymous_mb(process.pid) == 0


def test_the_text_is_as_long_as_asked_and_its_words_as_common_as_words_are(tmp_path: Path) -> None:
    text = write_text(tmp_path / "text.txt", 2).read_text()
    assert len(text) == pytest.approx(2e6, rel=0.02)
    documents = text.split("<|endoftext|>")
    assert 500 < len(documents) < 2000
    words = text.split()
    counts = sorted((words.count(word) for word in set(words[:40])), reverse=True)
    assert counts[0] > 8 * counts[15] > 0
