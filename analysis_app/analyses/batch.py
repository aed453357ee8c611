"""The text of one batch: what a step of a run learned from, with the loss of every token under some weights.

Batch n is a function of (seed, n), so this is a look-up: nothing of it was stored.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from analysis_app.analyses.declaration import Answer, Array, PackedRequest, RunName, analysis
from analysis_app.analyses.token_labels import labels
from analysis_app.library import Library, NotFoundError, Opened
from lab.data.dataset import LabData
from lab.loading import load_data
from lab.model import cross_entropy
from lab.runs import Run, metrics

MAX_TOKENS = 16_384  # shown and scored at once; the rest of a large batch on request
MAX_LOGITS = 1 << 25  # of one forward pass, 128 MB


@analysis("batch", PackedRequest)
def batch_text(
    library: Library,
    run: RunName,
    batch: Annotated[int, Field(description="optimizer steps done before it: 0 is the first", ge=0, lt=10**12)],
    step: Annotated[
        int | None, Field(description="of the weights; left out: the last at or before it", ge=0, lt=10**18)
    ] = None,
    first: Annotated[int, Field(description="the sequence to begin with", ge=0, lt=10**9)] = 0,
) -> Answer:
    """The text that one step learned from, with the loss of every token under the weights of a step.

    Raises `ValueError` for a batch that cannot be shown: no such sequence, no record of the data, a corpus that is
    gone or has changed.
    """
    trained = library.trained(run, "its training text is not on this machine")
    data = _data(library, trained, batch)
    tokens, targets = (part.flatten(0, 1) for part in data.step_batch(batch))
    n = len(tokens)
    if not 0 <= first < n:
        raise NotFoundError(f"sequence {first}: batch {batch:,} has {n}, from 0 to {n - 1}")
    most = max(1, MAX_TOKENS // data.context_length)
    tokens, targets = tokens[first : first + most], targets[first : first + most]
    steps = library.steps(trained.name)
    step = _before(steps, batch) if step is None else step
    losses = None if step is None else _losses(library.open(trained.name, step), tokens, targets)
    epochs = data.epochs_seen(batch)
    recorded = (row.get(metrics.TRAIN_LOSS) for row in trained.metrics().rows if row["step"] == batch)
    return {
        "run": trained.name,
        "batch": batch,
        "step": step,  # of the weights that scored it; None: the run has none
        "steps": steps,  # of the weights there are
        "recorded_loss": next(recorded, None),  # measured by training, before the update
        "mean_loss": _mean(losses),  # of the scored ones; of the whole batch where all of them are here
        "uniform_loss": float(np.log(data.vocab_size)),
        "epoch": None if epochs is None else int(epochs) + 1,  # from 1; None: made text never repeats
        "context_length": data.context_length,
        "n_sequences": n,
        "first": first,
        "sequences": [
            _sequence(data, first + i, tokens[i], targets[i], None if losses is None else losses[i])
            for i in range(len(tokens))
        ],
        "notes": _notes(trained, batch, step, n, len(tokens)),
    }


def _data(library: Library, run: Run, batch: int) -> LabData:
    """The data as they were at that batch."""
    told = (run.seams_path, run.config_path, run.data_path)
    stamps = [path.stat().st_mtime_ns if path.exists() else None for path in told]
    seams = run.seams()
    return library.corpora.get(
        (run.path, seams and seams.at(batch).step, *stamps), lambda: load_data(run, batch, download=False)
    )


def _losses(opened: Opened, tokens: Tensor, targets: Tensor) -> Array:
    """Loss at each target `[sequence, pos]` in nats, NaN where none counts."""
    config = opened.model.config
    if int(tokens.max()) >= config.vocab_size:
        raise ValueError("the batch holds tokens outside these weights' vocabulary: data.json is of another run")
    at_once = max(1, MAX_LOGITS // (config.vocab_size * tokens.shape[1]))
    found = []
    for some, wanted in zip(tokens.split(at_once), targets.split(at_once), strict=True):
        with opened.lock, torch.no_grad():
            found.append(cross_entropy(opened.model(some), wanted, "none"))
    losses = torch.cat(found).cpu().numpy()
    return np.where(targets.numpy() >= 0, losses, np.nan).astype(np.float32)


def _sequence(data: LabData, index: int, tokens: Tensor, targets: Tensor, loss: Array | None) -> Answer:
    """One sequence of a batch: its tokens and, where it counts, the target after the last of them."""
    ids, last = tokens.tolist(), int(targets[-1])
    counts = [False, *(target >= 0 for target in targets.tolist())]
    whole = [*ids, last] if last >= 0 else ids
    return {
        "index": index,
        "micro_batch": index // data.batch_size,
        "tokens": labels(data.tokenizer, whole),  # [pos+1] or [pos]
        "ids": whole,
        "counts": counts[: len(whole)],  # [pos+1] whether this token is a target; the first never is
        # [pos] nats; entry t is for token t+1, NaN where it does not count
        "loss": None if loss is None else loss[: len(whole) - 1],
        "mean_loss": _mean(loss),
    }


def _mean(losses: Array | None) -> float | None:
    """The mean over the targets that count."""
    if losses is None or not np.isfinite(losses).any():
        return None
    return float(losses[np.isfinite(losses)].mean())


def _before(steps: list[int], batch: int) -> int | None:
    """The last of the steps at or before a batch; the first where there is none."""
    return next((step for step in reversed(steps) if step <= batch), steps[0] if steps else None)


def _notes(run: Run, batch: int, step: int | None, n: int, shown: int) -> list[str]:
    found, total = [], run.status().total_steps
    if total is not None and batch >= total:
        found.append(f"the run has {total:,} steps: it never learns from batch {batch:,}")
    if step is None:
        found.append("the run has no weights yet: the text is not coloured")
    if shown < n:
        found.append(f"{shown} of the batch's {n} sequences, and their mean; the others on request")
    return found
