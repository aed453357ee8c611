"""Probe bundles: what a fixed set of texts looked like inside the model at each snapshot, ready to be shown.

`probes/step-00001000.npz` shows the whole training without loading a model. It holds plain
arrays only (nothing in it can run code), L layers, H heads, N texts of T tokens, R repeated sequences of 2·P:

- `format` 1 · `step` · `tokens`: seen in training so far.
- `token_ids` int32 `[N, T]`: the texts, from the validation split · `token_strings` `[N, T]`: each as a
  label of visible characters (`·the`, `⏎`, hex for fragments).
- `patterns` uint8 `[L, N, H, T, T]`: attention of query (next to last axis) to key, in square-root steps:
  probability = (value / 255)², within 0.004 at 1 and 0.0001 at 0.001, where linear steps would be coarse.
- `token_loss` float32 `[N, T-1]`: nats; entry t is for token t+1.
- `norm_names` `[Q]`, `norms` float32 `[Q, L, N, T]`: L2 norms of resid_pre, attn_out, resid_mid, mlp_out,
  resid_post.
- `lens_labels` `[L+1]`, `lens_tokens` int32 and `lens_probabilities` float32 `[L+1, N, T]`: the first guess
  read off the stream before each layer and after the last (the logit lens).
- `score_names` `[S]`, `scores` float32 `[S, L, H]`, `score_chance` float32 `[S]`: one number a head, with
  that of a head which attends evenly: entropy, first_token, distance, attn_logit_max (no chance: NaN), and
  previous_token; where there are repeated tokens also duplicate_token and induction, and previous_token is
  measured on them.
- `scalar_names`, `scalars` float64 `[K]`: what metrics.jsonl holds of this probe.
- Where vocabulary and context have room for repeated random tokens: `repeated_ids` int32 `[R, 2P]`,
  `period` P, `repeated_loss` float32 `[R, 2P-1]`, `repeated_patterns` uint8 `[L, H, 2P, 2P]` of the first.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.files import writing_whole
from lab.runs.checkpoints import step_path
from lab.runs.paths import RunPaths

if TYPE_CHECKING:  # NumPy is loaded where a bundle is written or opened: it takes longer than the rest of this room
    import numpy as np
    import numpy.typing as npt

BUNDLE_FORMAT = 1
BUNDLE_SUFFIX = ".npz"
_NAME = re.compile(r"step-(\d{8,18})\.npz")


@dataclass(frozen=True)
class BundleInfo:
    """One bundle on the disk; `read_bundle` opens it."""

    path: Path
    step: int


def encode_pattern(pattern: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Probabilities as uint8 in square-root steps."""
    import numpy as np

    found = np.asarray(pattern, dtype=np.float32)
    return np.rint(255 * np.sqrt(found.clip(0, 1))).astype(np.uint8)


def decode_pattern(stored: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Probabilities from what `encode_pattern` made."""
    import numpy as np

    return np.square(stored.astype(np.float32) / np.float32(255))


def write_bundle(run: RunPaths, step: int, arrays: Mapping[str, npt.ArrayLike]) -> BundleInfo:
    """Write the bundle of `step`; it appears whole or not at all. Raises `WriteError` when the disk is full.

    Not synced: after a power cut it can be computed again from the snapshot.
    """
    import numpy as np

    run.reference_texts_dir.mkdir(exist_ok=True)
    path = step_path(run.reference_texts_dir, step, BUNDLE_SUFFIX)
    plain: dict[str, Any] = {name: np.asarray(values) for name, values in arrays.items()}
    if wrong := [name for name, values in plain.items() if values.dtype.hasobject]:
        raise ValueError(f"a probe bundle holds plain arrays only: {', '.join(wrong)} would need pickling")
    # Packing would save half of it, and take ten times as long.
    with writing_whole(path, durable=False) as file:
        np.savez(file, **{"format": np.int64(BUNDLE_FORMAT), "step": np.int64(step), **plain})
    return BundleInfo(path, step)


def list_bundles(run: RunPaths) -> list[BundleInfo]:
    """The bundles of a run by step; reads the folder only."""
    if not run.reference_texts_dir.is_dir():
        return []
    matches = ((path, _NAME.fullmatch(path.name)) for path in run.reference_texts_dir.iterdir())
    return sorted((BundleInfo(path, int(m[1])) for path, m in matches if m), key=lambda info: info.step)


def read_bundle(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a bundle by name. Raises `ValueError` for a file that is none."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no whole probe bundle: {error}") from None
    if (found := int(arrays.get("format", np.int64(0)))) != BUNDLE_FORMAT:
        raise ValueError(f"{path} has format {found}, this version reads {BUNDLE_FORMAT}")
    return arrays


def delete_bundles_beyond(run: RunPaths, step: int) -> list[int]:
    """Delete the bundles of steps > `step`, for a training that goes back to it; the steps gone."""
    gone = [info for info in list_bundles(run) if info.step > step]
    for info in gone:
        info.path.unlink(missing_ok=True)
    return [info.step for info in gone]
