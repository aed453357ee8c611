"""From text to batches: corpus → tokenizer → token file → batch n = f(seed, n).

Each file imports only those before it. The cache: `cache`, `checksum`, `progress`. Text, and its one train/val split:
`corpus`, `opening`, `tables`, `text_files`, `published`, `idformats`, `folders`, `holdout`, `filecorpus`, `download`,
`remote_corpora`, `synthetic_base`, `synthetic`. Text ↔ ids: `vocabulary`, `bpe`, `huggingface`, `tokenizers`,
`tokenising`. Ids on disk: `tokenfile`, `tokencorpus`. A corpus by its name: `corpora`. Which sequences step n sees:
`batches`. Losses of simple predictors: `baselines`. All of it together: `settings`, `dataset`, and for Lightning
`datamodule`.

Names are imported when first asked for (PEP 562): reading a vocabulary loads neither torch nor Lightning.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.data.corpora import open_corpus as open_corpus
    from lab.data.corpus import Corpus as Corpus
    from lab.data.datamodule import LabDataModule as LabDataModule
    from lab.data.dataset import LabData as LabData
    from lab.data.tokenizers import Tokenizer as Tokenizer
    from lab.data.tokenizers import load_tokenizer as load_tokenizer
    from lab.data.tokenizers import make_tokenizer as make_tokenizer

_HOME = {
    "Corpus": "corpus",
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
