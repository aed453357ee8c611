"""The lab as a wheel: built, installed into an environment of its own, used from a folder that knows no clone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from tests.patience import PATIENCE

pytest.importorskip("hatchling")
ROOT = Path(__file__).parents[1]
TEXT = "the cat sat on the mat and the dog ran\n" * 450
TINY = ["--model.config.n_layers=1", "--model.config.n_heads=2", "--model.config.d_model=32", "--horizon.steps=4"]
TINY += ["--model.config.context_length=16", "--data.corpus=text", "--data.path=corpus.txt", "--data.tokenizer=char"]
# Packages of the extras: hidden, they are as good as not installed.
HIDING = "import sys\nfor name in {names}:\n    sys.modules[name] = None\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    built = subprocess.run(
        [sys.executable, "-c", build, str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return folder / built.stdout.split()[-1]


class Installed:
    """An environment with the wheel in it; what the lab depends on is taken from the environment of these tests."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder / "env", symlinks=True)
        self.bin, self.home = folder / "env" / "bin", folder / "home"
        self.home.mkdir()
        (self.home / "corpus.txt").write_text(TEXT)
        self.packages = folder / "env" / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self.packages)
        # A path in a .pth file brings the packages of that folder, but not what its own .pth files point to: no clone.
        (self.packages / "others.pth").write_text(sysconfig.get_path("purelib"))

    def run(self, *words: str, hide: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        sitecustomize = self.packages / "sitecustomize.py"
        sitecustomize.write_text(HIDING.format(names=hide))
        return subprocess.run(self.command(*words), **self.where(), capture_output=True, text=True, timeout=PATIENCE)

    def command(self, *words: str) -> list[str]:
        return [str(self.bin / "python"), "-m", *words]

    def where(self) -> dict:
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LAB_DATA_DIR")}
        return {"cwd": self.home, "env": clean | {"XDG_CACHE_HOME": str(self.home / "cache")}}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


def test_everything_that_is_read_beside_the_code_is_inside(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for package in ("lab", "analysis_app"):
        tracked = {p.relative_to(ROOT).as_posix() for p in (ROOT / package).rglob("*") if p.is_file()}
        assert {name for name in tracked if "__pycache__" not in name} <= inside
    configurations = {f"lab/configurations/{p.relative_to(ROOT / 'configs')}" for p in ROOT.glob("configs/**/*.yaml")}
    assert configurations <= inside
    entry_points = next(name for name in inside if name.endswith("entry_points.txt"))
    assert "lab = lab.__main__:command" in zipfile.ZipFile(wheel).read(entry_points).decode()


def test_it_trains_without_the_extras_and_says_what_they_would_add(installed: Installed) -> None:
    extras = ("wandb", "gradio", "fastapi", "uvicorn", "websockets", "pydantic")
    done = installed.run("lab", "fit", "--run.name=first", *TINY, hide=extras)
    assert done.returncode == 0, done.stderr
    report = installed.run("lab", "report", "first", "--html", hide=extras)
    assert report.returncode == 0, report.stderr
    assert "<style>" in (installed.home / "runs/first/report.html").read_text()
    refused = installed.run("lab", "fit", "--run.name=second", "--wandb=offline", *TINY, hide=extras)
    assert refused.returncode == 2
    assert "pip install 'pretraining-lab[wandb]'" in refused.stderr
    assert not (installed.home / "runs/second").exists()
    page = installed.run("analysis_app", hide=extras)
    assert page.returncode == 2
    assert "pip install 'pretraining-lab[page]'" in page.stderr


def test_configurations_are_found_by_name_from_any_folder(installed: Installed) -> None:
    checked = installed.run("lab", "fit", "--check", "--config", "quickstart", "--model.config", "model/pico")
    assert checked.returncode == 0, checked.stderr
    assert "settings are fine" in checked.stdout


def test_the_page_opens(installed: Installed) -> None:
    process = subprocess.Popen(
        installed.command("analysis_app", "--port", "0"), **installed.where(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        line = next(line for line in process.stdout if " is at " in line)
        url = line.split(" is at ")[1].split("/  ")[0]
        with urllib.request.urlopen(f"{url}/api/train/options", timeout=PATIENCE) as answer:
            assert {one["name"] for one in json.load(answer)["configurations"]} >= {"quickstart", "experiments/markov"}
    finally:
        process.terminate()
        process.wait()
