"""Every tab says what is true now, whatever happens to the runs and the server while it is open. In a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lab.files import read_json, write_json
from lab.runs import MetricsWriter, StatusWriter, create_run, open_run
from lab.runs.processes import this_machine
from scripts.page_server import Server, serving, start_server
from tests.analysis_app.conftest import Person, visiting
from tests.patience import PATIENCE
from tests.tiny import lab, tiny_args

pytestmark = pytest.mark.browser
AWAY = ("ERR_CONNECTION_REFUSED", "WebSocket connection", "ERR_FAILED", "EMPTY_RESPONSE", "RESET", "ERR_INCOMPLETE")


@pytest.fixture(scope="module")
def folder(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs that these tests change: `tiny`, and `three` with three heads in each layer."""
    found = tmp_path_factory.mktemp("flow")
    shutil.copytree(runs / "tiny", found / "runs" / "tiny")
    shutil.copy(runs.parent / "corpus.txt", found / "corpus.txt")
    shape = ("--model.config.n_heads", "4", "--model.config.n_layers", "1")
    done = lab("fit", *tiny_args(found, *shape, steps=4, name="three"))
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture(scope="module")
def own(folder: Path) -> Iterator[Server]:
    """The server over it. A test that restarts it puts the new process in."""
    with serving(folder / "runs") as found:
        yield found


@pytest.fixture
def visitor(browser: Any, own: Server) -> Iterator[Person]:
    """A person at that page; nothing went wrong but what a server that is away brings with it."""
    with visiting(browser, lambda context: Person(context, own.url), AWAY) as found:
        yield found


def stop(own: Server) -> None:
    own.process.kill()
    own.process.wait(PATIENCE)


def start_again(own: Server, runs: Path) -> None:
    new = start_server(runs, "--port", str(urlsplit(own.url).port))
    own.process, own.log = new.process, new.log


def test_a_run_that_is_trained_anew_under_its_name_is_drawn_anew(visitor: Person, folder: Path) -> None:
    page = visitor.page
    shutil.copytree(folder / "runs" / "tiny", folder / "runs" / "again")
    visitor.open("predictions", run="again", step=4, text="the%20cat")
    mean = '[data-panel="loss_text"] [data-fact="mean loss"] b'
    visitor.panel("loss_text")
    before = page.text_content(mean)
    done = lab("fit", *tiny_args(folder, "--seed_everything", "7", "--model.optimizer.lr", "0.01", name="other"))
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder / "runs" / "again")
    visitor.wait("document.querySelector('[data-panel=loss_text]').textContent.includes('no longer in this folder')")
    shutil.move(folder / "runs" / "other", folder / "runs" / "again")
    visitor.wait(f"document.querySelector('{mean}')?.textContent !== '{before}'")
    visitor.panel("loss_text")
    fresh = page.text_content(mean)
    page.reload()
    visitor.panel("loss_text")
    assert page.text_content(mean) == fresh
    assert visitor.query("step") == "4"


def test_a_snapshot_that_is_rewritten_is_drawn_anew(visitor: Person, folder: Path) -> None:
    page, run = visitor.page, open_run("tiny", folder / "runs")
    visitor.open("predictions", run="tiny", step=2, text="the%20cat")
    mean = '[data-panel="loss_text"] [data-fact="mean loss"] b'
    visitor.panel("loss_text")
    before = page.text_content(mean)
    of = {step: run.snapshots_dir / f"step-{step:08d}.safetensors" for step in (2, 8)}
    facts = {step: path.with_suffix(".json") for step, path in of.items()}
    kept = [path.read_bytes() for path in (of[2], facts[2])]
    for path, content in ((of[2], of[8].read_bytes()), (facts[2], None)):
        made = path.with_name(".tmp-made")
        made.write_bytes(content or b"")
        if content is None:
            write_json(made, (read_json(facts[8]) or {}) | {"step": 2})
        made.replace(path)
    visitor.wait(f"document.querySelector('{mean}')?.textContent !== '{before}'")
    sha256 = (read_json(facts[8]) or {})["sha256"]
    assert f"tiny @ 2, {sha256[:8]}" in str(page.text_content('[data-panel="loss_text"] .lab-source'))
    for path, content in zip((of[2], facts[2]), kept, strict=True):
        path.with_name(".tmp-made").write_bytes(content)
        path.with_name(".tmp-made").replace(path)
    visitor.wait(f"document.querySelector('{mean}')?.textContent === '{before}'")


def test_header_list_and_slider_follow_on_every_tab_and_the_choice_stays(visitor: Person, folder: Path) -> None:
    page, runs = visitor.page, folder / "runs"
    shutil.copytree(runs / "tiny", runs / "growing")
    run = open_run("growing", runs)
    shutil.rmtree(run.checkpoints_dir)
    late = [path for path in run.snapshots_dir.iterdir() if "12" in path.name]
    aside = folder / "aside"
    aside.mkdir()
    for path in late:
        path.rename(aside / path.name)
    status = StatusWriter(run, total_steps=100)
    status.update(state="running", step=8)
    visitor.open("attention", run="growing", step=4)
    visitor.panel("head_grid")
    visitor.wait("document.querySelector('.lab-where').textContent.includes('trained 8 of 100 steps')")
    most = page.get_attribute("#lab-step", "max")
    status.update(step=12)
    for path in sorted(late, reverse=True):  # the facts come after the file
        (aside / path.name).rename(path)
    visitor.wait("document.querySelector('.lab-where').textContent.includes('trained 12 of 100 steps')")
    visitor.wait(f"Number(document.querySelector('#lab-step').max) === {most} + 1")
    visitor.wait(r"/as of step 12, \d+ s ago/.test(document.querySelector('.lab-where').textContent)")
    assert page.get_attribute("#lab-step", "aria-valuetext") == "step 4"
    status.update(state="completed")
    status.close()
    visitor.wait("document.querySelector('.lab-pill').textContent === 'completed'")
    options = "[...document.querySelectorAll('#lab-selection-panel option')]"
    visitor.wait(f"{options}.some((option) => option.textContent === 'growing · completed')")
    assert visitor.query("step") == "4"


def test_experiments_follow_a_run_that_trains(visitor: Person, folder: Path) -> None:
    page, run = visitor.page, create_run(folder / "runs", "trains")

    def write(steps: range) -> None:
        with MetricsWriter(run, start_step=steps.start) as metrics:
            for step in steps:
                metrics.write(step, 64 * step, step / 10, {"train/loss": 3 + 1 / (1 + step)})
        status.update(step=steps[-1], tokens=64 * steps[-1])

    status = StatusWriter(run, total_steps=5000)
    status.update(state="running")
    write(range(370))
    visitor.open("experiments", run="tiny", runs="trains,tiny")
    visitor.panel("experiments_chart")
    last = "document.querySelector('[data-panel=experiments_chart]').dataset.last"
    visitor.wait(f"{last}.startsWith('369,')")
    page.wait_for_load_state("networkidle")
    asked = len([url for url in visitor.requests if "overlay" in url])
    write(range(370, 2520))
    visitor.wait(f"{last}.startsWith('2519,')")
    visitor.wait("document.querySelector('[data-panel=experiments_runs]').textContent.includes('2,519 of 5,000')")
    visitor.wait(
        "document.querySelector('[data-panel=experiments_differences]').textContent.includes('steps done2,51912')"
    )
    write(range(100, 140))  # it went back
    visitor.wait(f"{last}.startsWith('139,')")
    assert len([url for url in visitor.requests if "overlay" in url]) == asked
    run.metrics_path.unlink()  # and begins anew, as another
    write(range(20))
    visitor.wait(f"{last}.startsWith('19,')")
    status.update(state="completed")
    status.close()


def test_trying_again_asks_again(visitor: Person) -> None:
    page = visitor.page
    page.route("**/api/selection*", lambda route: route.abort())
    visitor.open("attention", run="tiny")
    panel = visitor.panel("head_grid", "error")
    page.get_by_role("tab", name="Live").click()
    visitor.wait("document.querySelector('.lab-cut')?.textContent.includes('did not say which runs there are')")
    page.get_by_role("tab", name="Attention").click()
    page.unroute("**/api/selection*")
    panel.get_by_role("button", name="Try again").click()
    visitor.panel("head_grid")
    visitor.panel("heatmap")


def test_all_panels_heal_together_when_the_server_comes_back(visitor: Person, own: Server, folder: Path) -> None:
    page = visitor.page
    visitor.open("attention", run="tiny", text="the%20cat")
    visitor.panel("head_grid")
    stop(own)
    page.select_option("#lab-selection-panel select", "three")
    visitor.panel("head_grid", "error")
    visitor.panel("heatmap", "error")
    assert page.locator("#lab-layer").count() == 0  # no shape is named beside what is not there
    start_again(own, folder / "runs")
    visitor.panel("head_grid")
    visitor.panel("heatmap")
    visitor.wait("document.querySelectorAll('[data-panel=head_grid] .lab-head').length === 4")
    visitor.wait("document.querySelector('#lab-selection-panel').textContent.includes('1 layers × 4 heads')")
    visitor.wait("document.querySelectorAll('#lab-token-strip .lab-token').length === 7")


def test_back_returns_to_the_tab_the_run_and_the_head_before(visitor: Person) -> None:
    page = visitor.page
    visitor.open("attention", run="tiny")
    visitor.panel("head_grid")
    page.click('.lab-head[data-layer="1"][data-head="1"]')
    page.locator("#lab-step").focus()
    page.keyboard.press("Home")  # a drag: no station of its own
    page.get_by_role("tab", name="Predictions").click()
    visitor.panel("loss_text")
    page.select_option("#lab-selection-panel select", "three")
    visitor.wait("document.querySelector('.lab-run-name').textContent === 'three'")
    page.go_back()
    visitor.wait("document.querySelector('.lab-run-name').textContent === 'tiny'")
    assert visitor.query("tab") == "predictions"
    page.go_back()
    visitor.panel("head_grid")
    visitor.wait("document.querySelector('[role=tab][aria-selected=true]').textContent.includes('Attention')")
    visitor.wait("document.querySelector('[data-panel=heatmap]').dataset.head === '1.1'")
    assert visitor.query("step") == "0"
    page.go_back()
    visitor.wait("document.querySelector('#lab-head').textContent === '0'")
    assert visitor.query("head") is None
    page.go_forward()
    visitor.wait("document.querySelector('#lab-head').textContent === '1'")


def test_a_start_that_failed_stays_with_its_reason_until_it_is_dismissed(visitor: Person, folder: Path) -> None:
    page, starts = visitor.page, folder / "runs" / ".starts"
    answer = page.request.post(
        f"{visitor.url}/api/train/start",
        data={"config": "quickstart", "overrides": {"steps": 10}, "run": "short"},
    )
    assert answer.status == 422  # as `fit --check` and `fit` say it
    assert "warmup_steps is 20, but the run has 10 steps" in answer.text()
    starts.mkdir(exist_ok=True)
    facts = {"run": "short", "kind": "new", "pid": 1, "wall": 1e9, "command": ["fit"]}
    write_json(starts / "short.json", facts | {"machine": this_machine(), "process_start": "of another process"})
    (starts / "short.log").write_text("reading the text\nerror: the disk is full\n")
    visitor.open("live", run="tiny")
    failed = page.locator("[data-start=short]")
    failed.wait_for()
    page.reload()
    failed.wait_for()
    assert "short could not start (9 Sept 2001" in str(failed.text_content())
    assert "The disk is full." in str(failed.text_content())
    failed.get_by_role("button", name="Dismiss").click()
    failed.wait_for(state="detached")
    page.reload()
    visitor.panel("live")
    visitor.wait("document.querySelector('.lab-live-head h2').textContent === 'tiny'")
    assert failed.count() == 0
    assert not (starts / "short.json").exists()
