"""A document as Markdown."""

from __future__ import annotations

import re

from lab.report.document import BulletList, Document, Paragraph, Picture, Section, Table, UserText, Verbatim
from lab.report.markdown import render_markdown

BLOCKS = [
    Paragraph("a | b", "warning"), BulletList(["one", "two"]), Table(("a", "n"), [("x|y", "1")], (1,), "what it is"),
    Picture("p", lambda dark: None, "shows it"), Verbatim("label", "``` <x>"), UserText("learned", "What?"),  # type: ignore[arg-type,return-value]
]  # fmt: skip


def test_every_kind_of_block() -> None:
    document = Document("T", "sub", [("loss", "1")], [Section("S", list(BLOCKS)), Section("empty")], "made")
    text = render_markdown(document, {"learned": "much"}, {"p": "report/p.png"})
    for part in (
        "# T\n\nsub\n\n| loss |\n| --- |\n| 1 |", "## S", r"**Warning:** a \| b", "- one\n- two",
        "_what it is_\n\n| a | n |\n| --- | ---: |\n| x\\|y | 1 |", "![shows it](report/p.png)\n\n_shows it_",
        "label\n\n````text\n``` <x>\n````", "**What?**\n\n<!-- yours: learned -->\nmuch\n<!-- /yours: learned -->",
    ):  # fmt: skip
        assert part in text, part
    assert "empty" not in text
    assert "![" not in render_markdown(document, {}, {})


def test_nothing_in_a_report_acts(report: str) -> None:
    assert "<script>" not in re.sub(r"```+text\n.*?```+\n", "", report, flags=re.S)
