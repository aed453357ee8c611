"""The benchmarks run and say what they promise; nothing here asserts a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import bench
from scripts.benchmarks.measure import Row, TimedProcess, compare, contention, percentile, run_by_turns
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
COLUMNS = {"benchmark", "workload", "variant", "threads", "ratio", "milliseconds", "tokens_per_second"}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of `bench.py --quick`, run as a person runs it."""
    file = tmp_path_factory.mktemp("bench") / "rows.json"
    command = [sys.executable, str(ROOT / "scripts/bench.py"), "--quick", "--json", str(file)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "ratio" in done.stdout
    report = json.loads(file.read_text())
    assert {"cpu", "cores", "torch", "contention.train"} <= set(report["machine"])
    rows: list[dict[str, Any]] = report["rows"]
    return rows


@pytest.mark.slow
def test_every_benchmark_yields_rows_with_the_promised_columns(quick: list[dict[str, Any]]) -> None:
    assert {row["benchmark"] for row in quick} == set(bench.MODULES)
    assert all(set(row) >= COLUMNS for row in quick)


@pytest.mark.slow
def test_low_precision_learns_what_fp32_learns(quick: list[dict[str, Any]]) -> None:
    parity = {row["variant"]: row["value"] for row in quick if row["unit"].startswith("val loss")}
    assert parity["lab, fp32"] == pytest.approx(parity["reference"], abs=1e-4)
    assert parity["lab"] == pytest.approx(parity["reference"], abs=0.02)


@pytest.mark.slow
def test_the_cache_writes_what_the_reference_writes(quick: list[dict[str, Any]]) -> None:
    agreement = [row["value"] for row in quick if row["unit"].startswith("share of equal tokens")]
    assert agreement == [1.0]


@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_startup_is_measured_beside_another_checkout(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    assert bench.main(["startup", "--quick", "--beside", str(ROOT), "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    names = ["--help", "runs, 10 of them", "fit to its first step on pico", "the page's first answer"]
    assert [(row["workload"], row["variant"]) for row in rows] == [(n, v) for n in names for v in ("beside", "lab")]
    assert all(row["ratio"] > 0 and row["milliseconds"] > 0 for row in rows)
    assert [row["ratio"] for row in rows if row["variant"] == "beside"] == [1.0] * 4


def test_what_is_no_checkout_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["startup", "--beside", str(tmp_path)])
    assert f"--beside {tmp_path}: no checkout of this project" in capsys.readouterr().err


def build_adder(start: int) -> Any:
    """A process of next to no work."""
    return lambda n: start + n


def build_failure() -> Any:
    raise ValueError("no such thing")


def test_processes_run_by_turns_and_failures_are_told() -> None:
    pair = [TimedProcess(name, build_adder, 1) for name in ("one", "other")]
    run_by_turns(pair, blocks=2, steps=3, warm_up=1)
    assert [len(one.times) for one in pair] == [6, 6]
    rows = compare("train", "A", pair, 1, tokens=100)
    assert rows[0].ratio == 1.0
    assert rows[1].tokens_per_second
    failing = TimedProcess("broken", build_failure)
    with pytest.raises(RuntimeError, match="'broken' failed: ValueError: no such thing"):
        failing.block(1)
    failing.close()


def test_percentiles_and_what_is_unknown() -> None:
    assert percentile([5.0, 1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0, 10.0], 0.1) == 2.0
    assert bench.shown(None, "{:.2f}") == "n/a"
    assert bench.table("train", [Row("train", "A", "reference")]).row_count == 1


def test_contention_is_a_share() -> None:
    found = contention(0.02)
    assert 0 <= found.stolen <= 1
    assert "%" in str(found)


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["speed"])
    assert "no benchmark speed; there are train, recipe" in capsys.readouterr().err
