"""A document as one HTML file with style and pictures in it, for light and dark screens and paper."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from pathlib import Path

from lab.report.document import Block, BulletList, Document, Paragraph, Picture, Section, Table, UserText, Verbatim
from lab.report.markup import to_html, unbroken, without_marks
from lab.visible import visible

GENERATOR = "pretraining-lab report"
STYLE = Path(__file__).with_name("style.css")
LINES = '<div class="rule"></div>' * 4


def render_page(document: Document, texts: Mapping[str, str], pictures: Mapping[str, tuple[bytes, bytes]]) -> str:
    """The page. `texts`: what the user wrote, by name; `pictures`: each as a PNG for light and one for dark."""
    sections = [section for section in document.sections if section.blocks]
    facts = "".join(f"<div><dt>{to_html(name)}</dt><dd>{to_html(value)}</dd></div>" for name, value in document.facts)
    contents = "".join(f'<li><a href="#{_id(s)}">{to_html(s.title)}</a></li>' for s in sections)
    body = "".join(_section(section, texts, pictures) for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="{GENERATOR}">
<title>{html.escape(without_marks(document.title))}</title>
<style>
{STYLE.read_text(encoding="utf-8")}
</style>
</head>
<body>
<nav aria-label="Contents"><ol>{contents}</ol></nav>
<main>
<header><h1>{to_html(document.title)}</h1><p>{to_html(document.subtitle)}</p><dl>{facts}</dl></header>
{body}
<footer>{to_html(document.made)}</footer>
</main>
</body>
</html>
"""


def is_page(text: str) -> bool:
    """Whether the lab wrote this HTML file."""
    return f'<meta name="generator" content="{GENERATOR}">' in text


def _id(section: Section) -> str:
    return html.escape(section.anchor, quote=True)


def _section(section: Section, texts: Mapping[str, str], pictures: Mapping[str, tuple[bytes, bytes]]) -> str:
    blocks = "\n".join(_block(block, texts, pictures) for block in section.blocks)
    return f'<section id="{_id(section)}">\n<h2>{to_html(section.title)}</h2>\n{blocks}\n</section>\n'


def _block(block: Block, texts: Mapping[str, str], pictures: Mapping[str, tuple[bytes, bytes]]) -> str:
    if isinstance(block, Paragraph):
        tone = "" if block.tone == "plain" else f' class="{block.tone}"'
        return f"<p{tone}>{to_html(block.text)}</p>"
    if isinstance(block, BulletList):
        return f"<ul>{''.join(f'<li>{to_html(item)}</li>' for item in block.items)}</ul>"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Picture):
        return _picture(block, pictures.get(block.name))
    if isinstance(block, Verbatim):
        label = f"<figcaption>{to_html(block.label)}</figcaption>" if block.label else ""
        return f'<figure class="verbatim">{label}<pre>{unbroken(visible(block.text))}</pre></figure>'
    assert isinstance(block, UserText)
    written = texts.get(block.name, "").strip("\n")
    inside = f'<div class="words">{html.escape(visible(written))}</div>' if written else LINES
    return f'<div class="yours"><p class="question">{to_html(block.question)}</p>{inside}</div>'


def _table(table: Table) -> str:
    kinds = [' class="number"' if i in table.numbers else "" for i in range(len(table.headings))]
    head = "".join(f'<th scope="col"{kind}>{to_html(h)}</th>' for h, kind in zip(table.headings, kinds, strict=True))
    rows = "".join(
        f"<tr>{''.join(f'<td{kind}>{to_html(cell)}</td>' for cell, kind in zip(row, kinds, strict=True))}</tr>"
        for row in table.rows
    )
    caption = f"<caption>{to_html(table.caption)}</caption>" if table.caption else ""
    return f'<div class="table"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _picture(picture: Picture, files: tuple[bytes, bytes] | None) -> str:
    caption = to_html(picture.caption)
    if files is None:
        return f"<p>{caption}</p>"
    light, dark = (f"data:image/png;base64,{base64.b64encode(file).decode()}" for file in files)
    alt = html.escape(without_marks(picture.caption), quote=True)
    return (
        f'<figure><picture><source media="screen and (prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{alt}"></picture><figcaption>{caption}</figcaption></figure>'
    )
