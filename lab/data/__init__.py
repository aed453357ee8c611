"""The data's way: corpus → tokenizer → token file → batch n = f(seed, n).

The files, each importing only those before it: `cache` (where made things are kept), `progress`; `reading`,
`download`, `synthetic`, `corpora` (text in, one train/val split); `vocabulary`, `bpe`, `tokenizers` (text ↔
ids); `tokenfile` (ids on disk); `batches` (which sequences step n sees); `baselines` (what a model has to beat);
`dataset` (all of it together); `datamodule` (behind Lightning's interface).

Names are imported when first asked for (PEP 562): reading a vocabulary loads neither torch nor Lightning.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.data.corpora import Corpus as Corpus
    from lab.data.corpora import open_corpus as open_corpus
    from lab.data.datamodule import LabDataModule as LabDataModule
    from lab.data.dataset import LabData as LabData
    from lab.data.tokenizers import Tokenizer as Tokenizer
    from lab.data.tokenizers import load_tokenizer as load_tokenizer
    from lab.data.tokenizers import make_tokenizer as make_tokenizer

_HOME = {
    "Corpus": "corpora",
    "LabData": "dataset",
    "LabDataModule": "datamodule",
    "Tokenizer": "tokenizers",
    "load_tokenizer": "tokenizers",
    "make_tokenizer": "tokenizers",
    "open_corpus": "corpora",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import the file that holds `name` when it is first asked for."""
    if name in _HOME:
        return getattr(import_module(f"lab.data.{_HOME[name]}"), name)
    raise AttributeError(f"module 'lab.data' has no attribute {name!r}")
