"""The anatomy: its numbers are those of `lab.interp`, its parameters those of the model, its code that which runs."""

from __future__ import annotations

import inspect
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import numpy as np
import pytest
import torch

import lab
from analysis_app.analyses.anatomy.inside import inside
from analysis_app.analyses.anatomy.parts import Part, anatomy
from analysis_app.analyses.anatomy.source_code import FUNCTIONS, HOME, code_of
from analysis_app.library import Library, NotFoundError, Opened
from analysis_app.library.result_cache import ResultCache
from lab import interp
from lab.data.vocabulary import ByteTokenizer
from lab.loading import Loaded
from lab.model import GPT, GPTConfig
from scripts.page_server import Server
from tests.analysis_app.conftest import Person
from tests.variants import all_pairs_configs, describe

TEXT = "the cat sat"
STATION = '[data-panel="anatomy"] [data-key="{}"] '


def of(view: dict[str, Any], key: str, layer: int | None = None) -> Part:
    return next(part for part in view["parts"] if (part.key, part.layer) == (key, layer))


def open_model(model: GPT) -> Opened:
    """A single model that no run holds."""
    loaded = Loaded(model, ByteTokenizer(), "made")
    return Opened(loaded, key=("made",), size=0, lock=threading.RLock(), results=ResultCache())


def test_the_numbers_are_those_of_the_cache(library: Library, runs: Path) -> None:
    model, tokenizer = lab.load("tiny", root=runs)
    cache = interp.run_with_cache(model, tokenizer.encode(TEXT))
    view = anatomy(library.open("tiny"), text=TEXT)
    for part in view["parts"]:
        if part.site is None:
            continue
        x = cache[part.site][0]
        assert part.numbers is not None
        assert part.shape == [1, *x.shape]
        np.testing.assert_allclose(part.numbers.norms, x.norm(dim=-1), rtol=1e-5)
        assert part.numbers.mean == pytest.approx(float(x.mean()), abs=1e-6)
        assert part.numbers.std == pytest.approx(float(x.std(correction=0)), rel=1e-5)
        if part.numbers.dims:
            np.testing.assert_allclose(part.numbers.picture, x[:, part.numbers.dims].T, atol=1e-6)
    expected = interp.token_predictions(cache, 10)
    np.testing.assert_allclose(view["top_probabilities"], expected.top_probabilities[0], atol=1e-6)
    assert view["text"] == TEXT
    attn = inside(library.open("tiny"), TEXT, part="attn", layer=1, head=1)
    for step in attn["steps"]:
        x = cache[str(step.site)][0]
        assert step.shape == [1, *x.shape]
        x = x[1] if step.square else x[:, 1] if x.ndim == 3 else x
        np.testing.assert_allclose(step.numbers.picture, x if step.square else x[:, step.numbers.dims].T, atol=1e-6)


@pytest.mark.parametrize("config", all_pairs_configs(vocab_size=257, dropout=0.0), ids=describe)
def test_every_variant_is_drawn_whole(config: GPTConfig) -> None:
    torch.manual_seed(0)
    model = GPT(config).eval()
    only = open_model(model)
    view = anatomy(only, text="one two one")
    sizes = {name: list(weight.shape) for name, weight in model.named_parameters()}
    assert view["n_parameters"] == sum(weight.numel() for weight in model.parameters())
    drawn = [name for part in view["parts"] for name, _ in part.weights]
    assert sorted(drawn) == sorted(sizes)
    for part in view["parts"]:
        assert part.n_parameters == sum(int(np.prod(shape)) for _, shape in part.weights)
        assert part.words.title
        assert len(part.words.words) > 100
        assert part.code
    keys = {part.key: part for part in view["parts"] if part.layer in (None, 1)}
    for key, part in keys.items():
        found = inside(only, "one two one", part=key, layer=1, head=3)
        assert all(np.isfinite(step.numbers.std) for step in found["steps"])
        if part.numbers is not None and key != "logits" and not key.startswith("ln"):
            np.testing.assert_allclose(found["steps"][-1].numbers.norms, part.numbers.norms, rtol=1e-5)


def test_the_words_are_true_for_the_switches() -> None:
    def said(**switches: Any) -> dict[str, str]:
        settings = {"n_layers": 1, "n_heads": 4, "d_model": 32, "context_length": 16, "vocab_size": 257} | switches
        parts = anatomy(open_model(GPT(GPTConfig(**settings)).eval()), text="one")["parts"]
        return {part.key: f"{part.words.title}: {part.words.words} {part.words.formula}" for part in parts}

    plain, modern = (
        said(),
        said(
            positions="rope",
            norm="rmsnorm",
            mlp="swiglu",
            n_kv_heads=2,
            qk_norm=True,
            tie_embeddings=False,
            logit_softcap=15.0,
        ),
    )
    assert "pos" in plain
    assert "pos" not in modern
    for key, words in {"ln1": "variance", "mlp": "GELU", "logits": "tied"}.items():
        assert words in plain[key]
        assert words not in modern[key]
    for key, words in {"ln1": "root mean square", "mlp": "gate", "logits": "tanh"}.items():
        assert words in modern[key]
        assert words not in plain[key]
    for words in ("grouped-query", "QK-norm", "rotary"):
        assert words in modern["attn"]
        assert words not in plain["attn"]
    post = said(norm_position="post")
    assert "post-norm" in post["ln1"]
    assert "ln_final" not in post
    assert "2 sets serve 4 heads, 2 each" in modern["attn"]


def test_code_is_what_stands_in_the_file() -> None:
    for name, function in FUNCTIONS.items():
        found = code_of(name)
        lines = (HOME / found["place"].file).read_text("utf-8").splitlines(keepends=True)
        first = found["place"].line - 1
        assert "".join(lines[first : first + len(found["source"].splitlines())]) == found["source"]
        assert inspect.getsource(function) == found["source"]
    with pytest.raises(NotFoundError, match=r"Attention\.forward"):
        code_of("os.system")


def test_the_routes(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        body = {"run": "tiny", "text": TEXT}
        whole = client.post("/api/analyze/anatomy", json=body).json()
        assert [part["key"] for part in whole["parts"][:3]] == ["text", "tokens", "embed"]
        part = client.post("/api/analyze/anatomy_part", json=body | {"part": "mlp", "layer": 1}).json()
        assert part["steps"][-1]["site"] == "blocks.1.hook_mlp_out"
        for wrong in ({"part": "brain"}, {"part": "attn", "layer": 9}, {"part": "attn", "head": 2}):
            refused = client.post("/api/analyze/anatomy_part", json=body | wrong)
            assert refused.status_code == 404
            assert "2 layers, 2 heads" in refused.json()["error"]
        assert client.get("/api/code/rotate").json()["place"]["file"] == "lab/model/layers.py"
        assert client.get("/api/code/..%2F..%2Fetc%2Fpasswd").status_code == 404


# ---------------------------------------------------------------- on the page


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
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
