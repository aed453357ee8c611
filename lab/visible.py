"""Text that is safe to show: a model, a corpus or a downloaded run may hold what a terminal obeys."""

from __future__ import annotations


def visible(text: str) -> str:
    r"""Text with its control characters written out, such as `\x1b`; new lines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
