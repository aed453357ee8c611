"""The table of runs and the page of one: at 80 columns, of damaged and hostile runs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lab.commands.runs import main
from lab.console.format import STATE_STYLES
from lab.console.runs import LOSSES, print_run, print_table
from lab.files import write_json
from lab.runs import EventWriter, MetricsWriter, Run, SampleWriter, StatusWriter, create_run, list_runs
from lab.runs.checkpoints import step_path
from lab.runs.events import CheckpointSaved, InstrumentFailed, Started
from lab.runs.status import TRANSITIONS
from tests.checkpoints import write_checkpoint

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
        events.write(Started(step=0, changed={}))
        for step in range(0, 2000, 100):
            metrics.write(step, step * 4096, step / 10, {"train/loss": 9 - step / 250, "val/loss": 9.5 - step / 250})
        status.update(step=2000, tokens=2000 * 4096, tokens_per_second=12345.6, losses=latest)
        write_checkpoint(run, 1000, lambda file: file.write(b"x" * 3000), best=True, model_config=MODEL)
        write_checkpoint(run, 2000, lambda file: file.write(b"y" * 3000), kind="final", model_config=MODEL)
        events.write(CheckpointSaved(step=2000, checkpoint_kind="final", best=False))
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
        "xz alone 1.700, xz trained",
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
        events.write(InstrumentFailed(step=1, instrument="probes", error="\x1b[2J\r\u202egone [bold]x"))
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
