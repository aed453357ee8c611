"""A document as Markdown, with its pictures as files beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lab.report.document import Block, BulletList, Document, Paragraph, Picture, Table, UserText, Verbatim
from lab.report.markup import to_markdown
from lab.report.user_text import marked
from lab.visible import visible

TONES = {"plain": "", "note": "", "warning": "**Warning:** ", "alarm": "**Alarm:** "}


def render_markdown(document: Document, texts: Mapping[str, str], pictures: Mapping[str, str]) -> str:
    """The document as text. `texts`: what the user wrote, by name; `pictures`: the address of each by its name,
    those that could not be drawn left out.
    """
    lines = [f"# {to_markdown(document.title)}", "", to_markdown(document.subtitle), ""]
    if document.facts:
        heads = [to_markdown(name, cell=True) for name, _ in document.facts]
        values = [to_markdown(value, cell=True) for _, value in document.facts]
        lines += [_row(heads), _row(["---"] * len(heads)), _row(values), ""]
    for section in document.sections:
        if section.blocks:
            lines += [f"## {to_markdown(section.title)}", ""]
            for block in section.blocks:
                lines += [*_block(block, texts, pictures), ""]
    return "\n".join([*lines, "---", "", to_markdown(document.made), ""])


def _block(block: Block, texts: Mapping[str, str], pictures: Mapping[str, str]) -> list[str]:
    if isinstance(block, Paragraph):
        return [f"{TONES[block.tone]}{to_markdown(block.text)}"]
    if isinstance(block, BulletList):
        return [f"- {to_markdown(item)}" for item in block.items]
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Picture):
        shown = [f"![{to_markdown(block.caption)}]({pictures[block.name]})", ""] if block.name in pictures else []
        return [*shown, f"_{to_markdown(block.caption)}_"]
    if isinstance(block, Verbatim):
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
        label = [to_markdown(block.label), ""] if block.label else []
        return [*label, f"{fence}text", *visible(block.text).split("\n"), fence]
    assert isinstance(block, UserText)
    return [f"**{to_markdown(block.question)}**", "", marked(block.name, texts.get(block.name, ""))]


def _table(table: Table) -> list[str]:
    marks = ["---:" if i in table.numbers else "---" for i in range(len(table.headings))]
    caption = [f"_{to_markdown(table.caption)}_", ""] if table.caption else []
    rows = [[to_markdown(cell, cell=True) for cell in row] for row in table.rows]
    return [*caption, _row([to_markdown(h, cell=True) for h in table.headings]), _row(marks), *map(_row, rows)]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
