"""What a command does not use is not imported: each runs in a process of its own, whose modules are then looked at."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import lab, tiny_args

ROOT = Path(__file__).parents[1]
COMPILER = {"torch._dynamo", "torch._inductor.compile_fx", "sympy", "torch.onnx"}
DASHBOARDS = {"wandb", "tensorboard", "grpc", "google.protobuf"}
PICTURES = {"matplotlib", "PIL"}
TABLES = {"pandas.core", "pyarrow", "scipy", "networkx", "transformers"}
PAGE = {"gradio", "fastapi", "uvicorn"}
TRAINING = {"lightning", "torchmetrics", "jsonargparse"}
NEVER = {*COMPILER, *TABLES, "torchmetrics.classification", "wandb"}
NO_TORCH = {*NEVER, *DASHBOARDS, *TRAINING, *PAGE, "torch", "tokenizers", "tiktoken"}
LOOK = """
import contextlib, io, json, sys
from {module} import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    try:
        code = main({words})
    except SystemExit as end:
        code = end.code
print(json.dumps([code, sorted(sys.modules)]))
"""


def loaded(module: str, *words: str) -> set[str]:
    """The modules that are there once `main` of `module` has returned with 0."""
    code = LOOK.format(module=module, words=list(words))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    exit_code, modules = json.loads(done.stdout.splitlines()[-1])
    assert not exit_code
    return set(modules)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, `tiny`, and a copy of it."""
    folder = tmp_path_factory.mktemp("light")
    done = lab("fit", *tiny_args(folder, "--data.cache_dir", str(folder / "cache"), steps=2))
    assert done.returncode == 0, done.stderr
    shutil.copytree(folder / "runs" / "tiny", folder / "runs" / "copy")
    return folder


@pytest.mark.parametrize(
    ("command", "unused"),
    [
        ("--help", {*NO_TORCH, *PICTURES, "numpy", "rich", "yaml", "logging"}),
        ("runs", {*NO_TORCH, *PICTURES, "numpy"}),
        ("runs show tiny", {*NO_TORCH, *PICTURES, "numpy"}),
        ("watch --help", {*NO_TORCH, *PICTURES, "numpy"}),
        ("control --help", {*NO_TORCH, *PICTURES, "numpy"}),
        ("compare tiny copy", {*NO_TORCH, *PICTURES}),
        ("diagnose tiny", {*NO_TORCH, *PICTURES}),
        ("report tiny", NO_TORCH),
        ("tokenizer --help", {*NO_TORCH, *PICTURES}),
        ("batch tiny 1", {*NEVER, *DASHBOARDS, *TRAINING, *PICTURES, *PAGE}),
        ("generate tiny --prompt the --max_new_tokens 2", {*NEVER, *DASHBOARDS, *TRAINING, *PICTURES, *PAGE}),
    ],
)
def test_commands_that_read_runs(place: Path, command: str, unused: set[str]) -> None:
    words = command.split()
    root = [] if words[-1] == "--help" else ["--root", str(place / "runs")]
    assert sorted(unused & loaded("lab.__main__", *words, *root)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "unused"),
    [
        ("fit --help", {*NEVER, *DASHBOARDS, *PICTURES, *PAGE}),
        ("plan --help", {*NEVER, *DASHBOARDS, *PICTURES, *PAGE}),
        ("fit --tensorboard false", {*NEVER, *DASHBOARDS, *PAGE}),
        ("fit --tensorboard true", {*NEVER, *PAGE, "grpc"}),
        # It counts memory on fake tensors, for which PyTorch imports its compiler.
        ("plan --measure false", {*TABLES, *DASHBOARDS, *PICTURES, *PAGE}),
        ("validate tiny", {*NEVER, *DASHBOARDS, *PICTURES, *PAGE}),
    ],
)
def test_commands_that_train(place: Path, command: str, unused: set[str]) -> None:
    words = command.split()
    if words[0] == "validate":
        words += ["--root", str(place / "runs")]
    elif words[-1] != "--help":
        settings = tiny_args(
            place, "--data.cache_dir", str(place / "cache"), steps=2, name="-".join((words[0], words[-1]))
        )
        words = [words[0], *settings, *words[1:]]
    assert sorted(unused & loaded("lab.__main__", *words)) == []


@pytest.mark.slow
def test_the_page(tmp_path: Path) -> None:
    code = (
        "from fastapi.testclient import TestClient; import json, sys; from analysis_app.server.app import create_app\n"
        f"page = TestClient(create_app({str(tmp_path)!r}), base_url='http://127.0.0.1')\n"
        "assert page.get('/').status_code == 200; print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    found = set(json.loads(done.stdout.splitlines()[-1]))
    assert sorted({*NEVER, *DASHBOARDS, *TRAINING, "matplotlib"} & found) == []
