"""Log lines and warnings of Lightning that tell nothing here, or something wrong: dropped."""

from __future__ import annotations

import logging
import warnings
from functools import partial

NOISE = {
    "lightning.pytorch.utilities.rank_zero": (
        "litlogger",
        "litmodels",
        "GPU available",
        "TPU available",
        "HPU available",
        "💡",
        "`Trainer.fit` stopped",
        "Seed set",
        "Automatic Mixed Precision",
        "Restor",
    ),
    "lightning.pytorch.trainer.connectors.checkpoint_connector": ("`weights_only` was not set",),
    "lightning.fabric.utilities.seed": ("Seed set",),
}
"""Logger → beginnings of its lines. In the case of weights_only the line is wrong: it was set."""
WARNINGS = (
    ".*does not have many workers.*",
    ".*isinstance\\(treespec.*",
    ".*skip_none.*",
    ".*srun.*",
    ".*val_check_interval.*",
)


def _tells(noise: tuple[str, ...], record: logging.LogRecord) -> bool:
    return not any(line in record.getMessage() for line in noise)


def quieten() -> None:
    """Drop the lines of `NOISE` and `WARNINGS`."""
    for name, starts in NOISE.items():
        logging.getLogger(name).addFilter(partial(_tells, starts))
    for message in WARNINGS:
        warnings.filterwarnings("ignore", message=message)
