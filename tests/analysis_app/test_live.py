"""A person at the Live tab, before a real `fit`: started from the form, steered, lost and found again."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.runs import EventWriter, MetricsWriter, Run, SampleWriter, StatusWriter, create_run
from lab.runs.control import ControlChannel
from lab.runs.records import write_json
from tests.analysis_app.conftest import MARKUP, Person, Server, start_server, stop_server
from tests.tiny import write_corpus

pytestmark = pytest.mark.browser

LIVE = "(document.querySelector('[data-panel=live]') ?? { dataset: {} })"
PATIENCE = 60_000  # milliseconds: a fit starts in some five seconds, on a busy machine in many more


class Watcher(Person):
    """A person at the Live tab."""

    def __init__(self, context: Any, server: Server) -> None:
        super().__init__(context, server.url)
        self.server = server
        self.page.set_default_timeout(PATIENCE)

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
    found = start_server(folder / "runs")
    yield found
    stop_server(found)
    for run in (folder / "runs").glob("*/run.json"):
        status = Run(run.parent).status()
        if status.active and status.pid and status.pid != os.getpid():
            os.kill(status.pid, signal.SIGKILL)


@pytest.fixture
def watcher(browser: Any, live_server: Server) -> Iterator[Watcher]:
    """A person before an empty tab; nothing went wrong in the page but what a dead server brings with it."""
    context = browser.new_context(viewport={"width": 1400, "height": 950})
    found = Watcher(context, live_server)
    yield found
    context.close()
    gone = ("ERR_CONNECTION_REFUSED", "WebSocket connection", "ERR_INCOMPLETE_CHUNKED", "ERR_EMPTY_RESPONSE", "RESET")
    left = [p for p in found.problems if not any(word in p for word in gone) and "status of 409" not in p]
    assert not left, "\n".join(left)


def test_nonsense_in_the_form_is_refused_at_its_field(watcher: Watcher, live_server: Server) -> None:
    page = watcher.page
    page.goto(live_server.url)
    watcher.wait("document.querySelector('.lab-size b')?.textContent.includes('parameters')")
    assert "1.05M parameters" in str(page.text_content(".lab-size"))
    assert page.text_content(".lab-start .lab-command") == "python -m lab fit --config configs/quickstart.yaml"
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
        "**/api/train/size", lambda r: r.fulfill(status=422, json={"error": "lr is odd; more is wrong", "id": "1"})
    )
    page.fill("#lab-start-learning-rate", "0.5")
    watcher.wait("document.querySelector('#lab-start-learning-rate-error').textContent === 'Lr is odd.'")
    assert page.text_content(".lab-problem-line") == "More is wrong."


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
        self.events.write(state, self.done, **more)
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
    assert page.text_content(".lab-state") == "stopping…"
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
        trainer.events.write("sample", step, count=1)
    about = {
        "rule": "loss_spike",
        "level": "warning",
        "since": 150,
        "metric": "train/loss",
        "value": 6.4,
        "threshold": 4,
    }
    trainer.events.write("finding", 160, what=f"a spike {MARKUP}", why=MARKUP, **about, **{"try": ["wait", MARKUP]})
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
