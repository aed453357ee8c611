"""The tiny runs whose numbers are derived, and their files as they lie on the disk.

Read with json, safetensors and NumPy alone. What is given and no number, which tokens a step or a look reads, is asked
of the lab's data; what the page shows is asked of its analyses.
"""

from __future__ import annotations

import json
import math
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

STEPS = 12
CONTEXT = 16
TOKENS_PER_STEP, BATCH = 128, 4  # two micro-batches of 4 sequences of 16
STEP_SECONDS, WAIT_SECONDS, PEAK_FLOPS = 0.5, 0.125, 1e9  # of the run `clocked`, on a made device
VARIANTS: dict[str, dict[str, Any]] = {
    "gpt2": {"mlp": "gelu_tanh"},
    "llama": {
        "positions": "rope", "norm": "rmsnorm", "mlp": "swiglu", "n_heads": 4, "n_kv_heads": 2, "qk_norm": "true",
        "tie_embeddings": "false", "bias": "false", "logit_softcap": 15, "pad_vocab_to": 64,
    },
    "postnorm": {"positions": "none", "norm_position": "post", "mlp": "relu2", "n_heads": 2, "n_kv_heads": 1},
}  # fmt: skip
FIT = {
    "trainer.precision": "32-true",
    "data.tokens_per_step": TOKENS_PER_STEP,
    "data.val_tokens": "null",
    "model.optimizer.lr": 0.01,  # in twelve steps far from the start, where all parts matter
    "model.optimizer.clip": 1.2,
    "validation.every": 1,
    "validation.windows": 32,
    "snapshots.every": 1,
    "samples.every": 1,
    "gradient_noise.every": 1,
    "activation_histograms.every": 1,
    "throughput.every": 2,
    "audit.every": 1,
}


def arguments(variant: str) -> list[str]:
    """Of a fit, over those of `tests.tiny`."""
    shape = {f"model.config.{name}": value for name, value in VARIANTS.get(variant, {}).items()}
    settings = FIT | shape
    return [x for name, value in settings.items() for x in (f"--{name}", str(value))]


def write_corpus(folder: Path) -> None:
    """The text of `tests.tiny`, some of its characters of two bytes."""
    from tests.tiny import write_corpus

    path = write_corpus(folder / "corpus.txt")
    path.write_text(path.read_text().replace("mat", "mäß"), encoding="utf-8")


class TinyRun:
    """A run's files, and the page's answers about it."""

    def __init__(self, path: Path, corpus: Path, library: Any = None, text: str = "the cat sat on a") -> None:
        self.path, self.corpus, self.library, self.text = path, corpus, library, text
        self.rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        self.data: dict[str, Any] = json.loads((path / "data.json").read_text())
        self.facts: dict[str, Any] = json.loads((path / "snapshots" / "step-00000000.json").read_text())
        self.config: dict[str, Any] = self.facts["model_config"]

    def __getitem__(self, name: str) -> dict[int, float]:
        """A metric by step."""
        return {row["step"]: row[name] for row in self.rows if row.get(name) is not None}

    def names(self) -> set[str]:
        """Of all metrics in the log, without layers and heads."""
        return {name.partition(".")[0] for row in self.rows for name in row if "/" in name}

    @cache  # noqa: B019 - lives as long as the tests
    def weights(self, step: int) -> dict[str, Tensor]:
        """Of a snapshot, in fp64."""
        found = load_file(self.path / "snapshots" / f"step-{step:08d}.safetensors")
        return {name: weight.double() for name, weight in found.items()}

    # ---------------------------------------------------------------- the text, read and cut by hand

    @cached_property
    def alphabet(self) -> str:
        """Its characters in code point order: id i is the i-th."""
        return "".join(sorted(set(self.corpus.read_text())))

    def ids(self, text: str) -> list[int]:
        """A token a character."""
        return [self.alphabet.index(c) for c in text]

    @cached_property
    def split(self) -> dict[str, np.ndarray]:
        """The first int(0.9·n) bytes train, but for half a character; the rest is held out."""
        text = self.corpus.read_bytes()
        cut = int(0.9 * len(text))
        cut += len(text[cut:]) - len(text[cut:].lstrip(bytes(range(128, 192))))  # bytes inside a character
        return {name: np.array(self.ids(part.decode())) for name, part in (("train", text[:cut]), ("val", text[cut:]))}

    @cached_property
    def windows(self) -> tuple[Tensor, Tensor]:
        """Tokens and targets of the whole validation split in disjoint windows, `[window, pos]`; -1: no target."""
        val = self.split["val"]
        starts = range(0, len(val) - 1, CONTEXT)
        rows = [val[start : start + CONTEXT + 1] for start in starts]
        tokens, targets = np.zeros((2, len(rows), CONTEXT), dtype=np.int64)
        targets -= 1
        for i, row in enumerate(rows):
            tokens[i, : len(row) - 1], targets[i, : len(row) - 1] = row[:-1], row[1:]
        return torch.from_numpy(tokens), torch.from_numpy(targets)

    @cached_property
    def pieces(self) -> Tensor:
        """The validation slice of data.json in pieces of a context, `[piece, pos]`."""
        ids = torch.tensor(self.data["val_slice"]["tokens"])
        return ids[: len(ids) // CONTEXT * CONTEXT].view(-1, CONTEXT)

    # ---------------------------------------------------------------- what is given

    @cached_property
    def _data(self) -> Any:
        from lab.loading import load_data
        from lab.runs import open_run

        return load_data(open_run(self.path.name, self.path.parent), 0, download=False)

    @cache  # noqa: B019
    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Tokens and targets of the update from `step` on, `[micro-batch, batch, pos]`."""
        tokens, targets = self._data.step_batch(step)
        return tokens, targets

    @cached_property
    def subset(self) -> tuple[Tensor, Tensor]:
        """Tokens and targets of the windows that looks read."""
        rows = self._data.sequences.val_subset(FIT["validation.windows"])
        tokens, targets = self._data.sequences.val_rows(rows)
        return torch.as_tensor(tokens).long(), torch.as_tensor(targets).long()

    # ---------------------------------------------------------------- what the page shows

    def ask(self, analysis: str, **fields: Any) -> Any:
        """The page's answer for this run's last weights; `text` is the run's own where the analysis reads one."""
        from analysis_app.analyses.declaration import ANALYSES

        declared = ANALYSES[analysis]
        known = declared.request.model_fields
        given = {name: value for name, value in {"run": self.path.name, "text": self.text}.items() if name in known}
        asked = declared.request(**given | fields)
        return declared.compute(self.library, SimpleNamespace(**{name: getattr(asked, name) for name in known}))

    def loss_scales(self, overflows: list[bool]) -> list[float]:
        """What a step logs of fp16's scale, in steps whose gradients overflow or not; no CPU trains in fp16."""
        from lab.training.module import PretrainingModule

        weight = torch.nn.Parameter(torch.ones(1))
        optimizer, scaler = torch.optim.SGD([weight], lr=0.0), torch.amp.GradScaler("cpu", growth_interval=3)
        module = SimpleNamespace(trainer=SimpleNamespace(precision_plugin=SimpleNamespace(scaler=scaler)))
        scales = []
        for overflow in overflows:
            scaler.scale(weight.sum() * (math.inf if overflow else 1.0)).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            scales.append(PretrainingModule.loss_scale.fget(module))
        return scales

    @cached_property
    def tokens(self) -> Tensor:
        """The text that is asked about, `[1, pos]`."""
        return torch.tensor([self.ids(self.text)])
