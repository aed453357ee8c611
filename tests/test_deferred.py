"""What is put off comes in full once it is asked for; what Lightning was given in its place tells the truth."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def said_by(code: str) -> str:
    """What a fresh Python prints."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


BEGIN = "import sys, lab, lightning as L, torch; loaded = lambda name: name in sys.modules\n"


def test_lightning_is_imported_without_dynamo_and_without_the_metrics() -> None:
    assert said_by(BEGIN + "print([m for m in ('torch._dynamo', 'sympy', 'matplotlib') if loaded(m)])") == "[]"
    assert (
        said_by(BEGIN + "print(loaded('torchmetrics.metric'), loaded('torchmetrics.classification'))") == "True False"
    )


def test_a_compiled_module_is_told_from_another_before_and_after_something_was_compiled() -> None:
    code = """
        from lightning.fabric.wrappers import OptimizedModule
        plain = torch.nn.Linear(2, 2)
        print(isinstance(plain, OptimizedModule), loaded("torch._dynamo"))
        compiled = torch.compile(plain, backend="eager")
        print(isinstance(plain, OptimizedModule), isinstance(compiled, OptimizedModule))
        print(float((compiled(torch.ones(2)) - plain(torch.ones(2))).abs().sum()), torch._dynamo.config.verbose)
    """
    assert said_by(BEGIN + textwrap.dedent(code)).split("\n") == ["False False", "False True", "0.0 False"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked",
    [
        "from torchmetrics import Accuracy as found",
        "import torchmetrics; found = torchmetrics.functional.accuracy",
        "from torchmetrics.classification import BinaryAccuracy as found",
        "from torchmetrics import *; found = MeanMetric",
        "from torchmetrics.utilities.plot import plot_curve as found",
        "from torchmetrics.wrappers import MinMaxMetric as found",
    ],
)
def test_whoever_wants_more_of_torchmetrics_has_it(asked: str) -> None:
    assert said_by(BEGIN + f"{asked}\nprint(found.__module__.split('.')[0])") == "torchmetrics"


def test_torchmetrics_says_its_version_and_has_its_source() -> None:
    code = "import inspect, torchmetrics; print(torchmetrics.__version__, 'info' in inspect.getsource(torchmetrics))"
    version, source = said_by(BEGIN + code).split()
    assert version[0].isdigit()
    assert source == "True"


def test_a_metric_plots() -> None:
    code = """
        from torchmetrics import SumMetric
        total = SumMetric()
        total.update(torch.tensor(3.0))
        print(loaded("matplotlib"))
        figure, _ = total.plot()
        print(type(figure).__name__)
    """
    assert said_by(BEGIN + textwrap.dedent(code)).split() == ["False", "Figure"]


def test_lightning_imported_first_stays_as_it_is() -> None:
    code = "import torch._dynamo, lightning, torchmetrics, lab; print(torch._dynamo.OptimizedModule.__module__)"
    assert said_by(code) == "torch._dynamo.eval_frame"
