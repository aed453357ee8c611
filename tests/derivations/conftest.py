"""The runs whose numbers are derived, made once; and the list of what was derived, at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.derivations.tiny_run import (
    PEAK_FLOPS,
    STEP_SECONDS,
    STEPS,
    VARIANTS,
    WAIT_SECONDS,
    TinyRun,
    arguments,
    write_corpus,
)
from tests.tiny import tiny_args


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyRun]:
    """One run of each variant of the model, and `clocked`, by name."""
    from analysis_app.library import Library
    from lab.__main__ import main

    folder: Path = tmp_path_factory.mktemp("derivations")
    write_corpus(folder)
    for name in (*VARIANTS, "clocked"):
        with clocked() if name == "clocked" else nullcontext():
            assert main(["fit", *tiny_args(folder, *arguments(name), name=name, steps=STEPS)]) == 0
    library = Library(folder / "runs")
    return {name: TinyRun(folder / "runs" / name, folder / "corpus.txt", library) for name in (*VARIANTS, "clocked")}


@contextmanager
def clocked() -> Iterator[None]:
    """A clock that moves where a batch comes and where a step is made, and nowhere else; a device with a known peak."""
    import lab.callbacks.throughput as throughput
    import lab.training.callback as callback
    import lab.training.module as module
    from lab.data.dataset import LabData
    from lab.training.looking import LookTimes

    now = 0.0

    def taking(seconds: float, function: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*args: Any, **kwargs: Any) -> Any:
            nonlocal now
            now += seconds
            return function(*args, **kwargs)

        return slow

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callback, "LookTimes", lambda: LookTimes(lambda: now))
        patch.setattr(throughput, "peak_flops", lambda device, precision: PEAK_FLOPS)
        patch.setattr(LabData, "step_batch", taking(WAIT_SECONDS, LabData.step_batch))
        patch.setattr(module, "take_step", taking(STEP_SECONDS, module.take_step))
        yield


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The list: number, derivation, agreement."""
    lines = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in getattr(report, "user_properties", ())
        if name == "derivation"
    ]
    if lines:
        terminalreporter.section("numbers derived a second time")
        for line in sorted(lines):
            terminalreporter.write_line(line)
