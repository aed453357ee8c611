"""The anatomy on the page: parts, code, heads and tokens by mouse and keyboard."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from analysis_app.analyses.anatomy.inside import inside
from analysis_app.analyses.anatomy.parts import Part, anatomy
from analysis_app.analyses.anatomy.source_code import code_of
from analysis_app.library import Library
from tests.analysis_app.conftest import Person

pytestmark = pytest.mark.browser

TEXT = "the cat sat"
STATION = '[data-panel="anatomy"] [data-key="{}"] '


def of(view: dict[str, Any], key: str, layer: int | None = None) -> Part:
    return next(part for part in view["parts"] if (part.key, part.layer) == (key, layer))


def test_open_a_part_and_read_its_numbers(person: Person, library: Library) -> None:
    person.open("anatomy", text=quote(TEXT), layer=1, head=1, token=4)
    page = person.page
    panel = person.panel("anatomy")
    view = anatomy(library.open("tiny"), text=TEXT)
    assert str(panel.locator('[data-fact="total"]').text_content()) == f"{view['n_parameters']:,} parameters"
    for key, layer in (("embed", None), ("attn", 1), ("mlp", 1), ("ln_final", None)):
        page.click(STATION.format(key) + ".lab-station-head")
        part = of(view, key, layer)
        assert part.numbers is not None
        shown = page.locator(STATION.format(key) + ".lab-inside")
        assert shown.locator('[data-fact="shape"]').text_content() == str(part.shape)
        assert shown.locator('[data-fact="parameters"]').text_content() == f"{part.n_parameters:,}"
        norm = float(str(shown.locator('[data-fact="norm"]').text_content()))
        assert norm == pytest.approx(float(part.numbers.norms[4]), abs=6e-4)
        assert part.words.words in str(shown.text_content())
        assert page.locator(".lab-inside").count() == 1  # one at a time
        assert person.query("part") == key
    page.click(STATION.format("attn") + ".lab-station-head")
    pattern = page.locator('[data-site="blocks.1.attn.hook_pattern"] [data-fact="std"]')
    steps = inside(library.open("tiny"), TEXT, part="attn", layer=1, head=1)["steps"]
    expected = next(step for step in steps if step.site == "blocks.1.attn.hook_pattern")
    assert float(str(pattern.text_content()).split()[-1]) == pytest.approx(expected.numbers.std, abs=6e-4)
    page.click(STATION.format("probabilities") + ".lab-station-head")
    first = page.locator(STATION.format("probabilities") + '.lab-inside [data-guess="0"]')
    assert first.locator(".lab-bar-name").text_content() == view["top_tokens"][4][0]
    assert float(str(first.locator("small").text_content())) == pytest.approx(view["top_logits"][4][0], abs=6e-3)


def test_the_code_is_shown_where_it_stands(person: Person) -> None:
    person.open("anatomy", text=quote(TEXT), part="attn")
    person.panel("anatomy")
    page = person.page
    place = code_of("explicit_attention")["place"]
    button = page.locator('[data-code="explicit_attention"]')
    assert f"{place.file}:{place.line}" in str(button.text_content())
    page.wait_for_selector('[data-site="blocks.0.attn.hook_z"]')
    page.locator('[data-code="Attention.forward"]').click()
    page.wait_for_selector(".lab-line-here")
    assert 'site(tap, "hook_z"' in str(page.text_content(".lab-code"))
    button.click()
    page.wait_for_function("document.querySelector('.lab-code').textContent.includes('def explicit_attention')")
    assert str(page.locator(".lab-line i").first.text_content()) == str(place.line)
    button.click()
    assert not page.locator(".lab-code").is_visible()


def test_heads_tokens_blocks_by_mouse_and_keyboard_and_after_a_reload(person: Person) -> None:
    person.open("anatomy", text=quote(TEXT))
    page = person.page
    person.panel("anatomy")
    page.click('.lab-mini-head[data-layer="1"][data-head="1"]')
    person.wait("document.querySelector('[data-panel=anatomy]').dataset.layer === '1'")
    assert (page.text_content("#lab-layer"), page.text_content("#lab-head")) == ("1", "1")
    # The head keeps the keyboard, and the arrows move on from it.
    page.keyboard.press("ArrowLeft")
    person.wait("new URL(location).searchParams.get('head') === null")
    page.keyboard.press("ArrowUp")
    person.wait("document.querySelector('[data-panel=anatomy]').dataset.layer === '0'")
    page.focus('[data-at="embed"]')
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.at") == "pos"
    page.focus('[data-at="mlp"]')
    page.keyboard.press("Enter")
    page.wait_for_selector(STATION.format("mlp") + ".lab-figures figure")
    box = page.locator(STATION.format("embed") + ".lab-sheet canvas").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 6.5 / 11, box["y"] + 10)
    assert person.query("token") == "6"
    before = page.url
    page.reload()
    person.panel("anatomy")
    page.wait_for_selector(STATION.format("mlp") + ".lab-figures figure")
    assert sorted(parse_qsl(urlsplit(page.url).query)) == sorted(parse_qsl(urlsplit(before).query))
    assert page.get_attribute('[data-position="6"]', "aria-selected") == "true"
    page.focus('[data-at="mlp"]')
    page.keyboard.press("Escape")
    assert page.locator(".lab-inside").count() == 0
    assert page.evaluate("document.activeElement.dataset.at") == "mlp"
    assert person.query("token") == "6"  # Esc closed the part and nothing more


def test_a_step_that_fails_is_said_and_tried_again(person: Person) -> None:
    page = person.page
    page.route("**/api/analyze/anatomy_part", lambda route: route.abort())
    person.open("anatomy", text=quote(TEXT), part="mlp")
    person.panel("anatomy")
    page.wait_for_selector(".lab-figures [role=alert]")
    page.unroute("**/api/analyze/anatomy_part")
    page.locator(".lab-figures").get_by_role("button", name="Try again").click()
    page.wait_for_selector(".lab-figures figure")
    page.fill("#lab-text", "the cat sat on a mat")
    assert "leave out 4" in str(person.panel("anatomy", "error").locator(".lab-message").text_content())
    person.problems = [problem for problem in person.problems if "ERR_FAILED" not in problem]
