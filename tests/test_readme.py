"""The README keeps its word: every command in it is run (shrunk), every example too, every link leads somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.__main__ import COMMANDS, main
from lab.runs import open_run
from lab.settings.parse import build_parser
from scripts import run_picture
from tests.shrunk import shrunk
from tests.tiny import write_corpus

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STEPS = 4
SMALLER = {"1000": "2", "4000": "6", "64": "2", "1024": "270"}
"""Steps (and a vocabulary) that the README names, and their like in runs of `STEPS` steps on a short text."""
SHRUNK = ("--checkpoint.milestones", "--fork", "--step", "--horizon.steps", "--vocab_size")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every command of the `sh` and `console` blocks as words, comments left out."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    lines += [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like a clone of the project, with the texts the README speaks of."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("configs", "scripts", "lab"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "notes").mkdir()
    write_corpus(folder / "my-book.txt")
    lines = [f"ROMEO: {line}" for line in write_corpus(folder / "corpus.txt").read_text().splitlines()]
    (folder / "corpus.txt").write_text("\n".join(lines))
    for i in range(20):
        (folder / "notes" / f"{i}.md").write_text("\n".join(lines[i * 30 : i * 30 + 30]))
    (folder / "posts.jsonl").write_text("".join(json.dumps({"body": line}) + "\n" for line in lines))
    return folder


def smaller(words: list[str]) -> list[str]:
    """A command with the numbers of a short run."""
    changed = list(words)
    for i, word in enumerate(words[1:], start=1):
        if words[i - 1] in SHRUNK:
            changed[i] = re.sub(r"\d+", lambda number: SMALLER[number[0]], word)
    return changed


def run_lab(words: list[str], desk: Path) -> None:
    """`python -m lab …` in this process, a fit shrunk."""
    command, *rest = smaller(words)
    if command == "control":  # its runs are complete here, and it says so; tests/callbacks steers one that trains
        assert main([command, *rest]) == 2
        return
    if command == "plan":
        rest = [*shrunk(rest, desk, steps=STEPS), "--tensorboard", "false"]
    if command == "fit" and not {"--resume", "--fork"} & set(rest):
        rest = [*shrunk(rest, desk, steps=STEPS), "--tensorboard", "false"]
    elif command == "plan":
        rest = [*shrunk(rest, desk, steps=STEPS), "--measure", "false"]
    elif command == "fit" and "--horizon.steps" not in rest and "--resume" in rest:
        wanted = open_run(rest[rest.index("--resume") + 1], desk / "runs").status().total_steps or 0
        rest += ["--horizon.steps", str(wanted + 1)]  # it is complete, not interrupted: there must be more to do
    assert main([command, *rest]) == 0, shlex.join([command, *rest])


def run_script(words: list[str], desk: Path) -> None:
    """`python scripts/….py …` in this process."""
    assert words[0] == "scripts/run_picture.py", f"say in {__file__} how {words[0]} is run"
    assert run_picture.main(words[1:]) == 0


def run_python(words: list[str], desk: Path) -> None:
    """`python …`."""
    if words[:2] == ["-m", "lab"]:
        run_lab(words[2:], desk)
    elif words[:2] == ["-m", "analysis_app"]:
        understands_page(words[2:])
    else:
        run_script(words, desk)


def understands_page(words: list[str]) -> None:
    """The page understands the line; tests/analysis_app starts it."""
    from analysis_app.__main__ import main as page

    assert page([*words, "--port", "-1"]) == 2  # refused for its port alone, which comes after everything else


def parse_tensorboard(words: list[str], desk: Path) -> None:
    """TensorBoard understands the line; it is not started."""
    from tensorboard import program

    board = program.TensorBoard()
    board.configure(["tensorboard", *words])
    assert board.flags.logdir == "runs"


def parse_wandb(words: list[str], desk: Path) -> None:
    """W&B has the command, and the files it is to find are there; nothing is sent."""
    from wandb.cli.cli import cli

    assert words[0] in cli.commands
    assert list(desk.glob(words[1])), f"{words[1]} is not where the run put its files"


def find_script(words: list[str], desk: Path) -> None:
    """A set-up script is there, may be run, and says how in its head; tests/scripts runs it."""
    script = desk / words[0]
    assert os.access(script, os.X_OK)
    assert words[0] in script.read_text()[:400]


def activate(words: list[str], desk: Path) -> None:
    """The environment is where the set-up scripts make it."""
    assert f"{Path(words[0]).parent}/python" in (ROOT / "scripts" / "_venv.sh").read_text()


RUNNERS: dict[str, Callable[[list[str], Path], None]] = {
    "python": run_python,
    "tensorboard": parse_tensorboard,
    "wandb": parse_wandb,
    ".": activate,
}


@pytest.mark.slow
@pytest.mark.timeout(1200)  # forty commands, one after another
def test_every_command_works_in_the_order_of_the_readme(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    done = set()
    for program, *words in commands():
        if program.startswith("./scripts/"):
            find_script([program, *words], desk)
        else:
            assert program in RUNNERS, f"say in {__file__} how {program} is run"
            RUNNERS[program](words, desk)
        done |= {words[2]} if words[:2] == ["-m", "lab"] else set()
    assert done >= COMMANDS.keys(), "every command has an example"
    for example in blocks("python"):
        exec(compile(example, "README.md", "exec"), {})


def test_the_help_explains_every_setting_of_the_lab() -> None:
    parser = build_parser("fit")
    settings = [action for action in parser._actions if "." in action.dest and not action.dest.startswith("trainer.")]
    assert len(settings) > 50
    groups = ("model.config", "model.optimizer", "model.schedule")
    assert not [s.dest for s in settings if s.dest not in groups and "vocab_size" not in s.dest and not s.help]


def test_links_and_rooms_lead_somewhere() -> None:
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", README)]
    rooms = re.findall(r"^\| `((?:lab|configs|scripts|analysis_app)[\w/.]*)`", README, re.MULTILINE)
    assert len(rooms) > 8
    for target in [*(t for t in targets if not t.startswith("http")), *rooms]:
        assert (ROOT / target).exists(), target


def test_every_room_is_on_the_map() -> None:
    rooms = {f"lab/{path.name}" for path in (ROOT / "lab").iterdir() if (path / "__init__.py").exists()}
    if (ROOT / "analysis_app" / "__init__.py").exists():
        rooms.add("analysis_app")
    assert not {room for room in rooms if f"| `{room}`" not in README}


def test_the_presets_and_configurations_are_all_in_the_tables() -> None:
    for path in (*(ROOT / "configs" / "model").glob("*.yaml"), *(ROOT / "configs").glob("*.yaml")):
        name = path.stem if path.parent.name == "model" else path.name
        assert f"| `{name}`" in README, f"{path.relative_to(ROOT)} is in no table"


def test_extras_named_are_extras() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"'\.\[(\w+)\]'", README)) <= extras.keys()
