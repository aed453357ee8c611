"""README, CONTRIBUTING and docs/ say what is so: every command in them is run (shrunk) or checked, every Python example
is run, every link, anchor and path leads somewhere.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis_app.page.tabs import TABS
from lab.__main__ import COMMANDS, main
from lab.runs import open_run
from lab.settings.parse import build_parser
from scripts import run_picture
from tests.shrunk import shrunk
from tests.tiny import write_corpus

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
}
STEPS = 4
SMALLER = {"1000": "2", "4000": "6", "64": "2", "1024": "270"}
"""Steps (and a vocabulary) that the pages name, and their like in runs of `STEPS` steps on a short text."""
SHRUNK = ("--checkpoint.milestones", "--fork", "--step", "--horizon.steps", "--vocab_size")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """Every command of the `sh` blocks as words, comments left out."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: it looks like a clone of the project, with the texts that the pages name."""
    folder = tmp_path
    monkeypatch.chdir(folder)
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


def find_tool(program: str) -> None:
    """A tool of the environment, such as `.venv/bin/ruff`, is installed with the tests."""
    assert Path(sys.executable).with_name(Path(program).name).exists(), program


def find_npm_script(words: list[str], desk: Path) -> None:
    """`npm install && npm run check`: package.json has the script."""
    assert words[-2] == "run"
    assert words[-1] in json.loads((ROOT / "package.json").read_text())["scripts"]


def activate(words: list[str], desk: Path) -> None:
    """The environment is where the set-up scripts make it."""
    assert f"{Path(words[0]).parent}/python" in (ROOT / "scripts" / "_venv.sh").read_text()


RUNNERS: dict[str, Callable[[list[str], Path], None]] = {
    "python": run_python,
    "tensorboard": parse_tensorboard,
    "wandb": parse_wandb,
    ".": activate,
    "npm": find_npm_script,
}


def run_page(page: str, desk: Path) -> None:
    """Every command of a page, in its order."""
    for program, *words in commands(page):
        if program.startswith("./scripts/"):
            find_script([program, *words], desk)
        elif program.startswith(".venv/bin/"):
            find_tool(program)
        else:
            assert program in RUNNERS, f"say in {__file__} how {program} is run"
            RUNNERS[program](words, desk)


def make_run_of_readme(page: str, desk: Path) -> None:
    """The run that README trains first, where a page speaks of it and does not train it itself."""
    named = re.search(r'my-run|"last"', PAGES[page])
    if named and not any("--run.name" in words for words in commands(page)):
        run_python(next(words for words in commands("README.md") if "my-run" in words)[1:], desk)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh") or blocks(page, "python")])
def test_every_command_and_example_works_in_the_order_of_the_page(page: str, desk: Path) -> None:
    make_run_of_readme(page, desk)
    run_page(page, desk)
    for example in blocks(page, "python"):
        exec(compile(example, page, "exec"), {})


def test_every_command_of_the_lab_has_an_example() -> None:
    shown = {words[3] for page in PAGES for words in commands(page) if words[:3] == ["python", "-m", "lab"]}
    assert shown >= COMMANDS.keys()


def anchors(page: Path) -> set[str]:
    """What `#…` may name in a page: its headings as GitHub and the site write them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        if re.match(r"https?:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


@pytest.mark.parametrize("page", PAGES)
def test_every_path_named_exists(page: str) -> None:
    folders = "lab|analysis_app|configs|scripts|tests|docs|\\.ci"
    named = re.findall(rf"(?<![\w/.-])(?:\./)?(?:{folders})/[\w./-]*\w", PAGES[page])
    placeholders = re.compile(r"ROOM|MODULE|NAME")
    assert not [path for path in named if not (placeholders.search(path) or (ROOT / path).exists())]


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_named_is_one(page: str) -> None:
    settings = {action.dest for action in build_parser("fit")._actions if "." in action.dest}
    groups = "|".join({name.split(".")[0] for name in settings})
    named = re.findall(rf"(?:--|`)((?:{groups})(?:\.\w+)+)", PAGES[page])
    files = (".json", ".yaml", ".safetensors")
    assert not [name for name in named if name not in settings and not name.endswith(files)]


def test_readme_is_one_screen_and_a_short_tour() -> None:
    tour = PAGES["README.md"].split("## A tour\n")[1].split("\n## ")[0]
    assert len(tour.splitlines()) <= 150


def test_every_page_is_on_the_first_one() -> None:
    pages = [path.removeprefix("docs/") for path in PAGES if path.startswith("docs/") and path != "docs/index.md"]
    assert not [page for page in pages if f"({page})" not in PAGES["docs/index.md"]]
    assert not [page for page in pages if f"(docs/{page}" not in PAGES["README.md"]]


def test_every_room_is_on_the_map() -> None:
    rooms = {
        f"lab/{path.name}" for path in (ROOT / "lab").iterdir() if path.name[0] not in "_." and path.suffix != ".typed"
    }
    assert len(rooms) > 15
    assert not {room for room in rooms | {"analysis_app"} if f"| `{room}`" not in PAGES["docs/architecture.md"]}


def test_the_walks_go_forward() -> None:
    walks = re.split(r"^1\. ", PAGES["docs/architecture.md"], flags=re.MULTILINE)[1:]
    assert len(walks) == 3
    for walk in walks:
        files = re.findall(r"^(?:\d+\. )?`([\w/]+\.\w+)`", walk, re.MULTILINE)
        assert len(files) > 5
        assert len(set(files)) == len(files), "a file is passed twice"


def test_every_configuration_is_in_a_table() -> None:
    configs = ROOT / "configs"
    names = [path.stem for path in (configs / "model").glob("*.yaml")]
    names += [path.name for folder in (configs, configs / "experiments") for path in folder.glob("*.yaml")]
    names += [f"debug/{path.name}" for path in (configs / "debug").glob("*.yaml")]
    assert not [name for name in names if f"| `{name}`" not in PAGES["docs/configurations.md"]]


def test_every_tab_of_the_page_is_in_its_table() -> None:
    table = re.findall(r"^\| (\w[\w ]+?) +\| ", PAGES["docs/page.md"], re.MULTILINE)
    assert sorted(table[1:]) == sorted(tab.label for tab in TABS.values())


@pytest.mark.parametrize("page", PAGES)
def test_extras_named_are_extras(page: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"'\.\[(\w+)\]'", PAGES[page])) <= extras.keys()
