"""A run is one process, whatever a batch system left in the environment."""

from __future__ import annotations

import os
from pathlib import Path

import lightning as L
import pytest
from lightning.fabric.utilities.rank_zero import rank_zero_only

from lab.runs import Run
from lab.training.one_process import OneProcess, left_over
from tests.tiny import lab, tiny_args

CLUSTERS = {
    "torchrun": {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "node1", "MASTER_PORT": "29500"},
    "torch elastic": {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4"},
    "slurm": {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train", "SLURM_PROCID": "1"},
    "mpi": {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4", "PMI_RANK": "1", "PMI_SIZE": "4"},
    "lsf": {"LSB_JOBID": "1", "LSB_DJOB_RANKFILE": "/gone", "JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_SIZE": "4"},
    "kubeflow": {"KUBERNETES_PORT": "tcp://x", "MASTER_ADDR": "x", "MASTER_PORT": "1", "WORLD_SIZE": "4", "RANK": "1"},
}


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_trainer_is_alone(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CLUSTERS[cluster].items():
        monkeypatch.setenv(name, value)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"), False)
    trainer = L.Trainer(accelerator="cpu", devices=1, plugins=[OneProcess()], **quiet)
    assert (trainer.world_size, trainer.global_rank, trainer.local_rank, trainer.node_rank) == (1, 0, 0, 0)
    assert rank_zero_only.rank == 0
    told = left_over(CLUSTERS[cluster])
    assert told is not None
    assert "=1" in told
    assert "a run trains in one process" in told


@pytest.mark.parametrize("one", [{}, {"RANK": "0", "WORLD_SIZE": "1"}, {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1"}])
def test_nothing_is_said_of_one_process(one: dict[str, str]) -> None:
    assert left_over(one) is None


@pytest.mark.slow
def test_a_fit_with_left_over_variables_writes_all_it_writes(tmp_path: Path) -> None:
    """Among them Lightning's rank, which is read when it is imported, and one that is no number."""
    fakes = tmp_path / "bin"
    fakes.mkdir()
    (fakes / "scontrol").write_text(f"#!/bin/sh\ntouch {tmp_path}/called\n")
    (fakes / "scontrol").chmod(0o755)
    left = {name: value for variables in CLUSTERS.values() for name, value in variables.items()}
    env = {**left, "SLURM_LOCALID": "none", "PATH": f"{fakes}:{os.environ['PATH']}"}
    done = lab("fit", *tiny_args(tmp_path, "--tensorboard", "true", "--wandb", "offline", steps=2), env=env)
    assert done.returncode == 0, done.stderr
    assert "a run trains in one process" in " ".join(done.stdout.split())
    run = Run(tmp_path / "runs" / "tiny")
    assert [*run.tensorboard_dir.glob("events.*")]
    assert [*run.wandb_dir.glob("offline-run-*/*.wandb")]
    assert not [*run.path.rglob("hpc_ckpt*")]
    assert not (tmp_path / "called").exists()
    again = lab("validate", "tiny", "--root", str(tmp_path / "runs"), env=env)
    assert again.returncode == 0, again.stderr
