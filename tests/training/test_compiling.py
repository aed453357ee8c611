"""A graph compiled in a process beside is taken from there: the same losses, and everything but training as it was."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from lab.model import GPT, GPTConfig
from lab.training import compiling
from lab.training.compiling import Beside, Graph, missing_compiler
from lab.training.levers import LeverConfig, choose_levers
from lab.training.stopping import StoppableTrainer

SMALL = GPTConfig(n_layers=1, n_heads=2, d_model=16, context_length=8, vocab_size=32)
TOKENS = torch.arange(32).view(4, 8)


def graph(config: GPTConfig = SMALL, precision: str = "32") -> Graph:
    asked = LeverConfig(threads=torch.get_num_threads(), compile="beside", keep_memory=False)
    return Graph(config, 4, 8, choose_levers(asked, precision=precision, config=config, device="cpu"))


@pytest.fixture
def eager_graphs(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """Shapes of the batches that were computed by compiled code; nothing is compiled for real."""
    shapes: list[torch.Size] = []

    def traced(function: object, **_: object) -> object:
        def counted(tokens: torch.Tensor, *more: object) -> object:
            shapes.append(tokens.shape)
            return function(tokens, *more)  # type: ignore[operator]

        return counted

    monkeypatch.setattr(torch, "compile", traced)
    return shapes


def test_only_training_batches_of_its_shape_are_compiled(eager_graphs: list[torch.Size]) -> None:
    model = GPT(SMALL).train()
    names = set(model.state_dict())
    graph().compile(model)
    assert eager_graphs == [(4, 8)], "computed once, to be ready for the next step"
    assert all(p.grad is None for p in model.parameters())
    model.loss(TOKENS, TOKENS, reduction="sum").backward()
    assert len(eager_graphs) == 2
    model.loss(TOKENS[:2], TOKENS[:2], reduction="sum")
    model.loss(TOKENS, TOKENS, reduction="none")
    with torch.no_grad():
        model.loss(TOKENS, TOKENS, reduction="sum")
    model.eval().loss(TOKENS, TOKENS, reduction="sum")
    assert len(eager_graphs) == 2
    assert set(model.state_dict()) == names


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_the_next_step_of_the_trainer_finds_all_of_it_ready(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    traced, compile = [], torch.compile

    def backend(module: torch.fx.GraphModule, _: object) -> object:
        traced.append(module)
        return module.forward

    monkeypatch.setattr(torch, "compile", lambda function, **_: compile(function, backend=backend))
    model, ours = GPT(SMALL).train(), graph(precision=precision)
    ours.compile(model)
    trainer = StoppableTrainer(accelerator="cpu", precision=ours.levers.precision, logger=False)
    tokens, targets = (TOKENS[None].expand(2, -1, -1).contiguous() for _ in range(2))
    for n in range(2):
        with trainer.precision_plugin.train_step_context():
            model.loss(tokens[n], targets[n], reduction="sum").backward()
    assert len(traced) == 1


def test_a_graph_goes_through_json() -> None:
    again = Graph.of_json(graph().as_json())
    assert (again.config, again.batch_size, again.context_length) == (SMALL, 4, 8)
    assert again.levers.precision == "32-true"
    assert again.levers.compile is False, "the process beside compiles by itself"


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler() is not None, reason="compiling needs a C++ compiler, such as g++")
def test_what_was_compiled_beside_is_found_and_computes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compiling.FOLDER, str(tmp_path))
    beside = Beside(graph(), tmp_path)
    while not beside.ready():
        time.sleep(0.2)
    beside.end()

    from torch._dynamo.utils import counters

    counters.clear()
    targets = TOKENS.flip(0)
    torch.manual_seed(0)
    model = GPT(SMALL).train()
    eager = model.loss(TOKENS, targets, reduction="sum")
    gradients = torch.autograd.grad(eager, list(model.parameters()))
    graph().compile(model)
    found = counters["inductor"]
    assert (found["fxgraph_cache_hit"], found["fxgraph_cache_miss"]) == (2, 0), "forward and backward"
    compiled = model.loss(TOKENS, targets, reduction="sum")
    compiled.backward()
    assert counters["stats"]["unique_graphs"] == 1, "the step took what was ready"
    torch.testing.assert_close(compiled, eager, rtol=1e-5, atol=1e-5)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-5)


def test_a_compilation_that_fails_says_its_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Graph, "as_json", lambda self: "{}")
    monkeypatch.setenv(compiling.FOLDER, str(tmp_path))
    beside = Beside(graph(), tmp_path)
    with pytest.raises(RuntimeError, match=r"compiling beside the training failed: KeyError: 'config'"):  # noqa: PT012
        while not beside.ready():
            time.sleep(0.1)
    beside.end()


def test_it_ends_with_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiling.FOLDER, str(tmp_path))
    beside = Beside(graph(GPTConfig(vocab_size=512)), tmp_path)
    assert beside._process.stdin is not None
    beside._process.stdin.close()  # as when the training is killed
    assert beside._process.wait() == 1
    beside.end()


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert missing_compiler() == "no C++ compiler at hand (g++, clang++, c++)"
    monkeypatch.setenv("CXX", "icpx")
    assert missing_compiler() == "no C++ compiler at hand (icpx)"
