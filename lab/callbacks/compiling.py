"""Compiled steps from when they are ready: `levers.compile: beside`.

The first steps are computed as they are written. A process beside compiles, and the step at which the training changes
over is on record: a resumed run changes over there again, and gets the same bits. Compiled steps compute the same
numbers up to rounding (with dropout: from other random numbers).
"""

from __future__ import annotations

import time
from typing import Any

from lab.data.cache import cache_root
from lab.training.callback import FitContext
from lab.training.compiling import Beside, Graph, missing_compiler
from lab.training.deciding import Deciding
from lab.training.levers import Levers


class CompileBeside(Deciding):
    """Changes over to compiled steps once a process beside the training has compiled them.

    Where there is no compiler, or compiling fails, the training goes on as it is, said in a line.

    Args:
        levers: As the training has them.
        cache_dir: Where compiled code is kept, in a folder of its own.
    """

    what = "compiled"
    settings = ("levers.compile",)

    def __init__(self, levers: Levers, cache_dir: str | None = None) -> None:
        super().__init__()
        self._levers, self._folder = levers, cache_root(cache_dir) / "compiled"
        self._beside: Beside | None = None
        self._began = 0.0

    def start(self, fit: FitContext) -> None:
        """Start compiling, unless a decision on record has the training compiled from its start."""
        super().start(fit)
        if self.held is not None or fit.n_processes > 1:
            return
        if (why := missing_compiler()) is not None:
            fit.say(f"levers.compile: {why}; steps stay as they are")
            return
        self._beside, self._began = Beside(self._graph(fit), self._folder), time.monotonic()

    def decide(self, fit: FitContext) -> tuple[Any, str] | None:
        """Whether the compiled code is there now."""
        if self._beside is None:
            return None
        try:
            if not self._beside.ready():
                return None
            seconds = time.monotonic() - self._began
            return True, f"steps are compiled from here on, after {seconds:.0f} s of compiling beside"
        except RuntimeError as error:
            self._give_up(fit, error)
            return None

    def apply(self, fit: FitContext, value: Any) -> None:
        """Compile in this process, mostly from what is kept."""
        self._end()
        begin = time.monotonic()
        try:
            self._graph(fit).compile(fit.model)
        except Exception as error:  # whatever PyTorch, a compiler or a full disk has to say: the training goes on
            self._give_up(fit, error)
        else:
            fit.say(f"step {fit.step:,}: the change-over took {time.monotonic() - begin:.1f} s")

    def end(self, fit: FitContext) -> None:
        """The training is over: nothing is compiled any more."""
        self._end()

    def failed(self, fit: FitContext, error: BaseException) -> None:
        """As at the end."""
        self._end()

    def _graph(self, fit: FitContext) -> Graph:
        return Graph(fit.model.config, fit.data.batch_size, fit.data.context_length, self._levers)

    def _give_up(self, fit: FitContext, error: Exception) -> None:
        self._end()
        fit.logbook.failure("levers.compile", fit.step, error)

    def _end(self) -> None:
        if self._beside is not None:
            self._beside.end()
            self._beside = None
