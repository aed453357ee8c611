"""What training recorded of its fixed reference texts at each snapshot, read from the bundles in `probes/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis_app.analyses.declaration import Array
from analysis_app.analyses.head_scores import SCORES
from lab.data.tokenizers import Tokenizer
from lab.runs import Run
from lab.runs.reference_texts import read_bundle


@dataclass(frozen=True)
class Frame:
    """One text at one snapshot."""

    step: int
    patterns: Array  # uint8 [layer, head, query, key] in square-root steps, see `lab.runs.reference_texts`
    token_loss: Array  # float32 [pos-1] nats; entry t is for token t+1
    scores: Array  # float32 [score, layer, head]


class ReferenceTexts:
    """The reference texts of a run, and the readable bundles of what each snapshot made of them."""

    def __init__(self, run: Run, tokenizer: Tokenizer) -> None:
        self.run, self.tokenizer = run, tokenizer
        self.paths = {info.step: info.path for info in run.reference_texts()}
        self.problems: list[str] = []
        self.first: dict[str, Any] = {}
        for path in self.paths.values():
            try:
                self.first = _checked(read_bundle(path), path, tokenizer.vocab_size)
                break
            except ValueError as error:
                self.problems.append(_short(error, run))
        self.ids: list[list[int]] = self.first["token_ids"].tolist() if self.first else []
        self.texts = [tokenizer.decode(ids).rstrip("\ufffd") for ids in self.ids]
        stored = [str(name).replace("_", " ") for name in self.first.get("score_names", [])]
        self.score_names = [name for name in SCORES if name in stored]  # in the order of the page
        self.score_rows = [stored.index(name) for name in self.score_names]

    def find(self, text: str) -> tuple[int, int] | None:
        """(which text, how many of its tokens) where `text` is a probe text or the beginning of one.

        By its characters: a text that was cut inside a word may be cut otherwise when it is read again.
        """
        for index, (ids, whole) in enumerate(zip(self.ids, self.texts, strict=True)):
            if text and whole.startswith(text):
                for n in range(len(ids), 1, -1):
                    if self.tokenizer.decode(ids[:n]).rstrip("\ufffd") == text:
                        return index, n
        return None

    def frame(self, step: int, index: int, n: int) -> Frame:
        """The bundle of `step`, cut to the first `n` tokens of text `index`: exact, as no token sees a later one."""
        path = self.paths[step]
        try:
            found = _checked(read_bundle(path), path, self.tokenizer.vocab_size)
            for name in ("token_ids", "patterns", "scores", "score_names"):
                if found[name].shape != self.first[name].shape:
                    raise ValueError(f"{path} is of another probe than the run's first: its {name} differ in shape")
        except ValueError as error:
            raise ValueError(_short(error, self.run)) from None
        return Frame(
            step,
            np.ascontiguousarray(found["patterns"][:, index, :, :n, :n]),
            found["token_loss"][index, : n - 1].astype(np.float32),
            found["scores"][self.score_rows].astype(np.float32),
        )


def _checked(bundle: dict[str, Any], path: Path, vocab_size: int) -> dict[str, Any]:
    """The bundle. Raises `ValueError` where its arrays do not have the shapes of `lab.runs.reference_texts`."""
    try:
        n_texts, n_pos = bundle["token_ids"].shape
        n_layers, _, n_heads, *_ = bundle["patterns"].shape
        shapes = {
            "patterns": (n_layers, n_texts, n_heads, n_pos, n_pos),
            "token_loss": (n_texts, n_pos - 1),
            "scores": (len(bundle["score_names"]), n_layers, n_heads),
            "score_chance": (len(bundle["score_names"]),),
        }
        fits = all(bundle[name].shape == shape for name, shape in shapes.items())
        fits &= bundle["patterns"].dtype == np.uint8 and n_pos > 1
        fits &= bool(((bundle["token_ids"] >= 0) & (bundle["token_ids"] < vocab_size)).all())
    except (KeyError, ValueError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise ValueError(f"{path} is no probe bundle of this run: its arrays do not fit each other")
    return bundle


def _short(error: ValueError, run: Run) -> str:
    return str(error).replace(f"{run.path}/", "")
