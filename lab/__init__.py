"""The pretraining lab: pretrain a GPT from nothing, watch it learn, look inside at any moment of its training.

`lab.load(RUN, step=None)` opens any checkpoint of any run, for notebooks:

    model, tokenizer = lab.load("quickstart")

Nothing heavy is imported here: `python -m lab --help` must answer before torch has even begun to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.loading import load as load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import `lab.loading` (and with it torch) only when `lab.load` is asked for (PEP 562)."""
    if name == "load":
        from lab.loading import load

        return load
    raise AttributeError(f"module 'lab' has no attribute {name!r}")
