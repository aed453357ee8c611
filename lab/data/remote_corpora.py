"""Corpora by download: where each is, how it is checked, under which licence it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.data.download import HUGGING_FACE, RemoteFile


@dataclass(frozen=True)
class RemoteCorpus:
    """A corpus by download. `files` are its training shards, in order; `val` what its publisher held out."""

    files: tuple[RemoteFile, ...]
    source: str
    licence: str
    url: str
    val: tuple[RemoteFile, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """Source, licence and address, for data.json."""
        return {"source": self.source, "licence": self.licence, "url": self.url}

    @property
    def parquet(self) -> bool:
        """Whether pyarrow is needed to read it."""
        return any(file.name.endswith(".parquet") for file in self.files)


def _hugging_face(folder: str, repository: str, revision: str, file: str, sha256: str | None = None) -> RemoteFile:
    url = f"{HUGGING_FACE}/datasets/{repository}/resolve/{revision}/{file}"
    return RemoteFile(f"{folder}/{file.rsplit('/', 1)[-1]}", url, sha256)


# One revision, so that the files cannot change. 250 MB each; the checksums not given here are recorded when first
# downloaded.
_STORIES = ("tinystories", "roneneldan/TinyStories", "f54c09fd23315a6f9c86f9dc80f725de7d8f9c64")
_STORIES_CHECKED = "77cf780cebe52b6e83e3a2ac84bc56d8059363113e41d17a023f1d8b2ed0fc0b"
_STORIES_VAL_CHECKED = "33406a6206554cfc279c29c11f4df51528af487aa1a602b075566fc83c49dcab"
# 2.2 GB each: 14 files of about 700 million GPT-2 tokens.
_FINEWEB = ("fineweb-edu", "HuggingFaceFW/fineweb-edu", "main")

REMOTE_CORPORA = {
    "shakespeare": RemoteCorpus(
        files=(
            RemoteFile(
                "tinyshakespeare.txt",
                "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            ),
        ),
        source="TinyShakespeare (Karpathy 2015, char-rnn)",
        licence="public domain",
        url="https://github.com/karpathy/char-rnn/tree/master/data/tinyshakespeare",
    ),
    "tinystories": RemoteCorpus(
        files=(
            _hugging_face(*_STORIES, "data/train-00000-of-00004-2d5a1467fff1081b.parquet", _STORIES_CHECKED),
            _hugging_face(*_STORIES, "data/train-00001-of-00004-5852b56a2bd28fd9.parquet"),
            _hugging_face(*_STORIES, "data/train-00002-of-00004-a26307300439e943.parquet"),
            _hugging_face(*_STORIES, "data/train-00003-of-00004-d243063613e5a057.parquet"),
        ),
        val=(
            _hugging_face(*_STORIES, "data/validation-00000-of-00001-869c898b519ad725.parquet", _STORIES_VAL_CHECKED),
        ),
        source="TinyStories (Eldan and Li 2023, arXiv:2305.07759)",
        licence="CDLA-Sharing-1.0",
        url=f"{HUGGING_FACE}/datasets/roneneldan/TinyStories",
    ),
    "fineweb-edu": RemoteCorpus(
        files=tuple(_hugging_face(*_FINEWEB, f"sample/10BT/{i:03d}_00000.parquet") for i in range(14)),
        source="FineWeb-Edu, sample of 10 billion tokens (Penedo et al. 2024, arXiv:2406.17557)",
        licence="ODC-By-1.0",
        url=f"{HUGGING_FACE}/datasets/HuggingFaceFW/fineweb-edu",
    ),
}
