"""Log lines and warnings of Lightning that tell nothing here, or something wrong: dropped."""

from __future__ import annotations

import logging
import warnings

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
    ".*callbacks used to create the checkpoint.*",  # their states are restored by the group that holds them
)


def quieten() -> None:
    """Drop the lines of `NOISE` and `WARNINGS`."""
    for name, starts in NOISE.items():
        logging.getLogger(name).addFilter(
            lambda record, starts=starts: not any(s in record.getMessage() for s in starts)
        )
    for message in WARNINGS:
        warnings.filterwarnings("ignore", message=message)
