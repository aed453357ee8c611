"""Checkpoints as files with facts: whole or not counted, last and best, what may be deleted."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import WriteError
from lab.files import sweep_temporaries
from lab.runs import Run
from lab.runs.checkpoints import (
    CHECKPOINT_SUFFIX,
    check_file,
    delete_beyond,
    delete_superseded,
    find_checkpoint,
    last_intact,
    list_checkpoints,
    record_checkpoint,
    step_path,
    unusable_files,
    which_to_delete,
)
from tests.checkpoints import write_checkpoint


def save(content: bytes = b"weights") -> Any:
    def write(file: BinaryIO) -> None:
        file.write(content)

    return write


def steps_of(run: Run) -> list[int]:
    return [info.step for info in run.checkpoints()]


def test_facts_beside_the_file(run: Run) -> None:
    config = {"n_layers": 4, "norm": "rmsnorm", "d_mlp": None}
    write_checkpoint(
        run,
        1000,
        save(),
        tokens=5,
        losses={"val/loss": torch.tensor(2.5)},
        model_config=config,
        probe_loss=3.25,
    )
    (info,) = list_checkpoints(run)
    assert info.path == run.path / "checkpoints" / "step-00001000.ckpt"
    assert (info.step, info.tokens, info.losses, info.probe_loss) == (1000, 5, {"val/loss": 2.5}, 3.25)
    assert info.model_config == config
    assert (info.size, info.sha256) == (7, hashlib.sha256(b"weights").hexdigest())
    assert (info.kind, info.aliases) == ("regular", ("last",))
    facts = json.loads((run.checkpoints_dir / "step-00001000.json").read_text())
    assert facts["format"] == 1
    assert facts == json.loads((run.checkpoints_dir / "last.json").read_text())
    assert json.dumps(info.as_dict())
    assert check_file(info) is None


def test_what_torch_saves_loads_again(run: Run) -> None:
    state = {"weight": torch.arange(6.0), "step": 3}
    write_checkpoint(run, 3, lambda file: torch.save(state, file))
    loaded = torch.load(run.checkpoints_dir / "last.ckpt", weights_only=True)
    assert torch.equal(loaded["weight"], state["weight"])


def test_a_file_written_by_someone_else_can_be_recorded(run: Run) -> None:
    torch.save({"a": 1}, step_path(run.checkpoints_dir, 7))
    assert list_checkpoints(run) == []
    record_checkpoint(run, 7, kind="interrupted", best=True)
    assert find_checkpoint(run, "best").kind == "interrupted"


def test_last_and_best_are_links(run: Run) -> None:
    for step in (1, 2, 3):
        write_checkpoint(run, step, save(b"%d" % step), best=step == 2)
    folder = run.checkpoints_dir
    assert (folder / "last.ckpt").samefile(folder / "step-00000003.ckpt")
    assert (folder / "best.ckpt").samefile(folder / "step-00000002.ckpt")
    assert [info.aliases for info in list_checkpoints(run)] == [(), ("best",), ("last",)]
    assert find_checkpoint(run, "last").step == 3
    assert find_checkpoint(run, "best").step == 2
    assert find_checkpoint(run, 1).step == 1


def test_a_missing_checkpoint_names_those_there_are(run: Run) -> None:
    with pytest.raises(ValueError, match="run 'fox' has no checkpoint yet"):
        find_checkpoint(run)
    write_checkpoint(run, 5, save())
    write_checkpoint(run, 9, save())
    with pytest.raises(ValueError, match="no checkpoint 7; there are those of the steps 5, 9"):
        find_checkpoint(run, 7)
    with pytest.raises(ValueError, match="no checkpoint 'best'"):
        find_checkpoint(run, "best")


def test_damage_is_found_and_the_last_intact_one_is_offered(run: Run) -> None:
    for step in (1, 2, 3, 4, 5):
        write_checkpoint(run, step, save(b"x" * 100))
    folder = run.checkpoints_dir
    step_path(folder, 5).write_bytes(b"x" * 60)  # torn: not even listed
    step_path(folder, 4).write_bytes(b"y" * 100)  # as long as before, other content
    (folder / "step-00000003.json").write_text('{"step": 3')  # damaged facts
    assert steps_of(run) == [1, 2, 4]
    assert [path.name for path in unusable_files(folder, CHECKPOINT_SUFFIX)] == [
        "step-00000003.ckpt",
        "step-00000005.ckpt",
    ]
    info, problems = last_intact(run)
    assert info is not None
    assert info.step == 2
    assert problems == [
        f"{step_path(folder, 4)} is damaged: its sha256 differs from the one recorded when it was written"
    ]
    torn = find_checkpoint(run, 2)
    torn.path.write_bytes(b"")
    assert "is torn: 0 bytes instead of 100" in str(check_file(torn))
    torn.path.unlink()
    assert "cannot be read" in str(check_file(torn))


@pytest.mark.parametrize(
    "facts",
    [
        [],
        {},
        {"format": 2, "step": 1, "sha256": "x", "size": 7},
        {"format": 1, "step": 2, "sha256": "x", "size": 7},
        {"format": 1, "step": "1", "sha256": "x", "size": 7},
        {"format": 1, "step": 1, "sha256": 5, "size": 7},
        {"format": 1, "step": 1, "sha256": "x", "size": 7, "losses": []},
        {"format": 1, "step": 1, "sha256": "x", "size": 7, "kind": 3},
        {"format": 1, "step": 1, "sha256": "x", "size": 7, "wall": "yesterday"},
    ],
)
def test_foreign_facts_are_not_believed(run: Run, facts: Any) -> None:
    step_path(run.checkpoints_dir, 1).write_bytes(b"weights")
    (run.checkpoints_dir / "step-00000001.json").write_text(json.dumps(facts))
    assert list_checkpoints(run) == []


def test_a_path_in_the_facts_is_not_followed(run: Run) -> None:
    write_checkpoint(run, 1, save())
    path = run.checkpoints_dir / "step-00000001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"path": "/etc/passwd", "aliases": ["best"]}))
    (info,) = list_checkpoints(run)
    assert info.path == step_path(run.checkpoints_dir, 1)
    assert info.aliases == ("last",)


def test_which_may_go() -> None:
    steps = [100, 200, 300, 400, 500]
    assert which_to_delete(steps) == [100, 200, 300, 400]
    assert which_to_delete(steps, keep_last=2, milestones=[200], best=100) == [300]
    assert which_to_delete([], best=3) == []
    assert which_to_delete(steps, keep_last=9) == []
    with pytest.raises(ValueError, match="keep_last is 0: at least 1"):
        which_to_delete(steps, keep_last=0)


@settings(deadline=None)
@given(
    st.sets(st.integers(0, 50)),
    st.integers(1, 5),
    st.sets(st.integers(0, 50)),
    st.none() | st.integers(0, 50),
)
def test_the_newest_the_best_and_milestones_always_stay(
    steps: set[int], keep_last: int, milestones: set[int], best: int | None
) -> None:
    gone = set(which_to_delete(steps, keep_last=keep_last, milestones=milestones, best=best))
    stays = steps - gone
    assert gone <= steps
    assert milestones & steps <= stays
    assert best not in gone
    assert set(sorted(steps)[-keep_last:]) <= stays
    assert len(stays - milestones - {best}) <= keep_last


def test_deleting_what_is_superseded(run: Run) -> None:
    for step in (1, 2, 3, 4, 5):
        kind = "milestone" if step == 3 else "regular"
        write_checkpoint(run, step, save(b"%d" % step), best=step == 2, kind=kind)
    assert delete_superseded(run) == [1, 4]
    assert steps_of(run) == [2, 3, 5]
    assert sorted(path.name for path in run.checkpoints_dir.iterdir()) == sorted(
        f"{name}{suffix}"
        for name in ("best", "last", "step-00000002", "step-00000003", "step-00000005")
        for suffix in (".ckpt", ".json")
    )


def test_deleting_beyond(run: Run) -> None:
    for step in (1, 2, 3):
        write_checkpoint(run, step, save(b"%d" % step), best=step == 2)
    assert delete_beyond(run.checkpoints_dir, CHECKPOINT_SUFFIX, 1) == [2, 3]
    assert sorted(path.name for path in run.checkpoints_dir.iterdir()) == [
        "step-00000001.ckpt",
        "step-00000001.json",
    ]


def test_training_that_went_back_is_not_superseded_by_its_old_future(run: Run) -> None:
    for step in (1, 5, 9):
        write_checkpoint(run, step, save(b"%d" % step), best=step == 9)
    step_path(run.checkpoints_dir, 9).write_bytes(b"x")  # damaged, as long as before
    info, _ = last_intact(run)
    assert info is not None
    assert info.step == 5
    write_checkpoint(run, 6, save(b"6"))
    delete_superseded(run)
    assert steps_of(run) == [6]
    assert find_checkpoint(run).step == 6
    assert last_intact(run)[1] == []
    assert not (run.checkpoints_dir / "best.ckpt").exists()


def test_a_full_disk_leaves_last_as_it_was(run: Run) -> None:
    write_checkpoint(run, 1, save(b"one"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(WriteError, match=r"step-00000002\.ckpt: the file would be larger"):
            write_checkpoint(run, 2, save(b"x" * 100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert steps_of(run) == [1]
    assert (run.checkpoints_dir / "last.ckpt").read_bytes() == b"one"
    assert not list(run.checkpoints_dir.glob(".tmp-*"))


@pytest.mark.parametrize("attempt", range(5))
def test_kill_while_saving(run: Run, start_process: Any, attempt: int) -> None:
    code = """
        import os, sys; from pathlib import Path; from lab.runs import Run
        from lab.runs.checkpoints import delete_superseded; from tests.checkpoints import write_checkpoint
        run = Run(Path(sys.argv[1])); content = os.urandom(1_000_000)
        for step in range(1, 10**6):
            save = lambda file: [file.write(content) for _ in range(3)]
            write_checkpoint(run, step, save, best=step % 3 == 0)
            delete_superseded(run, keep_last=2)
            if step == 3: print("ready", flush=True)
    """
    process = start_process(code, run.path)
    time.sleep(random.Random(attempt).uniform(0.0, 0.1))
    process.kill()
    process.wait()
    infos = list_checkpoints(run)
    assert len(infos) >= 2
    assert [check_file(info) for info in infos] == [None] * len(infos)
    assert last_intact(run) == (infos[-1], [])
    for alias in ("last", "best"):
        assert len((run.checkpoints_dir / f"{alias}.ckpt").read_bytes()) == 3_000_000
    sweep_temporaries(run.checkpoints_dir)
    write_checkpoint(run, 10**7, save())
    assert delete_superseded(run)
    assert not [name for name in os.listdir(run.checkpoints_dir) if name.startswith(".tmp-")]


def test_steps_beyond_eight_digits_sort_by_number(run: Run) -> None:
    for step in (99_999_999, 10**8):
        write_checkpoint(run, step, save())
    assert steps_of(run) == [99_999_999, 10**8]


def test_no_folder_no_checkpoints(tmp_path: Path) -> None:
    assert list_checkpoints(Run(tmp_path / "nowhere")) == []
