"""Experiments, as a person meets it in a real Chromium: choose runs, read what sets them apart, click on a spike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from analysis_app.analyses.batch import batch_text
from analysis_app.library import Library
from tests.analysis_app.conftest import STEPS, Person

pytestmark = pytest.mark.browser

SPIKE, HEIGHT = 6, 30.0
CHART = '[data-panel="experiments_chart"]'


@pytest.fixture(scope="module")
def other(runs: Path) -> Iterator[Path]:
    """A second run, whose loss has a spike and whose learning rate is another."""
    folder = runs / "other"
    shutil.copytree(runs / "tiny", folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["model"]["optimizer"]["lr"] = 0.5
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        if row["step"] == SPIKE and "train/loss" in row:
            row["train/loss"] = HEIGHT
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    yield folder
    shutil.rmtree(folder)


def compare(person: Person, **query: Any) -> Any:
    person.open("experiments", **query)
    person.panel("experiments_runs")
    return person.page


def test_choose_runs_read_what_differs_and_click_on_a_spike(person: Person, other: Path, runs: Path) -> None:
    page = compare(person, run="tiny", runs="tiny")
    person.panel("experiments_chart")
    person.panel("batch_text", "empty")
    page.check('[data-panel="experiments_runs"] [data-run="other"]')
    person.wait(f"document.querySelector('{CHART}').dataset.runs === 'tiny,other'")
    assert person.query("runs") == "tiny,other"
    row = page.locator('[data-panel="experiments_differences"] [data-setting="model.optimizer.lr"] td')
    row.last.wait_for()
    assert row.last.text_content() == "0.5"
    assert page.get_attribute('[data-panel="experiments_differences"]', "data-differences") == "1"
    canvas = page.locator(f"{CHART} .lab-chart-base")
    box = canvas.bounding_box()
    width = box["width"] - 48 - 14
    last = STEPS - 1  # the last step that has a training loss
    canvas.click(position={"x": 48 + width * SPIKE / last, "y": 30})
    panel = person.panel("batch_text")
    person.wait("document.querySelector('[data-panel=batch_text]').dataset.run === 'other'")
    assert (person.query("run"), person.query("batch")) == ("other", str(SPIKE))
    expected = batch_text(Library(runs), "other", SPIKE)
    assert panel.locator('[data-fact="training measured"] b').text_content() == f"{HEIGHT:.4f} nats"
    step, loss = expected["step"], expected["mean_loss"]
    assert f"{loss:.4f}" in str(panel.locator(f'[data-fact="loss at step {step}"]').text_content())
    page.select_option('[data-panel="batch_text"] [aria-label="Order"]', "batch")
    words = panel.locator("section").nth(1).locator(".lab-word")
    assert words.all_text_contents() == expected["sequences"][1]["tokens"]
    person.wait("new URL(location).searchParams.get('step') !== null")
    address = parse_qs(urlsplit(page.url).query)
    page.reload()
    person.panel("batch_text")
    person.wait(f"document.querySelector('{CHART}').dataset.runs === 'tiny,other'")
    assert parse_qs(urlsplit(page.url).query) == address
    assert address["runs"] == ["tiny,other"]


def test_axes_and_metrics(person: Person, other: Path) -> None:
    page = compare(person, run="tiny", runs="tiny,other")
    person.panel("experiments_chart")
    for axis in ("tokens", "time", "flops"):
        page.select_option(f'{CHART} [aria-label="Over"]', axis)
        person.wait(f"document.querySelector('{CHART}').dataset.axis === '{axis}'")
    page.check("#lab-log-x")
    page.check("#lab-log-y")
    assert (person.query("axis"), person.query("logs")) == ("flops", "xy")
    page.select_option(f'{CHART} [aria-label="Curve"]', "val/bits_per_byte")
    person.wait(f"document.querySelector('{CHART} .lab-chart-name').textContent === 'val/bits_per_byte'")
    label = page.get_attribute(f"{CHART} .lab-chart-base", "aria-label")
    assert "val/bits_per_byte by training FLOPs" in str(label)
    page.get_by_role("button", name="table").click()
    assert page.locator(f"{CHART} .lab-chart-table tbody tr").count() >= 2
    for name in ("tiny", "other"):
        page.uncheck(f'[data-panel="experiments_runs"] [data-run="{name}"]')
    person.panel("experiments_chart", "empty")


def test_a_step_typed_in_and_the_weights_chosen(person: Person, runs: Path) -> None:
    before = batch_text(Library(runs), "tiny", 9)["step"]
    page = compare(person, run="tiny", runs="tiny", step=4)
    page.fill("#lab-batch", "9")
    page.keyboard.press("Enter")
    panel = person.panel("batch_text")
    assert panel.locator(f'[data-fact="loss at step {before}"]').count() == 1
    page.select_option('[data-panel="batch_text"] [aria-label="Coloured by"]', "selected")
    panel.locator('[data-fact="loss at step 4"]').wait_for()
    expected = batch_text(Library(runs), "tiny", 9, 4)["mean_loss"]
    assert f"{expected:.4f}" in str(panel.locator('[data-fact="loss at step 4"]').text_content())


def test_a_corpus_that_is_gone_is_said_and_comes_back(person: Person, runs: Path) -> None:
    folder, corpus = runs / "moved", runs.parent / "corpus.txt"
    shutil.copytree(runs / "tiny", folder)
    try:
        corpus.rename(corpus.with_suffix(".gone"))
        page = compare(person, run="moved", batch=2)
        panel = person.panel("batch_text", "error")
        assert "corpus.txt" in str(panel.locator(".lab-message").text_content())
        corpus.with_suffix(".gone").rename(corpus)
        panel.get_by_role("button", name="Try again").click()
        person.panel("batch_text")
        assert page.locator('[data-panel="batch_text"] .lab-word').count() > 0
    finally:
        if not corpus.exists():
            corpus.with_suffix(".gone").rename(corpus)
        shutil.rmtree(folder)
