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


@pytest.mark.parametrize(
    "asked",
    [
        "import pandas as pd; print(type(pd.DataFrame({'a': [1]})).__name__)",
        "from pandas import DataFrame as found; print(found.__name__)",
        "import pandas.core.frame as files; import pandas; print(files.DataFrame.__name__ * (files.DataFrame is"
        " pandas.DataFrame and files is pandas.core.frame and files.__spec__.name == 'pandas.core.frame'))",
        "from pandas.core.frame import DataFrame as found; print(found.__name__)",
    ],
)
def test_pandas_is_there_for_whoever_uses_it(asked: str) -> None:
    pytest.importorskip("pandas")
    assert said_by(f"import sys, lab, pandas; print('pandas.core' in sys.modules); {asked}") == "False\nDataFrame"


@pytest.mark.slow
def test_gradio_comes_without_pandas_and_writes_no_files_of_types() -> None:
    code = """
        import sys, lab
        from pathlib import Path
        read = []
        sys.addaudithook(lambda event, given: read.append(str(given[0])) if event == "open" else None)
        import gradio
        print("pandas.core" in sys.modules, [name for name in read if name.endswith(".pyi")])
        print(gradio.HTML("text").change is not None)
    """
    assert said_by(code) == "False []\nTrue"
