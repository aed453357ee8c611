"""The pretraining lab: pretrain a GPT from nothing, watch it learn, look inside at any moment of its training.

From a notebook, `lab.fit` trains and `lab.load` opens any checkpoint of any run:

    run = lab.fit("quickstart", horizon={"steps": 200})
    model, tokenizer = lab.load(run.name, step=None)

Nothing heavy is imported here: `python -m lab --help` must answer before torch has even begun to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lab.deferred import install

if TYPE_CHECKING:
    from lab.fitting import fit as fit
    from lab.loading import load as load

__version__ = "0.1.0"
__all__ = ["__version__", "fit", "load"]
install()
_ROOMS = {"fit": "lab.fitting", "load": "lab.loading"}


def __getattr__(name: str) -> Any:
    """Import a room, and with it torch, only when its function is asked for (PEP 562)."""
    if name in _ROOMS:
        import_module("lab.waiting_trial").prepare(import_module("lab.data.cache").cache_root())
        return getattr(import_module(_ROOMS[name]), name)
    raise AttributeError(f"module 'lab' has no attribute {name!r}")
