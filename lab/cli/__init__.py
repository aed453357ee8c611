"""The command line of what needs Lightning: `fit`, `plan` and `validate`.

A mistake of the person's is one line and exit code 2, never a traceback; a mistake of ours keeps its traceback.
"""

from __future__ import annotations

import logging
import sys
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
"""Lightning's log lines that tell a learner nothing (or, in the case of weights_only, something wrong)."""


def main(command: str, args: list[str]) -> int:
    """Run `fit`, `plan` or `validate`; returns the exit code."""
    quieten()
    from lab.cli.fit import fit
    from lab.cli.plan import plan
    from lab.cli.validate import validate
    from lab.runs.atomic import WriteError

    try:
        return {"fit": fit, "plan": plan, "validate": validate}[command](args)
    except (ValueError, WriteError, OSError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        for line in lines:
            print(f"error: {line}", file=sys.stderr)
        return 2


def quieten() -> None:
    """Drop the lines of `NOISE` and warnings about what the lab does on purpose."""
    for name, starts in NOISE.items():
        logging.getLogger(name).addFilter(
            lambda record, starts=starts: not any(s in record.getMessage() for s in starts)
        )
    for message in (
        ".*does not have many workers.*",
        ".*isinstance\\(treespec.*",
        ".*skip_none.*",
        ".*srun.*",
        ".*val_check_interval.*",
        ".*callbacks used to create the checkpoint.*",  # their states are the crew's to restore
    ):
        warnings.filterwarnings("ignore", message=message)
