"""A document as one HTML file."""

from __future__ import annotations

from html.parser import HTMLParser

from lab.report import report_on
from lab.report.document import Document, Section
from lab.report.html_page import is_page, render_page
from lab.runs import Run
from tests.report.test_markdown import BLOCKS


def test_every_kind_of_block() -> None:
    document = Document("T", "sub", [("loss", "1")], [Section("S s", list(BLOCKS)), Section("empty")], "made")
    page = render_page(document, {"learned": "much"}, {"p": (b"light", b"dark")})
    for part in (
        "<h1>T</h1><p>sub</p><dl><div><dt>loss</dt><dd>1</dd></div></dl>", '<section id="s-s">', 'href="#s-s">S s</a>',
        '<p class="warning">a | b</p>', "<ul><li>one</li><li>two</li></ul>", "<caption>what it is</caption>",
        '<td class="number">1</td>', 'src="data:image/png;base64,bGlnaHQ=" alt="shows it"', "<pre>``` &lt;x&gt;</pre>",
        '<p class="question">What?</p><div class="words">much</div>', "<footer>made</footer>",
    ):  # fmt: skip
        assert part in page, part
    assert "empty" not in page
    assert is_page(page)
    assert not is_page("<p>mine</p>")
    assert "<img" not in render_page(document, {}, {})


def test_nothing_in_a_report_acts(whole: Run) -> None:
    page = render_page(report_on(whole)({"notes": "<img src=x onerror=alert(1)>"}), {"notes": "<b>"}, {})

    class Reader(HTMLParser):
        tags: set[str] = set()  # noqa: RUF012
        attributes: set[str] = set()  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.add(tag)
            self.attributes |= {name for name, _ in attrs}

    reader = Reader()
    reader.feed(page)
    assert not reader.tags & {"script", "b", "img", "iframe", "link"}
    assert not [name for name in reader.attributes if name.startswith("on") or name in ("src", "style")]
