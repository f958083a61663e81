"""Code in PDFs keeps its blanks, and nothing else is code."""

from __future__ import annotations

from ingest.documents import Document
from ingest.loaders import load_bytes

from .pdf_builders import Page, column, pages_pdf, placed, prose, scan_page, written

LISTING = [
    "def walk(path):",
    "    for name in names(path):",
    "        yield  name",
    "    return -1",
]
ABOVE = placed(column(50, 700, prose(4, "A")))
BELOW = placed(column(50, 500, prose(4, "B")))


def loaded(*contents: str) -> Document:
    data = pages_pdf([Page(content) for content in contents])
    return load_bytes(data, uri="a.pdf", media_type="application/pdf")


def indented(lines: list[str]) -> list[tuple[float, float, str]]:
    """The lines without the blanks at their front, where those would have put them."""
    blanks = [len(line) - len(line.lstrip()) for line in lines]
    places = column(60, 620, [line.lstrip() for line in lines], leading=12)
    return [(x + 6 * n, y, text) for (x, y, text), n in zip(places, blanks, strict=True)]


def test_code_keeps_its_blanks() -> None:
    listing = "\n".join(LISTING)
    for lines in (column(60, 620, LISTING, leading=12), indented(LISTING)):
        document = loaded(ABOVE + placed(lines, font="F2") + BELOW)
        assert f"\n\n```\n{listing}\n```\n\nB0 " in document.text
        assert document.text.count("```") == 2


def test_type_of_different_widths_is_no_code() -> None:
    numbers = ["2024 1300", "2023 1250", "2022 1275", "2021 1199"]
    content = ABOVE + placed(indented(LISTING)) + placed(column(60, 560, numbers)) + BELOW
    assert "```" not in loaded(content).text


def test_one_line_of_such_type_is_text() -> None:
    content = ABOVE + placed([(60, 600, "kbqa ingest folder --watch")], font="F2") + BELOW
    assert "\n\nkbqa ingest folder --watch\n\n" in loaded(content).text


def test_what_a_typewriter_wrote_is_no_code() -> None:
    lines = prose(8, "A")
    document = loaded(placed(column(50, 700, lines), font="F2"), placed([(50, 700, "end")]))
    assert document.text.split("\n")[:8] == lines


def test_what_ocr_read_is_no_code() -> None:
    lines = [(80, 100 + 60 * n, text) for n, text in enumerate(prose(6, "A"))]
    page = scan_page(written(lines, letters=36))
    text = load_bytes(pages_pdf([page, Page(ABOVE)]), uri="a.pdf").text
    assert "western station" in text
    assert "```" not in text
