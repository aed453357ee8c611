"""`runs` and `runs show` as a person meets them: at 80 columns, in pipes, on damaged and hostile runs."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lab.commands.runs import main
from lab.console.format import STATE_STYLES, count, duration, sparkline
from lab.console.runs import LOSSES, print_run, print_table
from lab.runs import EventWriter, MetricsWriter, Run, SampleWriter, StatusWriter, create_run, list_runs
from lab.runs.checkpoints import step_path, write_checkpoint
from lab.runs.records import write_json
from lab.runs.snapshots import write_snapshot
from lab.runs.status import TRANSITIONS

MODEL = {"n_layers": 4, "n_heads": 2, "d_model": 128, "context_length": 256, "vocab_size": 2048}
DATA = {
    "corpus": {"name": "python"},
    "tokenizer": {"name": "bpe-2048"},
    "bytes_per_token": 3.25,
    "splits": {"train": {"tokens": 9_123_456}, "val": {"tokens": 123_456}},
    "baselines": {"nats_per_token": {"uniform": 7.6, "bigram": 2.0}, "bits_per_byte": {"xz": 1.7}},
}


def make_run(root: Path, name: str, state: str = "completed", message: str | None = None) -> Run:
    """A run of 2000 steps as a trainer leaves it."""
    run = create_run(root, name)
    latest = dict.fromkeys(LOSSES, 1.23456)
    with (
        StatusWriter(run, total_steps=2000) as status,
        MetricsWriter(run) as metrics,
        EventWriter(run) as events,
    ):
        status.update(state="running")
        events.write("started", 0)
        for step in range(0, 2000, 100):
            metrics.write(step, step * 4096, step / 10, {"train/loss": 9 - step / 250, "val/loss": 9.5 - step / 250})
        status.update(step=2000, tokens=2000 * 4096, tokens_per_second=12345.6, losses=latest)
        write_checkpoint(run, 1000, lambda file: file.write(b"x" * 3000), best=True, model_config=MODEL)
        write_checkpoint(run, 2000, lambda file: file.write(b"y" * 3000), kind="final", model_config=MODEL)
        events.write("checkpoint", 2000, best=False)
        write_json(run.data_path, DATA)
        run.config_path.write_text("seed: 1\n")
        if state != "running":
            status.update(state=state, message=message)
    return run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return Path("runs")


def rendered(show: Any, what: Any, width: int = 80) -> str:
    console = Console(record=True, width=width, file=open(os.devnull, "w"), highlight=False)  # noqa: SIM115
    show(what, console)
    return console.export_text()


def test_no_runs_yet(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == (
        "No runs in 'runs' yet. Start one:\n  python -m lab fit --config configs/quickstart.yaml\n"
    )
    assert main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_the_table_fits_eighty_columns(root: Path) -> None:
    make_run(root, "2026-11-23-golden-marten")
    make_run(root, "shakespeare", "failed", "the loss of step 700 is not finite")
    broken = create_run(root, "broken")
    broken.status_path.write_text("{")
    text = rendered(print_table, list_runs(root))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    words = " ".join(lines[:2]).split()
    assert {"run", "state", "step", "train", "val", "bits/", "tokens", "age"} <= set(words)
    rows = {line.split()[0]: line.split() for line in lines[2:5]}
    assert rows["2026-11-23-golden-marten"][1:7] == [
        "completed",
        "2000/2000",
        "1.235",
        "1.235",
        "1.235",
        "12346",
    ]
    assert rows["broken"][1] == "broken"
    assert "shakespeare: the loss of step 700 is not finite" in text
    assert "broken: run.json is damaged" in text


def test_every_state_has_its_colour(root: Path) -> None:
    assert STATE_STYLES.keys() == {*TRANSITIONS, "stale", "broken"}
    make_run(root, "a", "failed")
    console = Console(record=True, width=80, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    print_table(list_runs(root), console)
    assert "\x1b[1;31mfailed" in console.export_text(styles=True)


def test_a_broken_status_still_shows_the_losses_of_the_metrics(root: Path) -> None:
    run = make_run(root, "a")
    run.status_path.unlink()
    row = rendered(print_table, [run]).splitlines()[2].split()
    assert row[:5] == ["a", "broken", "–", "1.400", "1.900"]


def test_the_page_of_a_run(root: Path) -> None:
    run = make_run(root, "fox", "stopped", "SIGTERM")
    with SampleWriter(run) as samples:
        samples.write(5, "def", "x")
    step_path(run.checkpoints_dir, 1500).write_bytes(b"torn")
    text = rendered(print_run, run)
    assert max(map(len, text.splitlines())) <= 80
    for expected in (
        "fox  stopped",
        "SIGTERM",
        "2000/2000 (100%)",
        "8.19M",
        "12346 tokens/s",
        "4 layers, 2 heads, 128 wide; context 256, vocab 2048",
        "python; tokens: train 9.12M, val 123k",
        "bpe-2048; 3.25 bytes per token",
        "9.000 → 1.400",
        "lowest 1.900 (step 1900)",
        "uniform 7.600 ✓, bigram 2.000 ✓",
        "xz 1.700",
        "step 1000 (best), step 2000 (last); 6 kB",
        "step-00001500.ckpt: its .json is missing",
        "step 2000: checkpoint",
        "python -m lab fit --resume fox",
        "python -m lab generate fox --prompt",
    ):
        assert expected in text, expected
    assert "xz 1.700 ✓" not in text


def test_the_page_of_what_is_hardly_a_run(root: Path) -> None:
    run = create_run(root, "bare")
    text = rendered(print_run, run)
    assert "it has no run.json" in text
    assert "python -m lab fit" in text
    assert "Losses" not in text


def test_the_page_of_a_damaged_run(root: Path) -> None:
    run = make_run(root, "fox")
    run.data_path.write_text("{")
    run.config_path.write_text("a: [")
    with open(run.metrics_path, "a") as file:
        file.write("nonsense\n")
    text = rendered(print_run, run)
    assert "data.json is damaged" in text
    assert "config.yaml is damaged" in text
    assert "1 lines of metrics.jsonl were skipped" in text
    run.status_path.write_text("{")
    assert "fox  broken" in rendered(print_run, run)


def test_strange_but_valid_records_do_not_break_the_page(root: Path) -> None:
    run = make_run(root, "fox")
    for data in (
        {},
        {"corpus": 3, "splits": [1], "baselines": {"nats_per_token": {"x": "y"}}},
        {"splits": {"train": 1}},
    ):
        write_json(run.data_path, data)
        rendered(print_run, run)
    with open(run.events_path, "a") as file:
        file.write('{"kind": "started", "step": "x", "wall": 1e300}\n{"kind": "x", "wall": "y", "a": {"b": [1]}}\n')
    rendered(print_run, run)


def test_nothing_reaches_the_terminal_that_it_would_obey(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(root, "fox", "failed", "\x1b]0;owned\x07 [red]not markup[/red]")
    with EventWriter(run) as events:
        events.write("finding", 1, text="\x1b[2J\r\u202egone [bold]x")
    for arguments in ([], ["show", "fox"], ["show", "\x1b[2J"]):
        main(arguments)
        printed = "".join(capsys.readouterr())
        assert not re.search("[\x1b\x07\r\u202e]", printed)
    assert "[red]not markup[/red]" in rendered(print_table, [run])


def test_the_lines_to_copy_are_quoted(root: Path) -> None:
    make_run(root, "fox")
    os.rename("runs/fox", "runs/a b; reboot")
    text = rendered(print_run, Run(root / "a b; reboot"), 200)
    assert "generate 'a b; reboot' --prompt" in text
    assert "generate a b" not in text


def test_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(root, "fox")
    write_snapshot_of(Run(root / "fox"))
    assert main(["--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["state"], row["step"], row["path"]) == ("fox", "completed", 2000, "runs/fox")
    assert main(["show", "fox", "--json"]) == 0
    page = json.loads(capsys.readouterr().out)
    assert page["status"]["state"] == "completed"
    assert page["data"] == DATA
    assert page["config"] == {"seed": 1}
    assert page["metrics"]["latest"]["train/loss"] == 9 - 1900 / 250
    assert page["metrics"]["lowest"]["val/loss"] == [1900, 9.5 - 1900 / 250]
    assert [info["step"] for info in page["checkpoints"]] == [1000, 2000]
    assert [info["step"] for info in page["snapshots"]] == [0]
    assert [event["kind"] for event in page["events"]] == ["started", "checkpoint"]
    assert page["problems"] == []


def write_snapshot_of(run: Run) -> None:
    import torch

    write_snapshot(run, 0, {"w": torch.ones(2)}, model_config=MODEL)


@pytest.mark.parametrize(
    "arguments", [["show"], ["show", "last"], ["show", "--root", "runs", "fox"], ["show", "runs/fox"]]
)
def test_ways_to_name_a_run(root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    make_run(root, "fox")
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("fox  completed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fox"], "unknown argument 'fox': to see one run, `runs show fox`"),
        (["show", "foxx"], "no run 'foxx' in 'runs', did you mean 'fox'? There are: fox"),
        (["show", "../../etc"], "no run '../../etc'"),
        (["show", "a", "b"], "show takes one RUN, not 2"),
        (["--jsn"], "did you mean --json"),
        (["--root"], "expected one argument"),
        (["--root", "runs/fox/run.json"], "is not a folder"),
    ],
)
def test_mistakes_get_one_line(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    make_run(root, "fox")
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1


def test_as_a_command_it_is_quick_and_imports_nothing_heavy(root: Path) -> None:
    make_run(root, "fox")
    code = (
        "import sys; from lab.commands.runs import main; main([]);"
        "print(sorted({'torch', 'lightning', 'numpy'} & set(sys.modules)))"
    )

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.stdout.splitlines()[-1] == "[]", done.stderr
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(4)) < 0.4  # of processor time; about 0.15


def test_in_a_pipe_names_are_whole_and_a_closed_pipe_is_no_error(root: Path) -> None:
    name = "n" * 100
    make_run(root, name)
    # pytest's readline puts COLUMNS where only a child process sees it; a copy of os.environ is without it.
    command = [sys.executable, "-m", "lab", "runs"]
    listing = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert name in listing.stdout
    assert "\x1b" not in listing.stdout
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "runs", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


def test_a_sparkline_has_the_shape_of_its_curve() -> None:
    assert sparkline([3.0]) == "▁"
    assert sparkline([1.0, 1.0]) == "▁▁"
    assert sparkline([float(x) for x in range(8)]) == "▁▂▃▄▅▆▇█"
    long = sparkline([1000.0 - x for x in range(1000)])
    assert len(long) == 16
    assert list(long) == sorted(long, reverse=True)


def test_numbers_in_few_characters() -> None:
    assert [count(x) for x in (None, 0, 99_999, 100_000, 123_456, 1_000_000, 8_192_000, 3e9)] == [
        *("–", "0", "99999", "100k", "123k", "1M", "8.19M", "3B"),
    ]
    assert [duration(x) for x in (-5, 0.4, 59, 61, 7200, 200_000)] == [
        "0 s",
        "0 s",
        "59 s",
        "1 min",
        "2 h",
        "2 d",
    ]
