"""A person at the page, in a real Chromium: choose, type, click, read a number that `lab.interp` agrees with."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

import lab
from analysis_app.analyses.ablation import ablation
from analysis_app.analyses.activations import activations
from analysis_app.analyses.attention import attention, attention_row
from analysis_app.analyses.predictions import predictions
from analysis_app.library import Library
from analysis_app.page.tabs import TABS
from lab.generation import Sampling, stream
from scripts.page_server import Server, start_server
from tests.analysis_app.conftest import MARKUP, STEPS, Person

pytestmark = pytest.mark.browser

TEXT = "the cat sat"
HEAD = '[data-panel="head_grid"] .lab-head[data-layer="{}"][data-head="{}"]'


def number(text: str) -> float:
    """The last number in a text."""
    return float(re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))[-1])


def test_attention_choose_type_click_and_read(person: Person, library: Library) -> None:
    person.open("attention")
    page = person.page
    person.panel("head_grid")
    page.fill("#lab-text", TEXT)
    person.wait("document.querySelectorAll('#lab-token-strip .lab-token').length === 11")
    person.wait(
        "document.querySelector('[data-panel=heatmap] canvas').getAttribute('aria-label').includes('11 tokens')"
    )
    page.click(HEAD.format(1, 0))
    expected = attention(library.open("tiny"), text=TEXT)
    entropy = page.text_content('[data-panel="heatmap"] [data-score="entropy"] b')
    assert float(str(entropy)) == pytest.approx(expected["scores"][0].values[1, 0], abs=6e-4)
    # By keyboard to query 4, key 2: from the last row's first key.
    page.focus('[data-panel="heatmap"] canvas')
    for key in ["ArrowUp"] * 6 + ["ArrowRight"] * 2:
        page.keyboard.press(key)
    reading = str(page.text_content('[data-panel="heatmap"] .lab-reading'))
    assert "4 “c” reads from 2 “e”" in reading
    assert number(reading) == pytest.approx(expected["patterns"][1, 0, 4, 2], abs=0.005)
    page.keyboard.press("Enter")
    person.panel("row_steps")
    row = attention_row(library.open("tiny"), TEXT, layer=1, head=0, query=4)
    last = page.locator('[data-panel="row_steps"] tbody tr').last.locator("td")
    assert [float(str(last.nth(i).text_content())) for i in range(5)] == pytest.approx(
        row["pattern"][:5].tolist(), abs=6e-4
    )
    assert (person.query("layer"), person.query("head"), person.query("token")) == ("1", None, "4")


def test_hover_previews_click_locks_escape_unlocks(person: Person) -> None:
    person.open("attention")
    page = person.page
    person.panel("head_grid")
    person.panel("heatmap")
    shown = "document.querySelector('[data-panel=heatmap]').dataset.head"
    page.hover(HEAD.format(1, 1))
    person.wait(f"{shown} === '1.1'")
    page.hover("#lab-header h1")
    person.wait(f"{shown} === '0.0'")
    page.click(HEAD.format(0, 1))
    page.hover(HEAD.format(1, 1))
    assert page.evaluate(shown) == "0.1"  # locked
    page.keyboard.press("Escape")
    page.hover(HEAD.format(1, 0))
    person.wait(f"{shown} === '1.0'")
    page.focus(HEAD.format(0, 1))
    page.keyboard.press("ArrowDown")
    person.wait(f"{shown} === '1.1'")
    assert person.query("layer") == "1"
    page.dblclick(HEAD.format(1, 1))
    assert page.locator(".lab-solo").count() == 1


def test_switching_heads_asks_nobody_and_takes_no_time(person: Person) -> None:
    person.open("attention")
    page = person.page
    person.panel("heatmap")
    person.panel("head_grid")
    page.wait_for_load_state("networkidle")
    before = len(person.requests)
    for layer, head in [(0, 1), (1, 0), (1, 1), (0, 0)] * 3:
        page.click(HEAD.format(layer, head))
        assert page.get_attribute('[data-panel="heatmap"]', "data-head") == f"{layer}.{head}"
        assert float(str(page.get_attribute('[data-panel="heatmap"]', "data-draw-ms"))) < 50
        page.mouse.move(0, 0)
    assert len(person.requests) == before


def test_difference_of_two_snapshots(person: Person, library: Library) -> None:
    person.open("attention", text=quote(TEXT), compare="tiny@0", layer=1, head=1)
    person.panel("heatmap")
    page = person.page
    page.focus('[data-panel="heatmap"] canvas')
    page.keyboard.press("ArrowUp")
    shown = page.evaluate("document.querySelector('[data-panel=heatmap] select').value")
    assert shown == "difference"
    a = attention(library.open("tiny"), TEXT)["patterns"][1, 1, 9, 0]
    assert number(str(page.text_content('[data-panel="heatmap"] .lab-reading'))) == pytest.approx(a, abs=0.005)


def test_ablation_shows_the_rise_of_the_loss(person: Person, library: Library) -> None:
    person.open("attention", text=quote(TEXT))
    person.panel("head_grid")
    page = person.page
    page.select_option('[data-panel="head_grid"] select', "Δ loss without it")
    person.wait("document.querySelector('[data-panel=head_grid]').dataset.metric.startsWith('Δ')")
    expected = ablation(library.open("tiny"), text=TEXT)["heads"][0, 1]
    assert float(str(page.text_content(HEAD.format(0, 1) + " .lab-head-score"))) == pytest.approx(expected, abs=6e-4)


def test_checkpoints_click_looks_at_those_weights(person: Person, library: Library) -> None:
    person.open("checkpoints")
    page = person.page
    person.panel("checkpoint_table")
    person.wait("document.querySelector('.lab-proof').dataset.reproduces === 'true'")
    rows = library.weights("tiny")
    assert page.locator('[data-panel="checkpoint_table"] tbody tr').count() == len(rows)
    page.click('[data-panel="checkpoint_table"] tr[data-step="4"]')
    person.wait("document.querySelector('.lab-proof').textContent.includes('Step 4 reproduces')")
    recorded = next(row.probe_loss for row in rows if row.step == 4)
    assert f"computed {recorded:.4f}" in str(page.text_content(".lab-proof"))
    assert person.query("step") == "4"
    assert page.get_attribute("#lab-step", "aria-valuetext") == "step 4"


def test_predictions_click_and_read(person: Person, library: Library) -> None:
    person.open("predictions", text=quote(TEXT))
    page = person.page
    panel = person.panel("loss_text")
    expected = predictions(library.open("tiny"), text=TEXT)
    chips = panel.locator(".lab-token")
    losses = [float(str(chips.nth(i).get_attribute("data-loss"))) for i in range(1, 11)]
    assert losses == pytest.approx(expected["loss"].tolist(), abs=6e-4)
    assert f"{expected['mean_loss']:.3f}" in str(panel.locator('[data-fact="mean loss"]').text_content())
    chips.nth(4).click()
    person.wait("document.querySelector('[data-panel=next_bars] .lab-note').textContent.startsWith('After token 4')")
    attribution = expected["attribution"]
    assert attribution is not None
    shown = float(str(page.get_attribute('[data-panel="attribution_bars"]', "data-sum")))
    assert shown == pytest.approx(attribution["logits"][4], abs=2e-3)
    top = page.locator('[data-panel="lens_grid"] tbody tr').first.locator("td")
    assert [str(top.nth(i).text_content()) for i in range(11)] == [row[0] for row in expected["lens"]["top_tokens"][-1]]


def test_sliders_reshape_the_bars_as_the_generator_would(person: Person, runs: Path) -> None:
    from lab.generation import distribution
    from lab.interp import run_with_cache

    person.open("predictions", text=quote(TEXT), token=4)
    page = person.page
    person.panel("next_bars")
    page.wait_for_load_state("networkidle")
    before = len(person.requests)
    for name, value in {"temperature": 0.5, "top-k": 6, "top-p": 0.9}.items():
        page.locator(f"#lab-{name}").fill(str(value))
    model, tokenizer = lab.load("tiny", root=runs)
    logits = run_with_cache(model, tokenizer.encode(TEXT), ("logits",)).logits[0, 4]
    expected = distribution(logits, Sampling(temperature=0.5, top_k=6, top_p=0.9)).probabilities
    assert int(str(page.get_attribute('[data-panel="next_bars"]', "data-left"))) == int((expected > 0).sum())
    first = page.locator('[data-panel="next_bars"] .lab-bar').first
    likeliest = int(expected.argmax())
    assert int(str(first.get_attribute("data-token"))) == likeliest
    assert f"{100 * float(expected[likeliest]):.0f} %" in str(first.locator("b").text_content())
    assert len(person.requests) == before


def test_activations_read_a_norm(person: Person, library: Library) -> None:
    person.open("activations", text=quote(TEXT), token=3)
    page = person.page
    person.panel("residual_bars")
    person.panel("histograms")
    norms = activations(library.open("tiny"), text=TEXT)
    for quantity in ("resid_pre", "attn_out", "mlp_out"):
        bar = page.locator(f'[data-panel="residual_bars"] [data-quantity="{quantity}"][data-layer="1"] b')
        expected = norms["norms"][norms["quantities"].index(quantity), 1, 3]
        assert float(str(bar.text_content())) == pytest.approx(expected, abs=6e-3)
    page.focus('[data-panel="residual_map"] canvas')
    page.keyboard.press("ArrowRight")
    reading = str(page.text_content('[data-panel="residual_map"] .lab-reading'))
    assert "layer 1, token 4 “c”" in reading
    assert number(reading) == pytest.approx(norms["norms"][-1, 1, 4], abs=6e-4)


def test_generate_writes_what_the_generator_writes(person: Person, runs: Path) -> None:
    person.open("generate", text=quote("the "))
    page = person.page
    page.wait_for_selector("#lab-generate:not([disabled])")
    page.fill("#lab-max_tokens", "12")
    page.fill("#lab-seed", "5")
    page.click("#lab-generate")
    panel = person.panel("writer")
    model, tokenizer = lab.load("tiny", root=runs)
    expected = [step.token for step in stream(model, tokenizer.encode("the "), Sampling(12, 0.8, seed=5))]
    written = panel.locator(".lab-written")
    assert [int(str(written.nth(i).get_attribute("data-id"))) for i in range(12)] == expected
    written.nth(3).click()
    branch = panel.locator(".lab-menu .lab-preset").nth(1)
    branch.click()
    person.wait("document.querySelector('.lab-foot').textContent.includes('tokens/s')")
    again = [int(str(written.nth(i).get_attribute("data-id"))) for i in range(4)]
    assert again[:3] == expected[:3]
    assert again[3] != expected[3]


def test_generate_two_snapshots_side_by_side_and_a_refusal(person: Person) -> None:
    person.open("generate", text=quote("the "), compare="tiny@0")
    page = person.page
    page.wait_for_selector("#lab-generate:not([disabled])")
    page.fill("#lab-max_tokens", "5")
    page.click("#lab-generate")
    person.wait(
        "[...document.querySelectorAll('.lab-foot')].filter((f) => f.textContent.includes('tokens/s')).length === 2"
    )
    page.fill("#lab-max_tokens", "999999")
    page.click("#lab-generate")
    person.panel("writer", "error")
    assert "max_tokens=999999" in str(page.text_content(".lab-foot"))


def test_a_reload_keeps_the_view(person: Person) -> None:
    person.open("predictions")
    page = person.page
    person.panel("loss_text")
    page.fill("#lab-text", "a dog ran")
    person.wait("document.querySelectorAll('[data-panel=loss_text] .lab-token').length === 9")
    page.locator('[data-panel="loss_text"] .lab-token').nth(2).click()
    page.get_by_role("button", name="earlier snapshot").click()
    page.get_by_role("tab", name="Attention").click()
    person.panel("head_grid")
    page.click(HEAD.format(1, 1))
    before = page.url
    page.reload()
    person.panel("head_grid")
    person.panel("row_steps")
    assert page.url == before
    assert page.input_value("#lab-text") == "a dog ran"
    assert page.get_attribute('[data-panel="heatmap"]', "data-head") == "1.1"
    assert page.get_attribute('[data-panel="row_steps"]', "data-query") == "2"
    assert page.get_attribute("#lab-step", "aria-valuetext") != f"step {STEPS}"


@pytest.mark.parametrize("tab", TABS)
def test_markup_stays_text(person: Person, tab: str) -> None:
    """In the corpus, hence in the default text and its tokens, in a prompt, in a run's name, in the address."""
    person.open(tab, text=quote("<img src=x onerr"), run=quote(MARKUP), step="<b>", compare=quote(MARKUP))
    page = person.page
    page.wait_for_selector(".lab-notes p, .lab-message")
    page.wait_for_function("document.querySelector('#lab-selection-panel select') !== null")
    assert MARKUP in str(page.text_content("#lab-selection-panel"))
    page.select_option("#lab-selection-panel select", "tiny")
    if tab != "live":  # which shows a run, and no text
        page.wait_for_selector("#lab-token-strip .lab-token")
        page.locator("#lab-token-strip .lab-token").first.click()
    if tab == "generate":
        page.click("#lab-generate")
        person.wait("document.querySelector('.lab-foot').textContent !== ''")
    page.wait_for_load_state("networkidle")
    assert page.locator("img").count() == 0


def test_a_text_that_is_too_long_says_so_and_comes_back(person: Person) -> None:
    person.open("attention")
    page = person.page
    person.panel("head_grid")
    page.fill("#lab-text", "the cat sat on a mat")
    panel = person.panel("head_grid", "error")
    message = str(panel.locator(".lab-message").text_content())
    assert "20 tokens and this model looks at 16" in message
    assert panel.locator(".lab-message code").text_content()
    assert "4 too many" in str(page.text_content("#lab-token-strip"))
    page.fill("#lab-text", "the cat")
    person.panel("head_grid")


def test_old_numbers_stay_marked_while_new_ones_are_computed(person: Person) -> None:
    page = person.page
    person.open("predictions")
    person.panel("loss_text")
    page.route("**/api/analyze/**", lambda route: (page.wait_for_timeout(900), route.continue_()))
    page.get_by_role("button", name="earlier snapshot").click()
    stale = person.panel("loss_text", "stale")
    assert f"showing step {STEPS}" in str(stale.locator(".lab-badge").text_content())
    assert stale.locator(".lab-token").count() > 0
    page.unroute_all(behavior="ignoreErrors")
    person.panel("loss_text")


def test_a_server_that_fails_is_said_and_tried_again(person: Person) -> None:
    page = person.page
    page.route("**/api/analyze/attention", lambda route: route.abort())
    person.open("attention")
    panel = person.panel("heatmap", "error")
    assert "does not answer" in str(panel.locator(".lab-message").text_content())
    page.unroute("**/api/analyze/attention")
    panel.get_by_role("button", name="Try again").click()
    person.panel("heatmap")
    person.problems = [problem for problem in person.problems if "ERR_FAILED" not in problem]


def test_light_and_dark(person: Person) -> None:
    person.open("attention")
    page = person.page
    person.panel("heatmap")
    ground = "getComputedStyle(document.querySelector('.lab-card')).backgroundColor"
    before = page.evaluate(ground)
    page.get_by_role("button", name="switch between light and dark").click()
    assert page.evaluate(ground) != before
    page.reload()
    person.panel("heatmap")
    assert page.evaluate(ground) != before


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = start_server(tmp_path_factory.mktemp("empty"))
    yield found
    found.stop()


def test_an_empty_folder_says_what_fills_it(person: Person, empty_server: Server) -> None:
    person.url = empty_server.url
    person.open("attention")
    panel = person.panel("heatmap", "empty")
    assert "python -m lab fit" in str(panel.locator(".lab-message").text_content())
    for tab in ("Checkpoints", "Predictions", "Activations", "Through time", "Generate", "Experiments"):
        person.page.get_by_role("tab", name=tab).click()
        person.page.wait_for_selector('[data-state="empty"]:visible')


def test_uniform_loss_is_what_guessing_costs(person: Person, runs: Path) -> None:
    person.open("predictions")
    panel = person.panel("loss_text")
    tokenizer = lab.load("tiny", root=runs).tokenizer
    assert f"{math.log(tokenizer.vocab_size):.3f}" in str(panel.locator('[data-fact="guessing"]').text_content())


def test_docs_list_the_routes(person: Person) -> None:
    person.page.goto(f"{person.url}/docs")
    person.wait("document.querySelectorAll('section').length > 8")
    assert "/api/analyze/attention" in str(person.page.text_content("main"))
