"""What a person takes home from a panel opens again, and holds what was on the page."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from analysis_app.analyses.attention import attention
from analysis_app.analyses.predictions import predictions
from analysis_app.library import Library
from analysis_app.page.tabs import TABS
from tests.analysis_app.conftest import MARKUP, STEPS, Person

pytestmark = pytest.mark.browser

TEXT = "the <i> sat"


def export(person: Person, panel: str, kind: str) -> Path:
    """The file that the panel's menu hands out, chosen by keyboard."""
    page, menu = person.page, f'[data-panel="{panel}"] > header > .lab-export'
    with page.expect_download() as waiting:
        page.focus(f"{menu} summary")
        page.keyboard.press("Enter")
        page.locator(f'{menu} [data-export="{kind}"]').focus()
        page.keyboard.press("Enter")
    path = Path(waiting.value.path())
    assert waiting.value.suggested_filename == f"tiny-step-12-{panel}.{kind}"
    return path


def test_the_numbers_are_those_of_the_analysis(person: Person, library: Library) -> None:
    person.open("attention", text=quote("the cat sat"), layer=1)
    person.panel("heatmap")
    found: dict[str, Any] = json.loads(export(person, "heatmap", "json").read_text())
    sha256 = next(row.sha256 for row in library.weights("tiny") if row.step == STEPS)
    assert re.fullmatch(rf"tiny @ {STEPS}, {sha256[:8]}, as of [\d/]+, [\d:]+", found["source"])
    shown = str(person.page.text_content('[data-panel="heatmap"] .lab-source'))
    assert shown.startswith(f"tiny @ {STEPS}, {sha256[:8]}, as of ")
    assert found["source"] in export(person, "heatmap", "html").read_text()
    assert found["selection"]["run"] == "tiny"
    assert found["selection"]["layer"] == 1
    assert "tab=attention" in found["address"] or "layer=1" in found["address"]
    expected = attention(library.open("tiny"), text="the cat sat")
    answer = found["numbers"][0]["answer"]
    assert answer["source"]["ids"] == expected["source"].ids
    assert answer["scores"][0]["values"] == [
        pytest.approx(row, abs=1e-6) for row in expected["scores"][0].values.tolist()
    ]
    shown = answer["patterns"]
    assert [len(shown), len(shown[0]), len(shown[0][0])] == list(expected["patterns"].shape[:3])
    assert shown[1][0][4] == pytest.approx(expected["patterns"][1, 0, 4].tolist(), abs=0.005)


def test_the_picture_is_the_panel_and_not_blank(person: Person) -> None:
    person.open("predictions", text=quote(TEXT))
    person.panel("lens_grid")
    content = export(person, "lens_grid", "png").read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", content[16:24])
    box = person.page.locator('[data-panel="lens_grid"]').bounding_box()
    assert width >= 2 * int(box["width"]) - 2
    assert height > 2 * 100
    colours = person.page.evaluate(
        """async (bytes) => {
          const image = await createImageBitmap(new Blob([new Uint8Array(bytes)], { type: "image/png" }));
          const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          const { data } = context.getImageData(0, 0, image.width, image.height), seen = new Set();
          for (let i = 0; i < data.length; i += 4) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
          return seen.size;
        }""",
        list(content),
    )
    assert colours > 50


def test_the_page_opens_alone_and_asks_for_nothing(person: Person, browser: Any, library: Library) -> None:
    person.open("predictions", text=quote(TEXT))
    person.panel("loss_text")
    path = export(person, "loss_text", "html")
    copy = path.with_suffix(".html")
    copy.write_bytes(path.read_bytes())
    context = browser.new_context(offline=True)
    page, asked, problems = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: problems.append(message.text))
    page.goto(copy.as_uri())
    expected = predictions(library.open("tiny"), text=TEXT)
    assert page.text_content("h2") == "Loss of each token"
    body = str(page.text_content("section"))
    assert f"{expected['mean_loss']:.3f} nats" in body
    assert "tiny @ 12, " in body
    assert page.locator("button, select, script:not(#numbers), img:not([src^='data:']), i:text('sat')").count() == 0
    numbers = json.loads(str(page.text_content("#numbers")))
    assert numbers["numbers"][0]["answer"]["loss"] == pytest.approx(expected["loss"].tolist(), abs=1e-6)
    assert [url for url in asked if not url.startswith(("data:", copy.as_uri()))] == []
    assert problems == []
    context.close()


def test_markup_in_an_exported_page_stays_text(person: Person, browser: Any) -> None:
    person.open("checkpoints", run="tiny", compare=quote(f"{MARKUP}@3"))
    person.panel("checkpoint_table")
    path = export(person, "checkpoint_table", "html")
    text = path.read_text()
    assert "<img" not in text
    assert "onerror=hacked" not in text.replace("&lt;img src=x onerror=hacked", "").replace(
        "\\u003cimg src=x onerror", ""
    )


@pytest.mark.parametrize("tab", TABS)
def test_every_titled_panel_can_be_exported(person: Person, tab: str) -> None:
    person.open(tab, run="tiny")
    page = person.page
    person.settled()
    page.wait_for_function(
        "[...document.querySelectorAll('.lab-panel.lab-card')].every((c) => c.querySelector('.lab-export'))"
    )
    page.wait_for_load_state("networkidle")
    for card in page.locator('.lab-panel.lab-card[data-state="ready"]:visible').all():
        panel = str(card.get_attribute("data-panel"))
        assert export(person, panel, "html").stat().st_size > 1000


def test_nothing_to_export_until_there_is_something(person: Person) -> None:
    person.open("generate", run="tiny")
    person.panel("writer", "empty")
    assert not person.page.locator('[data-panel="writer"] .lab-export').is_visible()
