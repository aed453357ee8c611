"""A run trains in one process, whatever a cluster's batch system left in the environment.

Lightning reads RANK, SLURM_NTASKS and their like, and takes one process with such a variable for a part of many: it
then writes no dashboards, or refuses to start. `OneProcess` reads none of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only

RANKS = (
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "SLURM_PROCID", "SLURM_LOCALID", "JSM_NAMESPACE_RANK"),
    *("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "MV2_COMM_WORLD_RANK"),
)
SIZES = (
    *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NNODES", "JSM_NAMESPACE_SIZE"),
    *("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"),
)

# Lightning's loggers write in the process of rank 0 alone, and it read RANK when it was imported.
rank_zero_only.rank = 0  # type: ignore[attr-defined]


class OneProcess(LightningEnvironment):
    """Lightning's own environment, of one process: `Trainer(plugins=[OneProcess()])`."""

    @property
    def creates_processes_externally(self) -> bool:
        """Whether another program starts the processes."""
        return False

    def node_rank(self) -> int:
        """Which machine this is."""
        return 0

    def local_rank(self) -> int:
        """Which process of the machine this is."""
        return 0


def left_over(environment: Mapping[str, str] = os.environ) -> str | None:
    """A line on variables that speak of several processes; None where there are none."""
    told = [
        f"{name}={environment[name]}"
        for names, alone in ((RANKS, ("", "0")), (SIZES, ("", "0", "1")))
        for name in names
        if environment.get(name, "").strip() not in alone
    ]
    if not told:
        return None
    return f"{', '.join(told)} in the environment: a run trains in one process, which this is, and reads none of them"
