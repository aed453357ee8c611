"""The losses of six short runs are what they were: to the last bit where they were recorded on such a machine."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.golden import runs

TOLERANCE = {"bf16": 0.02}
"""Relative, on a processor that nothing was recorded on; bf16 has 8 bits of mantissa."""
GRADIENTS = 10
"""A gradient's norm may be so many times as far off as a loss: it is a difference of large numbers."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, float]]]:
    """Every run that this machine can do, done once."""
    folder = tmp_path_factory.mktemp("golden")
    return {name: runs.fit(name, folder) for name in runs.possible()}


@pytest.mark.slow
@pytest.mark.parametrize("name", runs.RUNS)
def test_losses_are_the_recorded_ones(name: str, found: dict[str, dict[str, dict[str, float]]]) -> None:
    if name not in found:
        pytest.skip("this processor does not multiply bf16")
    here = runs.key()
    exact = here in runs.known() and name in runs.recorded(here)
    recorded = [losses for key in ([here] if exact else runs.known()) if (losses := runs.recorded(key).get(name))]
    assert recorded, f"no losses recorded of {name}: python -m tests.golden.record"
    differences = [differing(found[name], golden, 0 if exact else TOLERANCE.get(name, 1e-3)) for golden in recorded]
    best = min(differences, key=len)
    assert not best, f"{name} no longer computes what it did ({'bit by bit' if exact else 'nearly'}):\n" + "\n".join(
        best
    )


def differing(now: dict[str, dict[str, float]], golden: dict[str, dict[str, float]], tolerance: float) -> list[str]:
    """One line for each value that is not the recorded one."""
    lines = []
    for metric in runs.METRICS:
        wide = tolerance * (GRADIENTS if metric == "train/grad_norm" else 1)
        for step in golden[metric].keys() | now[metric].keys():
            was, value = golden[metric].get(step), now[metric].get(step)
            same = was == value or (was and value and math.isclose(was, value, rel_tol=wide, abs_tol=0))
            if not same:
                lines.append((int(step), f"{metric} at step {step}: was {was!r}, is {value!r}"))
    return [line for _, line in sorted(lines)]


def test_recording_never_replaces_by_accident(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tests.golden import record

    file = tmp_path / f"{runs.key()}.json"
    file.write_text("kept")
    monkeypatch.setattr(runs, "LOSSES", tmp_path)
    monkeypatch.setattr("sys.argv", ["record"])
    assert record.main() == 1
    assert file.read_text() == "kept"
