"""Compiled training steps: the loss and its gradient as code of their own, compiled beside the training.

Compiling takes about half a minute of a core, and PyTorch keeps what it compiled on the disk, by graph, machine and
version. So a second process compiles the same graph while the training goes on as it is, and when it is done the
training takes the code from there. What is left to do is to trace the graph: some seconds. A later run with the same
model, batch and machine finds it compiled.

    python -m lab.training.compiling '{"config": {…}, "batch_size": 16, …}'     the process beside
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.model import GPT, GPTConfig
from lab.model.loss import Reduction
from lab.training.levers import AUTOCAST, Levers

FOLDER = "TORCHINDUCTOR_CACHE_DIR"  # where PyTorch keeps what it compiled; unset: below /tmp
COMPILERS = ("g++", "clang++", "c++")
OPTIONS: dict[str, Any] = {"cpp.dynamic_threads": True}  # as many threads as a step has, not as the run began with
NICENESS = 10  # of the process beside: a tenth of a core that the training fills, all of one that it leaves


@dataclass(frozen=True)
class Graph:
    """What is compiled: everything that the traced graph depends on.

    Args:
        config: The network.
        batch_size: Sequences of a forward pass.
        context_length: Tokens a sequence has.
        levers: Kernels, precision, threads.
    """

    config: GPTConfig
    batch_size: int
    context_length: int
    levers: Levers

    def as_json(self) -> str:
        """For the process beside."""
        return json.dumps(asdict(replace(self, levers=replace(self.levers, compile=False, give_way=False))))

    @classmethod
    def of_json(cls, text: str) -> Graph:
        """What `as_json` wrote."""
        read = json.loads(text)
        return cls(**{**read, "config": GPTConfig(**read["config"]), "levers": Levers(**read["levers"])})

    def compile(self, model: GPT) -> None:
        """Compile the loss of `model` for training batches of this shape; everything else it computes stays as it was.

        One step's loss and gradient are computed here, so that the next step finds all of it ready.
        """
        eager = model.loss
        compiled = torch.compile(eager, options=OPTIONS)
        shape = (self.batch_size, self.context_length)

        def loss(tokens: Tensor, targets: Tensor, reduction: Reduction = "mean") -> Tensor:
            # Validation and analyses would be compiled anew, each for its mode and shape.
            if not (model.training and torch.is_grad_enabled() and tokens.shape == shape and reduction == "sum"):
                return eager(tokens, targets, reduction)
            result: Tensor = compiled(tokens, targets, reduction)
            return result

        device = model.token_embedding.weight.device
        tokens, targets = torch.zeros((2, *shape), dtype=torch.int64, device=device)  # two tensors, as in a step
        with _autocast(self.levers):
            nats = loss(tokens, targets, "sum")
        nats.backward()
        model.zero_grad()
        vars(model)["loss"] = loss


class Beside:
    """The process that compiles a graph beside the training; it ends with the training's, however that ends.

    Args:
        graph: What it compiles.
        folder: Where PyTorch keeps what it compiled, unless the environment says where.
    """

    def __init__(self, graph: Graph, folder: Path) -> None:
        os.environ.setdefault(FOLDER, str(folder))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, graph.as_json()],
            stdin=subprocess.PIPE,  # closed with this process: what is read there ends the other
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for the training
            env={
                "TORCHINDUCTOR_COMPILE_THREADS": "1",
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
        )

    def ready(self) -> bool:
        """Whether the graph is compiled. Raises RuntimeError, with the last line of what was said, where it failed."""
        if (code := self._process.poll()) is None:
            return False
        if code:
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").split("\n")
            said = next((line for line in reversed(lines) if line.strip()), f"exit code {code}")
            raise RuntimeError(f"compiling beside the training failed: {said.strip()}")
        return True

    def end(self) -> None:
        """Stop it, if it still runs."""
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._errors.close()


def _autocast(levers: Levers) -> AbstractContextManager[Any]:
    """As in a step of Lightning's, which keeps no cast weights: compiled code is bound to that, too."""
    dtype = AUTOCAST.get(levers.precision)
    return nullcontext() if dtype is None else torch.autocast(levers.device, dtype, cache_enabled=False)


def missing_compiler() -> str | None:
    """Why nothing can be compiled here, in a clause; None where it can."""
    names = (os.environ["CXX"],) if os.environ.get("CXX") else COMPILERS
    return None if any(map(shutil.which, names)) else f"no C++ compiler at hand ({', '.join(names)})"


def main(text: str) -> None:
    """The process beside: compile the graph, at low priority, while the training lives."""
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
    os.nice(NICENESS)
    graph = Graph.of_json(text)
    model = GPT(graph.config).train()
    graph.levers.apply(model)
    graph.compile(model)


if __name__ == "__main__":
    main(sys.argv[1])
