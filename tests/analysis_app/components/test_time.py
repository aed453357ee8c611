"""Through time, as a person meets it in a real Chromium: play, drag, click on a chart, read what the bundles say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from analysis_app.analyses.predictions import predictions
from analysis_app.library import Library
from lab.loading import list_weights
from lab.runs import open_run
from lab.runs.reference_texts import decode_pattern, read_bundle
from tests.analysis_app.conftest import Person

pytestmark = pytest.mark.browser

TEXT = "the cat sat"
SHOWN = "document.querySelector('[data-panel={}]').dataset.step"


@pytest.fixture
def bundles(runs: Path) -> dict[int, dict[str, Any]]:
    return {info.step: read_bundle(info.path) for info in open_run("tiny", runs).reference_texts()}


def number(text: str | None) -> float:
    """The last number in a text."""
    return float(re.findall(r"-?\d+(?:\.\d+)?", str(text).replace(",", ""))[-1])


def watch(person: Person, **query: Any) -> Any:
    """The tab, once all frames are there."""
    person.open("time", run="tiny", **query)
    person.page.wait_for_selector('[data-panel="time_player"][data-ended="done"]')
    for name in ("time_grid", "time_map", "time_curves"):
        person.panel(name)
    return person.page


def at(person: Person, step: int) -> None:
    """Wait until everything shows that step."""
    for name in ("time_player", "time_grid", "time_map", "time_curves"):
        person.wait(f"{SHOWN.format(name)} === '{step}'")


def fact(page: Any, name: str) -> str:
    return str(page.locator('[data-panel="time_player"] .lab-facts span', has_text=name).locator("b").text_content())


def test_drag_play_and_read_what_was_written_down(person: Person, bundles: dict[int, dict[str, Any]]) -> None:
    page = watch(person, layer=1, head=0)
    steps = sorted(bundles)
    page.wait_for_load_state("networkidle")
    asked = [url for url in person.requests if "/api/" in url]
    assert page.get_attribute('[data-panel="time_player"]', "data-frames") == str(len(steps))
    page.focus("#lab-time")
    page.keyboard.press("Home")
    at(person, 0)
    n = page.locator("#lab-token-strip .lab-token").count()
    assert float(fact(page, "loss of this text")) == pytest.approx(
        bundles[0]["token_loss"][0, : n - 1].mean(), abs=6e-4
    )
    for step in steps[1:3]:
        page.keyboard.press("ArrowRight")
        at(person, step)
        names = bundles[step]["score_names"].tolist()
        for name in ("entropy", "previous_token"):
            chip = page.text_content(f'[data-panel="time_map"] [data-score="{name.replace("_", " ")}"] b')
            assert float(str(chip)) == pytest.approx(bundles[step]["scores"][names.index(name), 1, 0], abs=6e-4)
    # The pattern's cell at query n-2, key 1, by keyboard from the last row.
    page.focus('[data-panel="time_map"] canvas')
    for key in ("ArrowUp", "ArrowRight"):
        page.keyboard.press(key)
    reading = page.text_content('[data-panel="time_map"] .lab-reading')
    expected = decode_pattern(bundles[steps[2]]["patterns"])[1, 0, 0, n - 2, 1]
    assert number(reading) == pytest.approx(expected, abs=6e-4)
    # Play runs to the end and stops there.
    page.get_by_role("button", name="play", exact=True).click()
    at(person, steps[-1])
    page.get_by_role("button", name="play", exact=True).wait_for()
    person.wait(f"new URL(location).searchParams.get('step') === '{steps[-1]}'")
    assert [url for url in person.requests if "/api/" in url] == asked  # nobody was asked for anything
    page.locator('[data-landmark="first"]').click()
    at(person, 0)


def test_click_on_a_chart_and_on_a_token_goes_there(person: Person, bundles: dict[int, dict[str, Any]]) -> None:
    page = watch(person)
    steps = sorted(bundles)
    chart = page.locator('[data-panel="time_curves"] .lab-chart-base').first
    box = chart.bounding_box()
    chart.click(position={"x": 49, "y": 60})
    at(person, 0)
    chart.click(position={"x": box["width"] - 16, "y": 60})
    at(person, steps[-1])
    # The third row from the top is the fourth token; its colour at the left is its loss at step 0.
    tokens = page.locator(".lab-token-map")
    tokens.click(position={"x": 50, "y": 2.5 * 11})
    at(person, 0)
    assert person.query("token") == "3"
    page.mouse.move(0, 0)
    reading = str(page.text_content('[data-panel="time_curves"] .lab-reading'))
    loss = float(re.findall(r"loss (\d+\.\d+)", reading)[0])
    assert loss == pytest.approx(bundles[0]["token_loss"][0, 2], abs=6e-4)
    tokens.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    at(person, steps[1])
    page.get_by_role("button", name="table").last.click()
    row = page.locator('[data-panel="time_curves"] .lab-tall tbody tr').nth(3).locator("td")
    shown = [float(str(row.nth(i).text_content())) for i in (2, 3, 4)]
    expected = [bundles[step]["token_loss"][0, 3] for step in (0, steps[1], steps[-1])]
    assert shown == pytest.approx(expected, abs=6e-4)


def test_reload_keeps_the_moment_and_the_sidebar_leads_too(person: Person, bundles: dict[int, dict[str, Any]]) -> None:
    page = watch(person, layer=1, head=1, step=4)
    at(person, 4)
    page.reload()
    page.wait_for_selector('[data-panel="time_player"][data-ended="done"]')
    at(person, 4)
    page.get_by_role("button", name="later snapshot").click()
    at(person, sorted(bundles)[sorted(bundles).index(4) + 1])
    page.get_by_role("tab", name="Attention").click()
    person.panel("heatmap")
    assert page.get_attribute('[data-panel="heatmap"]', "data-head") == "1.1"
    page.get_by_role("button", name="later snapshot").click()  # the film goes on behind the other tab
    page.get_by_role("tab", name="Through time").click()
    at(person, sorted(bundles)[sorted(bundles).index(4) + 2])


def test_a_text_of_ones_own_is_computed_and_then_as_quick(person: Person, runs: Path) -> None:
    person.open("time", run="tiny", text=quote(TEXT))
    page = person.page
    player = person.panel("time_player", "empty")
    person.panel("time_grid", "empty")
    assert "none of the run’s probe texts" in str(player.locator(".lab-message").text_content())
    player.get_by_role("button", name="Compute").click()
    person.wait("document.querySelector('[data-panel=time_player][data-origin=computed]')?.dataset.frames > 1")
    page.focus("#lab-time")
    page.keyboard.press("Home")
    at(person, 0)  # and there it stays, whatever comes after it
    frames = len(list_weights(open_run("tiny", runs)))
    page.wait_for_selector(f'[data-panel="time_player"][data-ended="done"][data-frames="{frames}"]')
    person.panel("time_curves")
    at(person, 0)
    expected = predictions(Library(runs).open("tiny", 0), TEXT)["mean_loss"]
    told = "[...document.querySelectorAll('.lab-facts span')].find((e) => e.textContent.includes('loss of this text'))"
    person.wait(f"Math.abs({told}.querySelector('b').textContent - {expected}) < 6e-4")
    person.wait("new URL(location).searchParams.get('step') === '0'")
    page.reload()  # the server remembers
    page.wait_for_selector('[data-panel="time_player"][data-ended="done"]')
    at(person, 0)


@contextmanager
def damaged(path: Path, content: bytes | None) -> Iterator[None]:
    """A file with other content, or a folder that is gone, for a while."""
    kept = path.with_name("kept")
    path.rename(kept)
    if content is not None:
        path.write_bytes(content)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        kept.rename(path)


def test_a_run_without_probes_says_so_and_can_be_computed(person: Person, runs: Path) -> None:
    with damaged(runs / "tiny" / "probes", None):
        person.open("time", run="tiny")
        player = person.panel("time_player", "empty")
        assert "wrote down no probe texts" in str(player.locator(".lab-message").text_content())
        player.get_by_role("button", name="Compute").click()
        person.page.wait_for_selector('[data-panel="time_player"][data-ended="done"]')
        person.panel("time_map")


def test_a_torn_bundle_is_left_out_and_named(person: Person, runs: Path, bundles: dict[int, dict[str, Any]]) -> None:
    torn = runs / "tiny" / "probes" / "step-00000004.npz"
    with damaged(torn, torn.read_bytes()[:3000]):
        page = watch(person)
        assert page.get_attribute('[data-panel="time_player"]', "data-frames") == str(len(bundles) - 1)
        note = page.text_content(".lab-time-notes .lab-warn")
        assert "left out: probes/step-00000004.npz is no whole probe bundle" in str(note)


def test_a_server_that_breaks_off_is_said(person: Person) -> None:
    person.page.route("**/api/analyze/time", lambda route: route.abort())
    person.open("time", run="tiny")
    player = person.panel("time_player", "error")
    assert "does not answer" in str(player.locator(".lab-message").text_content())
    person.page.unroute("**/api/analyze/time")
    player.get_by_role("button", name="Try again").click()
    person.page.wait_for_selector('[data-panel="time_player"][data-ended="done"]')
    person.problems = [problem for problem in person.problems if "ERR_FAILED" not in problem]
