"""Freed memory is kept, and taken again without new pages."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab.training.keep_memory import can_keep_freed_memory, keep_freed_memory
from tests.patience import PATIENCE

COUNT_FAULTS = """
import resource, sys
import torch
from lab.training.keep_memory import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def step():
    large = [torch.empty(n << 18).fill_(1.0) for n in (40, 3, 40)]  # MB; glibc maps the large ones anew each time
for _ in range(10):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not can_keep_freed_memory(), reason="not glibc")
def test_the_same_memory_is_used_again() -> None:
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", COUNT_FAULTS, how], text=True, timeout=PATIENCE))
        for how in ("give back", "keep")
    }
    assert faults["keep"] * 10 < faults["give back"]


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert not keep_freed_memory()
