"""A person at the deeper panels: neurons, layers over training, the vocabulary, loss by position, patching; at what a
writing says before, while and after it runs; at two sets of weights that differ.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import lab
from analysis_app.analyses import patching
from analysis_app.analyses.attention import attention
from analysis_app.analyses.embeddings import embedding_map, neighbours
from analysis_app.analyses.neurons import neuron, neuron_examples
from analysis_app.analyses.position_loss import position_loss
from analysis_app.analyses.predictions import predictions
from analysis_app.analyses.training_norms import training_norms
from analysis_app.library import Library
from tests.analysis_app.conftest import MARKUP, STEPS, Person

pytestmark = pytest.mark.browser

TEXT, OTHER = "the ca", "a do i"
PANEL = "document.querySelector('[data-panel={}]').dataset.{}"


def number(text: Any) -> float:
    """The last number in a text."""
    return float(re.findall(r"[-−]?\d+(?:\.\d+)?", str(text).replace(",", ""))[-1].replace("−", "-"))


def test_a_neuron_on_the_text_and_where_it_fires_most(person: Person, library: Library) -> None:
    person.open("activations", text=quote(TEXT), layer=1, unit=5)
    page = person.page
    found = neuron(library.open("tiny"), text=TEXT, layer=1, unit=5)
    chips = person.panel("neuron").locator(".lab-token")
    values = [float(str(chips.nth(i).get_attribute("data-value"))) for i in range(6)]
    assert values == pytest.approx(found["activation"].tolist(), abs=6e-4)
    person.panel("neuron_examples", "empty").get_by_role("button", name="Scan the validation slice").click()
    examples = person.panel("neuron_examples")
    expected = neuron_examples(library.open("tiny"), layer=1, unit=5)["examples"]
    first = examples.locator("li").first
    assert float(str(first.get_attribute("data-value"))) == pytest.approx(expected[0]["value"], abs=6e-4)
    assert first.locator(".lab-hit").text_content() == expected[0]["tokens"][expected[0]["at"]]
    page.locator('[data-panel="neuron"] .lab-preset').first.click()
    strongest = int(found["strongest"][0])
    person.wait(f"{PANEL.format('neuron_examples', 'unit')} === '1.{strongest}'")
    page.reload()
    person.panel("neuron_examples")
    person.wait(f"{PANEL.format('neuron', 'unit')} === '1.{strongest}'")


def test_a_scan_says_how_far_it_is_and_ends_with_the_selection(person: Person) -> None:
    """A server that has told two of four steps and then takes its time."""
    page = person.page
    page.add_init_script("""
      const real = window.fetch;
      window.fetch = (url, options) => {
        if (!String(url).includes("neuron_examples")) return real(url, options);
        options.signal.addEventListener("abort", () => { window.given_up = (window.given_up ?? 0) + 1; });
        const line = JSON.stringify({ event: "progress", done: 2, of: 4 }) + "\\n";
        const body = new ReadableStream({ start: (c) => c.enqueue(new TextEncoder().encode(line)) });
        return Promise.resolve(new Response(body, { status: 200 }));
      };
    """)
    person.open("activations", text=quote(TEXT), examples="yes")
    panel = person.panel("neuron_examples", "loading")
    page.wait_for_selector('[data-panel="neuron_examples"] progress[value="2"][max="4"]')
    assert "2 of 4" in str(panel.locator(".lab-message").text_content())
    page.get_by_role("button", name="next layer").click()
    person.wait("window.given_up === 1")


def test_layers_over_training_are_read_and_jumped_to(person: Person, library: Library) -> None:
    person.open("activations", norms="stats/update_ratio")
    page = person.page
    person.panel("training_norms")
    found = training_norms(library, "tiny")
    page.focus('[data-panel="training_norms"] canvas')
    for _ in found["steps"][2:]:
        page.keyboard.press("ArrowLeft")
    shown = page.locator('[data-panel="training_norms"] .lab-chart-key b')
    values = [float(text) for text in shown.all_text_contents()]
    assert values == pytest.approx(found["measures"][1]["values"][:, 2].tolist(), rel=5e-3)
    page.keyboard.press("Enter")
    person.wait(f"new URL(location).searchParams.get('step') === '{found['steps'][2]}'")


def test_the_vocabulary_finds_a_token_and_its_neighbours(person: Person, library: Library, runs: Path) -> None:
    person.open("activations", step=0)
    page = person.page
    person.panel("embedding_map")
    page.fill("#lab-find-token", "t")
    page.press("#lab-find-token", "Enter")
    token = int(lab.load("tiny", root=runs).tokenizer.encode("t")[0])
    person.wait(f"{PANEL.format('embedding_map', 'token')} === '{token}'")
    near = neighbours(library.open("tiny", 0), token)
    bars = page.locator(".lab-neighbours .lab-bar")
    assert [int(str(bars.nth(i).get_attribute("data-id"))) for i in range(bars.count())] == near["ids"]
    assert number(bars.first.locator("b").text_content()) == pytest.approx(near["cosines"][0], abs=6e-3)
    page.focus('[data-panel="embedding_map"] canvas')
    page.keyboard.press("ArrowLeft")
    reading = str(page.text_content('[data-panel="embedding_map"] .lab-reading'))
    where = embedding_map(library, "tiny", 0)
    at = where["ids"].index(int(re.findall(r"id (\d+)", reading)[0]))
    assert at != where["ids"].index(token)
    assert number(reading) == pytest.approx(float(where["points"][at, 1]), abs=6e-4)
    page.fill("#lab-find-token", "the")
    page.press("#lab-find-token", "Enter")
    page.wait_for_selector("text=no single token")
    assert person.query("piece") == str(token)


def test_loss_by_position_is_read(person: Person, library: Library) -> None:
    person.open("predictions", text=quote(TEXT))
    person.panel("position_loss", "empty").get_by_role("button").click()
    panel = person.panel("position_loss")
    found = position_loss(library.open("tiny"))
    assert float(str(panel.get_attribute("data-first"))) == pytest.approx(found["loss"][0], abs=6e-4)
    person.page.focus('[data-panel="position_loss"] canvas')
    for _ in range(15):  # to the first of them
        person.page.keyboard.press("ArrowLeft")
    shown = [float(text) for text in panel.locator(".lab-chart-key b").all_text_contents()]
    own = predictions(library.open("tiny"), text=TEXT)["loss"][0]
    assert shown == pytest.approx([found["loss"][0], own], rel=5e-3)
    person.page.keyboard.press("Enter")
    person.wait("new URL(location).searchParams.get('token') === '1'")


def test_patching_between_two_texts(person: Person, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    person.open("predictions", text=quote(TEXT))
    page = person.page
    person.panel("patching", "empty")
    page.fill("#lab-other-text", OTHER)
    monkeypatch.setattr(patching, "LEAST_DIFFERENCE", 0)
    expected = patching.patching(library.open("tiny"), TEXT, OTHER)
    if abs(expected["clean"] - expected["corrupt"]) < 0.05:
        person.panel("patching", "error")
    else:
        person.panel("patching")
        page.focus('[data-panel="patching"] canvas')
        page.keyboard.press("ArrowLeft")
        reading = page.text_content('[data-panel="patching"] .lab-reading')
        assert number(str(reading).removesuffix(" restored")) == pytest.approx(expected["restored"][1, -1], abs=6e-3)
    page.fill("#lab-other-text", "the cat")
    panel = person.panel("patching", "error")
    person.wait("document.querySelector('[data-panel=patching] .lab-message').textContent.includes('Second: t | h')")
    rows = panel.locator(".lab-aligned tr")
    person.wait("document.querySelectorAll('.lab-aligned tr:last-child td').length === 7")
    assert [str(rows.nth(i).locator("td").last.text_content()) for i in range(2)] == ["–", "t"]
    assert person.query("other") == "the cat"


def test_the_parts_are_checked_against_the_logit(person: Person, library: Library) -> None:
    person.open("predictions", text=quote(TEXT), token=2)
    panel = person.panel("attribution_bars")
    attribution = predictions(library.open("tiny"), text=TEXT)["attribution"]
    assert attribution is not None
    said = str(panel.locator(".lab-note").last.text_content())
    assert f"the logit less the mean is {attribution['logits'][2]:.3f}" in said
    assert f"all {len(attribution['parts'])} parts" in said


def test_the_mean_of_a_layer_and_what_the_address_keeps(person: Person, library: Library) -> None:
    person.open("attention", text=quote(TEXT), layer=1, pattern="average", scale="row", metric="entropy")
    page = person.page
    person.panel("heatmap")
    person.panel("head_grid")
    page.focus('[data-panel="heatmap"] canvas')
    page.keyboard.press("ArrowRight")
    patterns = attention(library.open("tiny"), text=TEXT)["patterns"]
    reading = page.text_content('[data-panel="heatmap"] .lab-reading')
    assert number(reading) == pytest.approx(patterns[1, :, 5, 1].mean(), abs=0.005)
    assert page.get_attribute('[data-panel="head_grid"]', "data-metric") == "entropy"
    page.select_option('[data-panel="head_grid"] select', "Δ loss without it")
    person.wait("document.querySelector('[data-panel=head_grid]').dataset.metric.startsWith('Δ')")
    page.reload()
    person.panel("heatmap")
    person.wait("document.querySelector('[data-panel=head_grid]').dataset.metric.startsWith('Δ')")
    shown = page.evaluate("[...document.querySelectorAll('[data-panel=heatmap] select')].map((s) => s.value)")
    assert shown == ["average", "row"]


@pytest.fixture
def one_layer(runs: Path) -> Iterator[str]:
    """A published model of another shape beside the runs, for the while of a test."""
    from dataclasses import replace

    from lab.exporting import save_gpt2
    from lab.model import GPT

    model, tokenizer = lab.load("tiny", root=runs)
    folder = runs / "one-layer"
    save_gpt2(GPT(replace(model.config, n_layers=1)), folder)
    (folder / "tokenizer.json").write_text(tokenizer.to_json())
    yield folder.name
    shutil.rmtree(folder)


def test_weights_of_another_shape_have_no_difference_and_no_surprise(person: Person, one_layer: str) -> None:
    person.open("attention", run="tiny", text=quote(TEXT), compare=one_layer, layer=1)
    person.panel("heatmap")
    said = str(person.page.text_content('[data-panel="heatmap"] .lab-warn'))
    assert "B has 1 × 2 heads, A has 2 × 2" in said
    for tab in ("Activations", "Predictions"):
        person.page.get_by_role("tab", name=tab).click()
    person.page.select_option("#lab-selection-panel select", one_layer)
    person.page.get_by_role("tab", name="Activations").click()
    panel = person.panel("training_norms", "empty")
    assert "without a training log, so there are no gradient norms" in str(panel.locator(".lab-message").text_content())
    person.panel("embedding_map")


def test_a_prompt_that_is_too_long_says_so_before_it_runs(person: Person) -> None:
    person.open("generate", text=quote("the cat sat on a mat"))
    page = person.page
    page.wait_for_selector("text=the first 4 are dropped")
    assert not [url for url in person.requests if url.endswith("/api/generate")]
    page.fill("#lab-text", "the cat")
    person.wait("document.querySelector('.lab-before-writing').textContent === ''")


def test_stopping_hovering_and_branching_on_the_side_one_is_at(person: Person) -> None:
    person.open("generate", text=quote("the "), compare="tiny@0", seed=7, max_tokens=2000)
    page = person.page
    assert page.input_value("#lab-seed") == "7"
    page.click("#lab-generate:not([disabled])")
    page.wait_for_selector('[data-side="a"] .lab-written >> nth=3')
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("text=stopped after")
    page.fill("#lab-max_tokens", "6")
    page.click("#lab-generate")
    done = "[...document.querySelectorAll('.lab-foot')].filter((f) => f.textContent.includes('ended')).length"
    person.wait(f"{done} === 2")
    before = page.inner_text('[data-side="a"] .lab-writing')
    token = page.locator('[data-side="b"] .lab-written').nth(2)
    token.hover()
    assert "instead: " in str(page.text_content("#lab-tip"))
    token.click()
    page.locator(".lab-menu .lab-preset").nth(1).click()
    person.wait(f"document.querySelectorAll('[data-side=b] .lab-written').length === 9 && {done} === 2")
    assert page.inner_text('[data-side="a"] .lab-writing') == before
    page.get_by_role("button", name="earlier snapshot").click()
    page.wait_for_selector(f'[data-panel="writer"] .lab-badge:has-text("written by step {STEPS} of tiny")')
    page.reload()
    page.wait_for_selector("#lab-generate:not([disabled])")
    assert page.input_value("#lab-max_tokens") == "6"


def test_weights_that_turn_out_damaged_are_greyed(person: Person, runs: Path, tmp_path: Path) -> None:
    from scripts.page_server import start_server

    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    snapshot = tmp_path / "tiny" / "snapshots" / "step-00000004.safetensors"
    snapshot.write_bytes(b"\0" * snapshot.stat().st_size)
    (snapshot.parent / f"{MARKUP}.bin").write_text("x")
    server = start_server(tmp_path)
    try:
        person.url = server.url
        person.open("checkpoints")
        person.panel("checkpoint_table")
        page = person.page
        assert "foreign" in str(page.locator(".lab-damaged").last.text_content())
        page.click('tr.lab-row[data-file="snapshots/step-00000004.safetensors"]')
        page.wait_for_selector('tr.lab-damaged[data-file="snapshots/step-00000004.safetensors"]')
        assert "no whole safetensors" in str(page.text_content(".lab-proof"))
        page.click(f'tr.lab-row[data-step="{STEPS}"]')
        person.wait("document.querySelector('.lab-proof').dataset.reproduces === 'true'")
        assert page.locator(".lab-tag").count() >= 2  # last, best
    finally:
        person.page.close()  # before its server ends, which the page would tell on the console
        server.stop()


def test_rows_of_weights_stay_when_the_page_asks_again(person: Person) -> None:
    """A click goes to the element under the mouse when it went down: a row that is replaced meanwhile loses it."""
    person.open("checkpoints")
    person.panel("checkpoint_table")
    page = person.page
    row = page.query_selector('tr.lab-row[data-step="4"]')
    page.evaluate(
        """async () => {
        const store = await import(new URL("components/lib/store.js", document.baseURI));
        store.on((changed) => changed.has("info") && (window.askedAgain = true));
        await store.ask();
    }"""
    )
    person.wait("window.askedAgain")
    assert row.evaluate("(node) => node.isConnected")
    row.click()
    person.wait("new URLSearchParams(location.search).get('step') === '4'")


def test_a_refusal_that_comes_late_does_not_cover_the_proof_of_other_weights(person: Person) -> None:
    person.open("checkpoints")
    person.panel("checkpoint_table")
    page, held = person.page, []

    def refuse_later(route: Any) -> None:
        if (route.request.post_data_json or {}).get("step") == 4:
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/analyze/reproduction", refuse_later)
    page.click('tr.lab-row[data-file="snapshots/step-00000004.safetensors"]')
    page.click(f'tr.lab-row[data-step="{STEPS}"]')
    proved = "document.querySelector('.lab-proof').dataset.reproduces === 'true'"
    person.wait(proved)
    with page.expect_response("**/api/analyze/reproduction"):
        held[0].fulfill(status=422, json={"error": "damaged", "id": "held"})
    page.wait_for_timeout(100)
    assert page.evaluate(proved)
    assert "damaged" not in str(page.text_content(".lab-proof"))


@pytest.mark.parametrize("tab", ["attention", "predictions", "activations", "generate"])
def test_markup_in_options_stays_text_or_is_left_out(person: Person, tab: str) -> None:
    hostile = quote(MARKUP)
    names = (
        "unit",
        "piece",
        "other",
        "site",
        "metric",
        "pattern",
        "scale",
        "norms",
        "quantity",
        "seed",
        "stop",
        "drawing",
    )
    person.open(tab, run="tiny", text=quote("<img"), token=1, **dict.fromkeys(names, hostile), examples="yes")
    page = person.page
    page.wait_for_selector("#lab-token-strip .lab-token")
    page.wait_for_load_state("networkidle")
    assert page.locator("img").count() == 0
    assert page.locator('.lab-panel:visible[data-state="waiting"]:not(.lab-bare)').count() == 0
