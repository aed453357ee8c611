"""Blocks and sections."""

from __future__ import annotations

from lab.report.document import BulletList, Document, Paragraph, Picture, Section, bullets


def test_a_section_has_an_address() -> None:
    assert Section("What's `next`?  Now").anchor == "what-s-next-now"


def test_bullets_leave_out_what_is_empty() -> None:
    assert bullets(["a", "", "b"]) == [BulletList(["a", "b"])]
    assert bullets(["", ""]) == []


def test_pictures_of_all_sections_in_order() -> None:
    first, second = (Picture(name, lambda dark: None, "") for name in "ab")  # type: ignore[arg-type,return-value]
    document = Document("t", "s", [], [Section("A", [first, Paragraph("x")]), Section("B", [second])], "made")
    assert document.pictures() == [first, second]
