"""What a process may use: affinity, control groups of both versions, nested, and files of any content."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import limits
from lab.limits import cpu_quota, memory_limit, physical_cores, usable_cpus, usable_threads

GB = 10**9
UNIFIED = "31 23 0:28 {root} /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate"
VERSION_1 = "3{i} 31 0:3{i} {root} /sys/fs/cgroup/{name} rw,relatime shared:{i} - cgroup cgroup rw,{name}"
CONTROLLERS = ("cpu,cpuacct", "cpuset", "memory")
NO_LIMIT = str(2**63 - 4096)  # what version 1 writes


class Machine:
    """A /proc and a /sys made by hand."""

    def __init__(self, root: Path, cpus: Iterable[int], monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        monkeypatch.setattr(limits, "ROOT", root)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(cpus), raising=False)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def write(self, files: Mapping[str, str]) -> Machine:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        return self

    def version_2(self, own: str, root: str = "/") -> Machine:
        """The process is in group `own`; what is mounted begins at group `root`."""
        self.write({"proc/self/cgroup": f"0::{own}", "proc/self/mountinfo": UNIFIED.format(root=root)})
        return self

    def version_1(self, own: str, root: str = "/") -> Machine:
        """The same in a tree for each resource, beside an empty one of version 2."""
        mounts = [VERSION_1.format(i=i, root=root, name=name) for i, name in enumerate(CONTROLLERS)]
        self.write({"proc/self/mountinfo": "\n".join(["30 1 0:2 / / rw - ext4 /dev/sda rw", *mounts])})
        lines = [f"{i + 1}:{name}:{own}" for i, name in enumerate(CONTROLLERS)]
        return self.write({"proc/self/cgroup": "\n".join([*lines, "0::/elsewhere"])})


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine of eight cores that limits nothing yet."""
    return Machine(tmp_path, range(8), monkeypatch)


def test_without_groups_the_affinity_counts(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (cpu_quota(), memory_limit()) == (None, None)
    assert usable_threads() == (8, "physical cores this process may use")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert (usable_cpus(), usable_threads()[0]) == ({3}, 1)


def test_hyperthreads_of_one_core_count_once(machine: Machine) -> None:
    for cpu, core in enumerate((0, 1, 0, 1)):
        place = f"sys/devices/system/cpu/cpu{cpu}/topology"
        machine.write({f"{place}/physical_package_id": "0", f"{place}/core_id": str(core)})
    assert physical_cores({0, 1, 2, 3}) == 2
    assert physical_cores({0, 2}) == 1
    assert physical_cores({0, 1, 8, 9}) == 4  # two that don't say where they are count each


@pytest.mark.parametrize("where", ["", "system.slice", "system.slice/slurm.scope", "system.slice/slurm.scope/job/step"])
def test_the_smallest_limit_on_the_way_up_binds(where: str, machine: Machine) -> None:
    machine.version_2("/system.slice/slurm.scope/job/step")
    group = f"sys/fs/cgroup/{where}"
    machine.write({f"{group}/cpu.max": "250000 100000", f"{group}/memory.max": str(2 * GB)})
    for other in ("sys/fs/cgroup/system.slice/slurm.scope/job", "sys/fs/cgroup/system.slice"):
        if other != group:
            machine.write({f"{other}/cpu.max": "max 100000", f"{other}/memory.max": "max"})
            machine.write({f"{other}/memory.high": str(3 * GB), f"{other}/cpuset.cpus.effective": ""})
    machine.write({"sys/fs/cgroup/system.slice/neighbour/cpu.max": "10000 100000"})
    assert cpu_quota() == 2.5
    assert memory_limit() == 2 * GB
    assert usable_threads() == (2, "this process may use the time of 2.5 of 8 cores")


def test_limits_of_version_1_in_a_tree_each(machine: Machine) -> None:
    machine.version_1("/slurm/uid_0/job_7")
    base = "sys/fs/cgroup"
    machine.write(
        {
            f"{base}/cpu,cpuacct/slurm/uid_0/job_7/cpu.cfs_quota_us": "-1",
            f"{base}/cpu,cpuacct/slurm/uid_0/job_7/cpu.cfs_period_us": "100000",
            f"{base}/cpu,cpuacct/slurm/cpu.cfs_quota_us": "300000",
            f"{base}/cpu,cpuacct/slurm/cpu.cfs_period_us": "100000",
            f"{base}/cpuset/slurm/uid_0/cpuset.cpus": "0-3,6",
            f"{base}/memory/slurm/uid_0/job_7/memory.limit_in_bytes": str(900 * 10**6),
            f"{base}/memory/memory.limit_in_bytes": NO_LIMIT,
        }
    )
    assert cpu_quota() == 3.0
    assert usable_cpus() == {0, 1, 2, 3, 6}
    assert usable_threads()[0] == 3
    assert memory_limit() == 900 * 10**6


def test_no_limit_of_version_1_is_none(machine: Machine) -> None:
    machine.version_1("/")
    machine.write({"sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT})
    assert memory_limit() is None


@pytest.mark.parametrize(
    ("own", "root"),
    [("/", "/"), ("/docker/abc", "/docker/abc"), ("/", "/../.."), ("/../other", "/"), ("/docker/abc", "/kubepods/x")],
)
def test_a_containers_own_group_is_the_root_of_what_it_sees(own: str, root: str, machine: Machine) -> None:
    machine.version_2(own, root).write({"sys/fs/cgroup/cpu.max": "50000 100000", "sys/fs/cgroup/memory.max": str(GB)})
    assert (cpu_quota(), memory_limit()) == (0.5, GB)
    assert usable_threads()[0] == 1
    machine.version_1(own, root)
    machine.write({"sys/fs/cgroup/memory/memory.limit_in_bytes": str(GB // 2)})
    assert memory_limit() == GB // 2


def test_a_set_of_cpus_narrows_the_affinity_and_never_empties_it(machine: Machine) -> None:
    machine.version_2("/a/b").write({"sys/fs/cgroup/a/cpuset.cpus.effective": "2-4"})
    assert usable_cpus() == {2, 3, 4}
    machine.write({"sys/fs/cgroup/a/b/cpuset.cpus.effective": "90-99"})
    assert usable_cpus() == {2, 3, 4}


@pytest.mark.parametrize(
    ("variable", "threads", "why"),
    [
        ("3,2", 3, "OMP_NUM_THREADS"),
        ("1", 1, "OMP_NUM_THREADS"),
        ("16", 8, "OMP_NUM_THREADS is 16, but this process may use 8 CPUs"),
        ("", 8, "physical cores this process may use"),
        ("many", 8, "physical cores this process may use"),
        ("0", 8, "physical cores this process may use"),
    ],
)
def test_the_variable_binds_within_what_may_be_used(
    variable: str, threads: int, why: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert usable_threads() == (threads, why)


def test_the_variable_within_a_quota(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.version_2("/").write({"sys/fs/cgroup/cpu.max": "50000 100000"})
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert usable_threads() == (1, "OMP_NUM_THREADS is 2, but this process may use 1 CPU")


FILES = (
    *("proc/self/cgroup", "proc/self/mountinfo", "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/memory.max"),
    *("sys/fs/cgroup/cpuset.cpus.effective", "sys/fs/cgroup/a/cpu.cfs_quota_us", "sys/fs/cgroup/a/cpu.cfs_period_us"),
)
PARTS = st.sampled_from(["0::/", "/a", "\n", " ", "max", "-", "-1", ",", "100000", UNIFIED.format(root="/"), "x", "²"])


@settings(deadline=None, max_examples=200)
@given(files=st.dictionaries(st.sampled_from(FILES), st.lists(PARTS | st.text(max_size=8), max_size=8).map("".join)))
def test_whatever_the_files_hold_there_is_a_core(
    files: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Machine(tmp_path_factory.mktemp("wild"), range(4), patch).version_2("/a").write(
            {name: text.encode("utf-8", "replace").decode() for name, text in files.items()}
        )
        assert usable_cpus() <= frozenset(range(4))
        assert 1 <= usable_threads()[0] <= 4
        assert (memory_limit() or 1) > 0
        assert (cpu_quota() or 1) > 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="taskset needs Linux")
def test_taskset() -> None:
    code = """if True:
        import os; from lab.limits import usable_threads
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(usable_threads()[0])
    """
    free = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    assert subprocess.check_output([sys.executable, "-c", code], text=True, env=free).strip() == "1"
