"""A person at the Live tab, before a real `fit`: started from the form, steered, lost and found again."""

from __future__ import annotations

import math
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lab.diagnosis import RULES
from lab.diagnosis.finding import Found
from lab.files import write_json
from lab.runs import EventWriter, MetricsWriter, Run, SampleWriter, StatusWriter, create_run, open_run
from lab.runs.control import ControlChannel
from lab.runs.events import ENDS, SampleWritten
from scripts.page_server import Server, serving, start_server
from tests.analysis_app.conftest import MARKUP, Person, visiting
from tests.patience import PAGE_PATIENCE, PATIENCE
from tests.tiny import write_corpus

pytestmark = pytest.mark.browser

LIVE = "(document.querySelector('[data-panel=live]') ?? { dataset: {} })"


class Watcher(Person):
    """A person at the Live tab."""

    def __init__(self, context: Any, server: Server) -> None:
        super().__init__(context, server.url)
        self.server = server
        self.page.set_default_timeout(PAGE_PATIENCE)

    def status(self, state: str) -> None:
        """Wait until the tab shows the run in that state."""
        self.wait(f"{LIVE}.dataset.status === '{state}'")

    def rows(self) -> int:
        """Points of the training loss on the page. Each step is logged, so there is one more than the last step."""
        rows, last = self.page.evaluate(f"[{LIVE}.dataset.rows, {LIVE}.dataset.last]")
        assert int(rows) == int(last) + 1, "a gap, or something twice"
        return int(rows)

    def grows(self, by: int = 5) -> int:
        """Wait for more points; how many there are then."""
        before = self.rows()
        self.wait(f"Number({LIVE}.dataset.rows) >= {before + by}")
        return self.rows()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def told(self, phase: str, text: str) -> None:
        """Wait until the answer to a command stands there."""
        self.wait(
            f"(() => {{ const s = document.querySelector('.lab-said'); "
            f"return s.dataset.phase === '{phase}' && s.textContent.includes('{text}'); }})()"
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder of runs, and a data folder that holds one small text."""
    found = tmp_path_factory.mktemp("live")
    (found / "runs").mkdir()
    (found / "data").mkdir()
    write_corpus(found / "data" / "mine.txt", words=1500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_DATA_DIR", str(found / "data"))
        yield found


@pytest.fixture(scope="module")
def live_server(folder: Path) -> Iterator[Server]:
    """The server over it. A test that restarts it puts the new process in."""
    with serving(folder / "runs") as found:
        yield found
    for run in (folder / "runs").glob("*/run.json"):
        status = Run(run.parent).status()
        if status.active and status.pid and status.pid != os.getpid():
            os.kill(status.pid, signal.SIGKILL)


@pytest.fixture
def watcher(browser: Any, live_server: Server) -> Iterator[Watcher]:
    """A person before an empty tab; nothing went wrong in the page but what a dead server brings with it."""
    gone = (
        "ERR_CONNECTION_REFUSED",
        "WebSocket connection",
        "ERR_INCOMPLETE_CHUNKED",
        "EMPTY_RESPONSE",
        "RESET",
        "MISMATCH",
        "status of 409",
    )
    with visiting(browser, lambda context: Watcher(context, live_server), gone) as found:
        yield found


def test_nonsense_in_the_form_is_refused_at_its_field(watcher: Watcher, live_server: Server) -> None:
    page = watcher.page
    page.goto(live_server.url)
    watcher.wait("document.querySelector('.lab-size b')?.textContent.includes('parameters')")
    assert "1.05M parameters" in str(page.text_content(".lab-size"))
    assert "a step holds" in str(page.text_content(".lab-size"))
    assert page.text_content(".lab-start .lab-command") == "python -m lab fit --config quickstart"
    for field, value, sentence in [
        ("batch", "0", "a whole number from 1"),
        ("learning-rate", "-1", "a number from"),
        ("name", "../up", "Letters, digits"),
        ("name", "last", "the newest run"),
    ]:
        page.fill(f"#lab-start-{field}", value)
        assert sentence in str(page.text_content(f"#lab-start-{field}-error"))
        assert page.is_disabled("#lab-start-run")
        page.fill(f"#lab-start-{field}", "")
    # What only the server knows: the model's heads do not fit its width, a text that is gone.
    page.route(
        "**/api/train/plan", lambda r: r.fulfill(status=422, json={"error": "lr is odd; more is wrong", "id": "1"})
    )
    page.fill("#lab-start-learning-rate", "0.5")
    watcher.wait("document.querySelector('#lab-start-learning-rate-error').textContent === 'Lr is odd.'")
    assert page.text_content(".lab-problem-line") == "More is wrong."


def start_from_the_form(watcher: Watcher, name: str) -> None:
    page = watcher.page
    page.goto(watcher.url)
    watcher.wait("document.querySelector('.lab-size b')?.textContent.includes('parameters')")
    page.select_option("#lab-start-configuration", "shakespeare_char")
    page.select_option("#lab-start-text", "file:mine.txt")
    page.fill("#lab-start-length", "20000")
    page.select_option(".lab-form-input select[aria-label='unit of the length']", "steps")
    page.fill("#lab-start-batch", "1")
    page.fill("#lab-start-name", name)
    watcher.wait("document.querySelector('.lab-size').textContent.includes('64 tokens a step')")
    assert "--data.corpus text --data.path mine.txt" in str(page.text_content(".lab-start .lab-command"))
    page.click("#lab-try-run")
    watcher.wait("document.querySelector('#lab-cost').textContent.includes('of memory')")
    assert re.search(
        r"\d+ (s|min|h).* to .*of memory.*its final loss: not enough to say", page.text_content("#lab-cost")
    )
    page.click("#lab-start-run")
    watcher.status("running")
    watcher.wait(f"Number({LIVE}.dataset.rows) > 10")
    assert watcher.query("run") == name
    assert page.locator(".lab-state").text_content() == "running"


def pause_and_go_on(watcher: Watcher) -> None:
    watcher.press("Pause")
    watcher.told("done", "Paused at step")
    watcher.status("paused")
    times = "document.querySelector('.lab-live-times').textContent"
    before, shown = watcher.rows(), watcher.page.evaluate(times)
    assert "of training left once it goes on" in shown
    watcher.page.wait_for_timeout(1500)
    assert (watcher.rows(), watcher.page.evaluate(times)) == (before, shown)
    watcher.press("Go on")
    watcher.told("done", "Going on")
    watcher.status("running")
    watcher.grows()


def steer(watcher: Watcher, run: Run) -> None:
    page = watcher.page
    page.fill("#lab-lr-factor", "0.25")
    watcher.press("Set")
    watcher.told("done", "Learning rate × 0.25")
    watcher.wait("document.querySelector('[data-fact=\"learning rate\"]').textContent.includes('schedule × 0.25')")
    watcher.press("Checkpoint now")
    watcher.told("done", "Saved at step")
    assert run.checkpoints()
    page.fill("#lab-sample-prompt", "the dog ")
    page.click("#lab-sample-now")
    watcher.told("done", "Written at step")
    watcher.wait("[...document.querySelectorAll('.lab-sample-prompts option')].some((o) => o.value === 'the dog ')")


def lose_the_server(watcher: Watcher, run: Run) -> None:
    """Killed and started again on the same port: the trainer trains on, the page comes back by itself."""
    old, port = watcher.server, urlsplit(watcher.url).port
    old.process.kill()
    old.process.wait(PATIENCE)
    watcher.wait("!document.querySelector('.lab-cut').hidden")
    assert "No connection to the page’s server" in str(watcher.page.text_content(".lab-cut"))
    step = run.status().step or 0
    new = start_server(run.path.parent, "--port", str(port))
    old.process, old.log = new.process, new.log
    watcher.wait(f"document.querySelector('.lab-cut').hidden && Number({LIVE}.dataset.last) > {step}")
    assert run.status().state == "running"
    watcher.grows()


def lose_the_trainer(watcher: Watcher, run: Run) -> None:
    """Killed with -9: amber, the command that goes on, and a click that does."""
    page, pid = watcher.page, run.status().pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    watcher.status("stale")
    trouble = str(page.text_content(".lab-trouble"))
    assert "No word from the trainer since" in trouble
    assert "Last checkpoint: step" in trouble
    assert f"fit --resume {run.name}" in trouble
    assert page.get_attribute(".lab-trouble", "data-tone") == "amber"
    assert page.is_disabled("[data-command=pause]")
    assert "stale" in str(page.get_attribute("[data-command=pause]", "title"))
    page.click("#lab-resume-run")
    watcher.status("running")
    watcher.grows()
    assert run.status().pid != pid


@pytest.fixture(scope="module")
def mine(browser: Any, live_server: Server, folder: Path) -> Run:
    """A run that somebody has started from the form, and that trains."""
    with visiting(browser, lambda context: Watcher(context, live_server)) as starter:
        start_from_the_form(starter, "mine")
    return open_run("mine", folder / "runs")


@pytest.mark.slow
def test_a_run_from_the_form_is_steered(watcher: Watcher, mine: Run) -> None:
    page = watcher.page
    watcher.open("live", run=mine.name)
    watcher.status("running")
    watcher.wait(f"Number({LIVE}.dataset.rows) > 60")
    start = mine.metrics().series("train/loss")[1][0]
    assert float(str(page.text_content("[data-fact='train loss'] b"))) < start
    pause_and_go_on(watcher)
    steer(watcher, mine)
    page.reload()
    watcher.wait(f"Number({LIVE}.dataset.rows) > 60")
    watcher.grows()


@pytest.mark.slow
def test_the_server_is_killed_then_the_trainer_and_the_run_goes_on(watcher: Watcher, mine: Run) -> None:
    watcher.open("live", run=mine.name)
    watcher.status("running")
    if not mine.checkpoints():
        watcher.press("Checkpoint now")
        watcher.told("done", "Saved at step")
    lose_the_server(watcher, mine)
    lose_the_trainer(watcher, mine)
    watcher.press("Stop & save")
    watcher.status("stopped")
    # What the page holds is what the file says, the steps that were trained twice counted once.
    steps, _ = mine.metrics().series("train/loss")
    watcher.wait(f"Number({LIVE}.dataset.rows) === {len(steps)}")
    assert watcher.rows() == steps[-1] + 1
    assert "Stopped at step" in str(watcher.page.text_content(".lab-trouble"))


# ---------------------------------------------------------------- runs that are only written down


class Trainer:
    """Somebody who writes a run directory as a trainer does, and trains nothing."""

    def __init__(self, folder: Path, name: str) -> None:
        self.run = create_run(folder / "runs", name)
        baselines = {"nats_per_token": {"uniform": 7.6, "unigram": 6.4}}
        write_json(self.run.data_path, {"baselines": baselines, "bytes_per_token": 2.5})
        self.run.config_path.write_text("model:\n  optimizer:\n    clip: 1.0\n")
        self.status = StatusWriter(self.run, total_steps=1000)
        self.status.update(state="running")
        self.metrics, self.events = MetricsWriter(self.run), EventWriter(self.run)
        self.samples = SampleWriter(self.run)
        self.control = ControlChannel(self.run, self.events)
        self.done = 0

    def steps(self, n: int, loss: float | None = None) -> None:
        """Log `n` more steps."""
        for step in range(self.done, self.done + n):
            values = {"train/loss": 2 + 5 * math.exp(-step / 50), "train/lr": 1e-3, "train/grad_norm": 0.7}
            if loss is not None:
                values |= {"train/loss": loss, "train/grad_norm": loss}
            self.metrics.write(step, 64 * step, step / 10, values)
        self.done += n
        self.status.update(step=self.done, tokens=64 * self.done, eta_seconds=60.0)

    def end(self, state: str, **more: Any) -> None:
        self.status.update(state=state, **more)
        self.events.write(ENDS[state](step=self.done, **more))
        for writer in (self.status, self.metrics, self.events, self.samples):
            writer.close()


@pytest.fixture
def trainer(folder: Path, request: pytest.FixtureRequest) -> Iterator[Trainer]:
    """One who has logged 200 steps of a run that goes by the test's name."""
    found = Trainer(folder, request.node.name.removeprefix("test_")[:40])
    found.steps(200)
    yield found
    if found.status.state == "running":
        found.end("completed")


def look(watcher: Watcher, trainer: Trainer) -> Any:
    """Open the tab on a run, once all of it is there."""
    watcher.open("live", run=trainer.run.name)
    watcher.wait(f"Number({LIVE}.dataset.rows) === {trainer.done}")
    return watcher.page


def test_the_zoom_stays_while_steps_come_in_and_training_that_went_back_is_forgotten(
    watcher: Watcher, trainer: Trainer
) -> None:
    page = look(watcher, trainer)
    base = page.locator(".lab-live-main .lab-chart-base")
    box = base.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 100, steps=3)
    page.mouse.up()
    watcher.wait("document.querySelectorAll('.lab-chart-reset').length === 5")
    trainer.steps(50)
    watcher.wait(f"Number({LIVE}.dataset.rows) === 250")
    assert page.locator(".lab-chart-reset").count() == 5
    base.dblclick()
    watcher.wait("document.querySelectorAll('.lab-chart-reset').length === 0")
    trainer.metrics.close()
    trainer.metrics, trainer.done = MetricsWriter(trainer.run, start_step=100), 101
    watcher.wait(f"Number({LIVE}.dataset.rows) === 101")
    trainer.steps(5)
    watcher.wait(f"Number({LIVE}.dataset.rows) === 106")
    assert watcher.rows() == 106


def test_smoothing_changes_the_picture_and_no_number(watcher: Watcher, trainer: Trainer) -> None:
    page = look(watcher, trainer)
    trainer.steps(1, loss=3.25)
    now = "[data-fact='train loss'] b"
    watcher.wait(f"document.querySelector(\"{now}\").textContent === '3.250'")  # as it was measured
    legend = page.locator(".lab-live-main .lab-chart-key").first
    assert " smoothed 0.90" in str(legend.text_content())
    averaged = legend.locator("b").text_content()
    page.get_by_label("smoothing of the training loss").fill("0.75")
    watcher.wait("document.querySelector('.lab-live-main .lab-chart-key').textContent.includes('smoothed 0.97')")
    assert legend.locator("b").text_content() != averaged
    assert page.text_content(now) == "3.250"
    page.get_by_label("smoothing of the training loss").fill("0")
    watcher.wait("document.querySelector('.lab-live-main .lab-chart-key b').textContent === '3.250'")
    assert "smoothed" not in str(legend.text_content())


def test_a_file_that_was_cut_is_read_again(watcher: Watcher, trainer: Trainer) -> None:
    look(watcher, trainer)
    lines = trainer.run.metrics_path.read_bytes().splitlines(keepends=True)
    os.truncate(trainer.run.metrics_path, len(b"".join(lines[:60])))
    watcher.wait(f"Number({LIVE}.dataset.rows) === 60")


def test_a_command_is_asked_and_then_answered_or_refused(watcher: Watcher, trainer: Trainer) -> None:
    page = look(watcher, trainer)

    def taken() -> Any:
        while not (commands := trainer.control.poll()):
            page.wait_for_timeout(20)
        return commands[0]

    watcher.press("Stop & save")
    stop = taken()
    watcher.told("asked", "Stopping and saving…")
    watcher.wait("document.querySelector('.lab-state').textContent === 'stopping…'")
    assert page.is_disabled("[data-command=stop]")
    assert page.is_disabled("[data-command=checkpoint]")
    trainer.control.refuse(stop, "the disk is full", trainer.done)
    watcher.told("refused", "Refused: The disk is full.")
    watcher.wait("document.querySelector('.lab-state').textContent === 'running'")
    watcher.press("Pause")
    trainer.control.answer(taken(), trainer.done)
    trainer.status.update(state="paused")
    watcher.told("done", "Paused at step 200.")
    watcher.wait("document.querySelector('[data-command=pause]').hidden")
    trainer.status.update(state="running")
    page.fill("#lab-lr-factor", "-3")
    watcher.press("Set")
    watcher.told("refused", "A factor from 0")


def test_findings_events_and_samples_are_told_and_markup_in_them_stays_text(watcher: Watcher, trainer: Trainer) -> None:
    for step in (0, 100, 199):
        trainer.samples.write(step, "To be", f" or not {step} {MARKUP}")
        trainer.events.write(SampleWritten(step=step, count=1))
    spike = RULES["loss_spike"].finding(Found("warning", f"a spike {MARKUP}", 150, "train/loss", 6.4, 4), 160)
    trainer.events.write(replace(spike, why=MARKUP, tries=("wait", MARKUP)))
    page = look(watcher, trainer)
    finding = page.locator(".lab-finding")
    finding.locator("summary").click()
    assert f"A spike {MARKUP}" in finding.text_content()
    assert finding.locator("li").count() == 2
    assert "train/loss 6.4, threshold 4" in finding.text_content()
    finding.get_by_role("button", name="show it in the curves").click()
    watcher.wait("document.querySelectorAll('.lab-chart-reset').length === 5")
    texts = page.locator(".lab-sample-text")
    assert texts.all_text_contents()[0] == f"To be or not 199 {MARKUP}"
    page.locator("#lab-sample-step").fill("1")
    assert page.locator(".lab-sample").first.get_attribute("data-step") == "100"
    trainer.samples.write(200, "To be", " new")
    watcher.wait("document.querySelector('#lab-sample-step').max === '3'")
    assert page.locator(".lab-sample").first.get_attribute("data-step") == "100"  # looked at, so it stays
    assert page.locator("img").count() == 0


def test_a_loss_that_is_no_number_is_red_and_the_failed_run_is_history(watcher: Watcher, trainer: Trainer) -> None:
    page = look(watcher, trainer)
    trainer.steps(5, loss=math.nan)
    watcher.wait("document.querySelector('.lab-trouble').textContent.includes('no number since step 200')")
    assert page.get_attribute(".lab-state", "data-tone") == "bad"
    trainer.end("failed", message=f"the loss is not finite {MARKUP}")
    watcher.status("failed")
    assert MARKUP in str(page.text_content(".lab-trouble"))
    assert all(page.locator(f"[data-command={name}]").is_disabled() for name in ("pause", "stop", "checkpoint", "lr"))
    assert page.get_attribute(f"{'[data-panel=live]'}", "data-last") == "199"


def test_several_runs_at_once(watcher: Watcher, trainer: Trainer, folder: Path) -> None:
    other = Trainer(folder, "another")
    other.steps(30)
    page = look(watcher, trainer)
    page.click(".lab-other[data-run=another]")
    watcher.wait(f"{LIVE}.dataset.run === 'another' && Number({LIVE}.dataset.rows) === 30")
    page.wait_for_selector(f".lab-other[data-run={trainer.run.name}]")
    trainer.steps(10)
    other.steps(1)
    watcher.wait(f"Number({LIVE}.dataset.rows) === 31")
    assert watcher.query("run") == "another"
    other.end("completed")
    watcher.status("completed")
    assert "the run is completed" in str(page.text_content(".lab-why"))


def test_the_tab_in_both_themes_and_without_a_mouse(watcher: Watcher, trainer: Trainer) -> None:
    page = look(watcher, trainer)
    page.get_by_role("button", name="switch between light and dark").click()
    page.focus(".lab-live-main .lab-chart-base")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    watcher.wait("document.querySelector('.lab-live-main .lab-chart-key b').textContent !== ''")
    page.select_option(".lab-live-options select", "time")
    page.get_by_label("log y").check()
    page.reload()
    watcher.wait(f"Number({LIVE}.dataset.rows) === 200")
    assert page.is_checked(".lab-live-options input[type=checkbox] >> nth=1")
    assert page.input_value(".lab-live-options select") == "time"
    label = page.get_attribute(".lab-live-main .lab-chart-base", "aria-label")
    assert "Loss by training time, in nats per token: train 2" in str(label)
