"""Wrong input: one line for each mistake that names it, exit code 2, and nothing lost or left behind."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lab.__main__ import main
from lab.data.corpora import open_corpus
from lab.data.filecorpus import FileCorpus
from lab.runs.lock import RunLock
from lab.runs.run import open_run
from tests.tiny import WORDS, tiny_args

Capture = pytest.CaptureFixture[str]
Damage = Callable[[Path], object]


def refused(capsys: Capture, *args: str) -> str:
    """What a refused command says: lines that begin with `error: `, and no others."""
    capsys.readouterr()
    assert main(list(args)) == 2
    said = capsys.readouterr().err
    assert all(line.startswith("error: ") for line in said.splitlines()), said
    return said


def refused_fit(capsys: Capture, tmp_path: Path, *more: str, name: str | None = "tiny") -> str:
    """The same of a `fit`, which must not have made a run directory."""
    said = refused(capsys, "fit", *tiny_args(tmp_path, *more, name=name, steps=3))
    assert not (tmp_path / "runs").exists(), "a refused fit left a run directory behind"
    return said


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "holds no settings"),
        ("- a\n", "found a list"),
        ("model: 3\n", "model is 3: it is a group"),
        ("model:\n  config: 7\n", "model.config is 7: it is a group"),
        ("data: text\n", "data is 'text': it is a group"),
        ("data:\n", "data is None: it is a group"),
        ("trainer: []\n", "trainer is []: it is a group"),
        ("data:\n  seed: 3\n  seed: 4\n", "line 2: not YAML: 'seed' is given twice"),
        ("model:\n\tconfig: 1\n", "line 2: not YAML"),
        ("n_layers: 3\n", "did you mean model.config.n_layers"),
        ("1: 2\n", "1: no such setting"),
        ("model: !!python/object:os.system {}\n", "not YAML"),
        ("data:\n  vocab_size: [1]\n", "data.vocab_size is [1]: expected a whole number or null"),
    ],
)
def test_a_file_of_settings(text: str, named: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "c.yaml").write_text(text)
    said = refused_fit(capsys, tmp_path, "--config", str(tmp_path / "c.yaml"))
    assert named in said
    assert "c.yaml" in said


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--config", "{tmp}"], "Is a directory"),
        (["--config", ""], "give a file of settings"),
        (["configs/quickstart.yaml"], "--config configs/quickstart.yaml"),
        (["-n", "3"], "-n: no such setting"),
        (["hello"], "hello: belongs to no setting"),
        (["--model", "nope.yaml"], "no such file"),
        (["--model.config.n_layers", ""], "n_layers is '': expected a whole number"),
        (["--model.config.n_layers=1e3"], "n_layers is 1e3: expected a whole number"),
        (["--model.config.vocab_size=5"], "data.tokenizer"),
        (["--model.config.n_layers=100000000"], "GB of memory"),
        (["--model.optimizer.lr=.nan"], "model.optimizer.lr is nan"),
        (["--horizon.steps=99999999999999999"], "more than the 1e+15 a run can count"),
        (["--horizon.minutes=.inf"], "horizon.minutes is inf"),
        (["--data.path="], "data.path is blank"),
        (["--data.path=/nope"], "/nope does not exist"),
        (["--data.tokenizer=nope.json"], "data.tokenizer is 'nope.json': no such file"),
        (["--data.seed=99999999999999999999"], "data.seed is 99999999999999999999"),
        (["--data.tokens_per_step=100"], "the nearest are 64 or 128"),
        (["--data.vocab_size=3"], "set it to 20"),
        (["--run.root="], "--run.root is empty"),
        (["--seed_everything=-1"], "seed_everything is -1"),
        (["--seed_everything=true"], "seed_everything is true"),
        (["--trainer.accelerator=quantum"], "invalid accelerator name"),
        (["--trainer.profiler=foo"], "profiler"),
        (["--trainer.max_time=soon"], "DD:HH:MM:SS"),
        (["--trainer.devices=[0]"], "devices"),
        (["--trainer.fast_dev_run=true"], "horizon.steps"),
        (["--trainer.limit_val_batches=3"], "data.val_tokens"),
        (["--trainer.strategy=ddp"], "one device"),
        (["--wandb", ""], "'offline'"),
        (["--resume", ""], "--resume RUN"),
        (["--fork="], "--fork RUN@STEP"),
        (["--resume", "a", "--fork", "b"], "give one of them"),
        (["--resume", "nope"], "no run 'nope'"),
    ],
)
def test_a_setting(args: list[str], named: str, tmp_path: Path, capsys: Capture) -> None:
    assert named in refused_fit(capsys, tmp_path, *(arg.replace("{tmp}", str(tmp_path)) for arg in args))


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\nb", "last", "x@3", "<b>", "n" * 300, "a\0"])
def test_a_run_name(name: str, tmp_path: Path, capsys: Capture) -> None:
    assert "cannot be used" in refused_fit(capsys, tmp_path, "--check", f"--run.name={name}")


def test_mistakes_of_every_kind_are_told_together(tmp_path: Path, capsys: Capture) -> None:
    wrong = ("--model.config.d_model=33", "--data.path=/nope", "--trainer.accelerator=quantum", "--seed_everything=-1")
    said = refused_fit(capsys, tmp_path, *wrong, "--model.optimizer.lr=-1", name="../x")
    for word in ("d_model", "/nope", "quantum", "seed_everything", "model.optimizer.lr", "run name"):
        assert said.count(f"{word}") >= 1, word


# ---------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "no text"),
        (b" \n\t" * 900, "no text"),
        (os.urandom(4000) + b"\0", "is"),
        (" ".join(WORDS * 90).encode("utf-16-le"), "binary"),
        ((" ".join(WORDS * 90) + "é").encode("latin-1"), "not UTF-8"),
        (b"abc def\n" * 3, "shorter than one"),
        (b"a" * 9000, "one character again and again"),
    ],
)
def test_a_text(content: bytes, named: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "x.txt").write_bytes(content)
    assert named in refused_fit(capsys, tmp_path, "--data.path", str(tmp_path / "x.txt"))


def test_a_link_to_nothing(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "dead.txt").symlink_to("/nowhere/x.txt")
    assert "link to /nowhere/x.txt" in refused_fit(capsys, tmp_path, "--data.path", str(tmp_path / "dead.txt"))


# ---------------------------------------------------------------- runs


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a run `tiny` of 4 steps has ended, with checkpoints at 2 and 4."""
    tmp_path = tmp_path_factory.mktemp("finished")
    assert main(["fit", *tiny_args(tmp_path, "--checkpoint.every=2", "--checkpoint.keep=9", steps=4)]) == 0
    return tmp_path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run, to be damaged."""
    shutil.copytree(finished / "runs", tmp_path / "runs", symlinks=True)
    return tmp_path / "runs" / "tiny"


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def content(run: Path) -> dict[str, bytes]:
    """Every file of a run but the lock, which holds the process that asked last."""
    return {str(p.relative_to(run)): p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.mark.parametrize(
    ("more", "damage", "named"),
    [
        (["--model.config.d_model=64"], None, "model.config.d_model was 32"),
        (["--data.tokenizer=bytes"], None, "keep it by --data.tokenizer"),
        (["--run.name=other"], None, "keeps its name"),
        (["--horizon.steps=3"], None, "has done 4 of 3 steps"),
        ([], lambda run: (run / "config.yaml").write_text("model: ["), "--config FILE"),
        ([], lambda run: (run / "config.yaml").unlink(), "--config FILE"),
        ([], lambda run: (run / "config.yaml").write_text("- 1\n"), "--config FILE"),
        ([], lambda run: (run / "config.yaml").open("a").write("from_the_future: 3\n"), "from_the_future: no such"),
        ([], lambda run: halve(run / "tokenizer.json"), "delete it"),
        ([], lambda run: shutil.rmtree(run / "checkpoints"), "no whole checkpoint"),
        ([], lambda run: [halve(p) for p in (run / "checkpoints").glob("step-*.ckpt")], "no whole checkpoint"),
        ([], lambda run: (run / "run.json").write_text('{"format": 2, "state": "stopped"}'), "has format 2"),
    ],
)
def test_a_refused_resume_changes_nothing(
    more: list[str], damage: Damage | None, named: str, run: Path, capsys: Capture
) -> None:
    if damage:
        damage(run)
    before = content(run)
    root = ["--run.root", str(run.parent)]
    assert named in refused(capsys, "fit", "--resume", "tiny", *root, "--horizon.steps=6", *more)
    assert content(run) == before


def test_a_run_that_was_split_otherwise_is_not_resumed_on_another_split(run: Path, capsys: Capture) -> None:
    data = yaml.safe_load((run / "config.yaml").read_text())["data"]
    corpus = open_corpus("text", data["path"])
    assert isinstance(corpus, FileCorpus)
    facts = json.loads((run / "data.json").read_text())
    facts["corpus"]["fingerprint"] = corpus.fingerprint_by_number()
    resume = ["fit", "--resume", "tiny", "--run.root", str(run.parent), "--horizon.steps=6"]
    (run / "seams.json").unlink()  # an earlier version wrote none, nor noted one beside a checkpoint
    for path in (run / "checkpoints").glob("*.json"):
        noted = json.loads(path.read_text())
        del noted["noted"]["seams"]
        path.write_text(json.dumps(noted))
    facts["splits"]["val"]["bytes"] += 50  # as if whole documents of another number had been held out
    (run / "data.json").write_text(json.dumps(facts))
    before = content(run)
    for more in ([], ["--data.val_tokens=300"]):
        assert "an earlier version of the lab split it" in refused(capsys, *resume, *more)
    assert "an earlier version of the lab split it" in refused(capsys, "batch", "tiny", "0", "--root", str(run.parent))
    assert content(run) == before
    facts["splits"]["val"]["bytes"] -= 50  # both ways give the same
    (run / "data.json").write_text(json.dumps(facts))
    assert main(resume) == 0


@pytest.mark.parametrize("same_vocabulary", [True, False])
def test_a_text_that_changed_since(same_vocabulary: bool, finished: Path, run: Path, capsys: Capture) -> None:
    text = finished / "corpus.txt"
    was, before = text.read_text(), content(run)
    resume = ["fit", "--resume", "tiny", "--run.root", str(run.parent), "--horizon.steps=6"]
    text.write_text(was.replace("cat", "tac") if same_vocabulary else was + "XYZ" * 50)
    try:
        said = refused(capsys, *resume)
        assert said == refused(capsys, *resume, "--data.val_tokens=300")  # which chooses no text
        assert ("no longer what run 'tiny' began with" if same_vocabulary else "the vocabulary") in said
        assert "fingerprint differs" in refused(capsys, "batch", "tiny", "0", "--root", str(run.parent))
    finally:
        text.write_text(was)
    assert content(run) == before
    assert main(resume) == 0


@pytest.mark.parametrize("name", ["data.json", "metrics.jsonl", "events.jsonl", "run.json"])
def test_what_is_made_anew_does_not_stop_a_resume(name: str, run: Path) -> None:
    halve(run / name)
    assert main(["fit", "--resume", "tiny", "--run.root", str(run.parent), "--horizon.steps=5"]) == 0
    assert open_run(run).status().step == 5


def test_two_trainers(run: Path, capsys: Capture) -> None:
    with RunLock(open_run(run)):
        before = content(run)
        said = refused(capsys, "fit", "--resume", "tiny", "--run.root", str(run.parent), "--horizon.steps=6")
        assert str(os.getpid()) in said
    assert content(run) == before


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["generate", "nope"], "no run 'nope'"),
        (["generate", "/etc"], "no run '/etc'"),
        (["generate", ""], "no run ''"),
        (["generate", "n" * 5000], "no run"),
        (["generate", "a\0"], "no run"),
        (["generate", "tiny", "--step", "3000"], "no weights of step 3000"),
        (["generate", "tiny", "--prompt", "漢"], "U+6F22"),
        (["generate", "tiny", "--temperature", "nan"], "temperature=nan"),
        (["generate", "tiny", "--promt", "x"], "did you mean --prompt"),
        (["batch", "tiny", "-1"], "the first batch is 0"),
        (["batch", "tiny"], "required: N"),
        (["runs", "show", "nope"], "no run 'nope'"),
        (["runs", "tiny"], "runs show tiny"),
        (["tokenizer", "show", "/bin/sh"], "no tokenizer"),
    ],
)
def test_commands(args: list[str], named: str, finished: Path, capsys: Capture) -> None:
    assert named in refused(capsys, *args, "--root", str(finished / "runs"))


@pytest.mark.parametrize("args", [["tiny@7"], ["tiny@x"], ["nope"], ["tiny", "--model.config.d_model=64"], []])
def test_validate(args: list[str], finished: Path, capsys: Capture) -> None:
    refused(capsys, "validate", *args, "--run.root", str(finished / "runs"))


def test_a_folder_for_a_file_is_named(run: Path, capsys: Capture) -> None:
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").mkdir()
    assert "metrics.jsonl: Is a directory" in refused(capsys, "runs", "show", "tiny", "--root", str(run.parent))


def test_a_long_prompt_says_what_is_dropped(finished: Path, capsys: Capture) -> None:
    root = ["--root", str(finished / "runs")]
    assert main(["generate", "tiny", "--prompt", "the cat " * 10, "--max_new_tokens", "2", *root]) == 0
    assert "the first 64 are dropped" in capsys.readouterr().err


def test_the_vocabulary_of_the_run_can_be_kept_in_a_child(run: Path, capsys: Capture) -> None:
    """The way out that the message names works: another text, the same vocabulary."""
    other = run.parent.parent / "other.txt"
    other.write_text(" ".join(reversed(WORDS * 200)))
    fork = ["fit", "--fork", "tiny@4", "--run.root", str(run.parent), "--run.name=child", "--horizon.steps=5"]
    said = refused(capsys, *fork, "--data.path", str(other))
    assert "keep it by --data.tokenizer" in said
    assert not (run.parent / "child").exists()
    assert main([*fork, "--data.path", str(other), "--data.tokenizer", str(run / "tokenizer.json")]) == 0
    assert json.loads((run.parent / "child" / "run.json").read_text())["parent"] == {"run": "tiny", "step": 4}


# ---------------------------------------------------------------- names that are no UTF-8


@pytest.mark.parametrize("setting", ["--data.path", "--run.root", "--run.note", "--run.name", "--config"])
def test_a_word_that_is_no_utf8_is_one_line(setting: str, tmp_path: Path, capsys: Capture) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    (tmp_path / name).write_text("text")
    said = refused_fit(capsys, tmp_path, f"{setting}={tmp_path / name}")
    assert "caf\\xe9.txt: it is no UTF-8; rename the file" in said
    assert len(said.splitlines()) == 1
