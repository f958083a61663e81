"""What the loaders of office files, mails and books make of the details of their formats."""

from __future__ import annotations

import io
import json
import zipfile

import pptx
import pytest
from pptx.enum.shapes import PROG_ID
from pptx.util import Inches

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders import load_bytes
from ingest.loaders import media_types as mt
from ingest.loaders.registry import Source

from .builders import CHINESE, ENGLISH, word_document
from .office_builders import book, old_slides, old_word, open_document, price_list, zipped
from .test_office_contract import (
    CALENDAR,
    CELL,
    NOTEBOOK,
    RTF,
    SHEETS,
    SLIDES,
    TEXT,
    presentation,
)


def load(data: bytes, media_type: str, uri: str = "folder/file.x") -> Document:
    return load_bytes(data, uri=uri, media_type=media_type)


def marked(document: Document, kind: str) -> list[str]:
    return [document.text[m.start : m.end] for m in document.marks if m.kind == kind]


def test_slides() -> None:
    document = load(presentation(), mt.PPTX)
    assert document.text == (
        f"# Pump manual\n\n- Oil\n- Seals\n\nNotes: {CHINESE}\n\n# Prices\n\n"
        "| Part | Price |\n| --- | --- |\n| Seal | 12 |\n\n"
        "|  | Sold |\n| --- | --- |\n| 2023 | 5 |\n| 2024 | 7 |"
    )
    assert [(p.number, document.text[p.start : p.start + 8]) for p in document.pages] == [
        (1, "# Pump m"),
        (2, "# Prices"),
    ]


def shape(text: str, top: int, left: int) -> str:
    place = f'<p:spPr><a:xfrm><a:off x="{left}" y="{top}"/></a:xfrm></p:spPr>'
    return f"<p:sp>{place}<p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"


def group(shapes: str, top: int, left: int, scale: int = 1, offset: int = 0) -> str:
    """Shapes in coordinates `scale` times as fine as the slide's, which begin at `offset`."""
    size, inner = 1_000_000, 1_000_000 * scale
    return (
        f'<p:grpSp><p:grpSpPr><a:xfrm><a:off x="{left}" y="{top}"/><a:ext cx="{size}" cy="{size}"/>'
        f'<a:chOff x="{offset}" y="{offset}"/><a:chExt cx="{inner}" cy="{inner}"/></a:xfrm>'
        f"</p:grpSpPr>{shapes}</p:grpSp>"
    )


def test_shapes_in_a_group_are_read_by_their_places() -> None:
    steps = shape("Step 3", 7_000, 9_500) + shape("Step 1", 7_000, 7_000)
    left = group(steps + shape("Step 2", 7_000, 8_000), 3_000_000, 0, 10, 7_000)
    cards = group(shape("b2", 900_000, 0) + shape("b1", 0, 0), 0, 700_000)
    cards += group(shape("a2", 900_000, 0) + shape("a1", 0, 0), 0, 0)
    body = f"{left}{group(cards, 5_000_000, 0)}{shape('last', 6_500_000, 0)}{shape('first', 0, 0)}"
    slide = (
        '<p:sld xmlns:p="p" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">'
        f"<p:cSld><p:spTree>{body}</p:spTree></p:cSld></p:sld>"
    )
    parts = {"ppt/presentation.xml": "<p/>", "ppt/slides/slide1.xml": slide}
    assert load(zipped(parts), mt.PPTX).text.split("\n\n") == [
        "first", "Step 1", "Step 2", "Step 3", "a1", "a2", "b1", "b2", "last",
    ]  # fmt: skip


def test_texts_of_opendocument() -> None:
    running = "<style:master-page><style:footer><text:p>Ann's pumps</text:p></style:footer>"
    data = open_document("text", TEXT, styles=f"{running}</style:master-page>")
    document = load(data, mt.ODT)
    assert document.text == (
        f"Ann's pumps\n\n# Pump manual\n\nSeals last two years.\n\n{CHINESE}\n\n"
        "- First\n  - Below\n\n| Part | Price |\n| --- | --- |\n| Seal | 12 |\n\nA note."
    )
    assert marked(document, "boilerplate") == ["Ann's pumps"]


def boxed(inside: str) -> str:
    """A text box that hangs on a paragraph."""
    return (
        f"<text:p>on<draw:frame><draw:text-box>{inside}</draw:text-box></draw:frame> page</text:p>"
    )


def test_text_boxes_in_text_boxes_are_read_once() -> None:
    bare = "<draw:frame><draw:text-box><text:p>bare</text:p></draw:text-box></draw:frame>"
    shape = f"<draw:custom-shape><text:p>shape</text:p>{boxed('<text:p>inner</text:p>')}"
    inside = f"<text:p>deep</text:p>{bare}<text:p>{shape}</draw:custom-shape></text:p>"
    document = load(open_document("text", boxed(boxed(boxed(inside)))), mt.ODT)
    assert document.text.split() == (
        ["on", "page"] * 3 + ["deep", "bare", "shape", "on", "page", "inner"]
    )


def test_a_picture_with_a_caption_is_read_once() -> None:
    image = '<draw:frame><draw:image xlink:href="Pictures/1.png"/></draw:frame>'
    caption = f"<text:p>{image}Figure 1: a pump</text:p>"
    document = load(open_document("text", boxed(caption)), mt.ODT)
    assert document.text == "on page\n\nFigure 1: a pump\n\n![](Pictures/1.png)"
    assert marked(document, "image") == ["![](Pictures/1.png)"]


def test_a_text_box_in_a_list_item_is_read() -> None:
    items = (boxed("<text:p>boxed</text:p>"), "<text:p>second</text:p>")
    body = "".join(f"<text:list-item>{item}</text:list-item>" for item in items)
    document = load(open_document("text", f"<text:list>{body}</text:list>"), mt.ODT)
    assert document.text == "- on page\n\nboxed\n\n- second"


def test_notes_in_cells_are_read_once() -> None:
    note = "<text:note><text:note-body><text:p>net</text:p></text:note-body></text:note>"
    comment = "<office:annotation><text:p>check</text:p></office:annotation>"
    cells = (f"<text:p>12{note}{comment}</text:p>", boxed("<text:p>boxed</text:p>"))
    row = "".join(f"<table:table-cell>{cell}</table:table-cell>" for cell in cells)
    body = f"<table:table><table:table-row>{row}</table:table-row></table:table>"
    assert load(open_document("text", body), mt.ODT).text == (
        "| 12 | on page boxed |\n| --- | --- |\n\nnet\n\nComment: check"
    )


def test_slides_of_opendocument() -> None:
    document = load(open_document("presentation", SLIDES), mt.ODP)
    assert document.text == "# Pumps\n\nOil them.\n\nNotes: Say why.\n\nSecond"
    assert document.page_at(document.text.index("Second")) == 2


def test_sheets_of_opendocument() -> None:
    document = load(open_document("spreadsheet", SHEETS), mt.ODS)
    assert document.text == (
        "## Prices\n\n| Part | Price |\n| --- | --- |\n| 密封件 | 12,50 € |\n\nlast\n\n"
        "## Secret\n\nhidden"
    )
    assert [m.label for m in document.marks if m.kind == "rows"] == [
        "Prices!A1:B1",
        "Prices!A2:B2",
        "Prices!A1048576:A1048576",
        "Secret!A1:A1",
    ]
    assert marked(document, "hidden") == ["## Secret\n\nhidden"]


def test_values_that_no_program_has_written_out() -> None:
    cell = '<table:table-cell office:value-type="float" office:value="4.5"/>'
    row = f"<table:table-row>{cell}</table:table-row>"
    document = load(open_document("spreadsheet", f"<table:table>{row}</table:table>"), mt.ODS)
    assert document.text.endswith("\n\n4.5")


@pytest.mark.parametrize(("kind", "media_type"), [("text", mt.ODT), ("spreadsheet", mt.ODS)])
def test_what_is_merged_downwards_in_opendocument(kind: str, media_type: str) -> None:
    plain = "<table:table-cell"
    north = CELL.format("North").replace(plain, f'{plain} table:number-rows-spanned="2"')
    covered = '<table:covered-table-cell table:number-columns-repeated="2"/>'
    rows = (
        CELL.format("Area") + CELL.format("") + CELL.format("Part"),
        north + CELL.format("") + CELL.format("Seal"),
        covered + CELL.format("Oil"),
        CELL.format("South") + CELL.format("") + CELL.format("Seal"),
    )
    lines = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    body = f'<table:table table:name="S">{lines}</table:table>'
    assert load(open_document(kind, body), media_type).text.removeprefix("## S\n\n") == (
        "| Area | Part |\n| --- | --- |\n| North | Seal |\n| North | Oil |\n| South | Seal |"
    )


def test_repeated_cells_are_no_bomb() -> None:
    wide = '<table:table-cell table:number-columns-repeated="16384">'
    cell = f"{wide}<text:p>x</text:p></table:table-cell>"
    row = f'<table:table-row table:number-rows-repeated="1048576">{cell}</table:table-row>'
    sheet = f'<table:table table:name="S">{row}</table:table>'
    with pytest.raises(LoadError, match="cells: split it"):
        load(open_document("spreadsheet", sheet), mt.ODS)


def test_encrypted_opendocument() -> None:
    data = open_document("text", TEXT, manifest="<manifest><encryption-data/></manifest>")
    with pytest.raises(LoadError, match="is password protected"):
        load(data, mt.ODT)


def test_rich_text() -> None:
    document = load(RTF, mt.RTF)
    assert document.text == (
        "Ann's pumps\n\n# Pump manual\n\nSeals — last 两年 café.\n\n1. First\n- Second\n\n"
        "| Part | Price |\n| --- | --- |\n| Seal | 12 |\n\nPage two.\n\nA note."
    )
    assert document.page_at(document.text.index("Page two")) == 2
    assert marked(document, "boilerplate") == ["Ann's pumps"]


def test_text_boxes_and_deletions_of_rich_text() -> None:
    text = rb"{\shptxt Boxed\par twice\par}"
    box = rb"{\shp{\*\shpinst\shpleft9{\sp{\sn a}{\sv b}}" + text + rb"}{\shprslt x}}"
    head = rb"{\header " + box + rb"}"
    data = rb"{\rtf1 Before " + box + rb"after.\par{\deleted gone}" + head + rb"Next.\par}"
    assert load(data, mt.RTF).text == "Boxed twice\n\nBefore after.\n\nBoxed\ntwice\n\nNext."


def test_deep_groups_in_rich_text() -> None:
    data = rb"{\rtf1 " + b"{" * 100_000 + b"deep" + b"}" * 100_000 + b"}"
    assert load(data, mt.RTF).text == "deep"


def test_books() -> None:
    chapters = {"a.xhtml": f"<h1>Pumps</h1><p>{ENGLISH}</p>", "b.xhtml": f"<p>{CHINESE}</p>"}
    document = load(book(chapters, title="泵"), mt.EPUB)
    assert document.text == f"# Pumps\n\n{ENGLISH}\n\n{CHINESE}"
    assert document.title == "泵"


@pytest.mark.parametrize("line", ["# 1 hash", "```", "Title? ==="])
def test_text_that_looks_like_markdown_is_text(line: str) -> None:
    head = '<text:h text:outline-level="2">Prices</text:h>'
    text = open_document("text", f"<text:p>{line}</text:p>{head}<text:p>words</text:p>")
    shapes = f"<draw:frame><draw:text-box><text:p>{line}</text:p></draw:text-box></draw:frame>"
    title = "<draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
    title = title.replace("<draw:frame>", '<draw:frame presentation:class="title">')
    slides = "".join(f"<draw:page>{title.format(n)}{shapes}</draw:page>" for n in ("One", "Two"))
    chapters = {"a.html": f"<h1>One</h1><p>{line}</p>", "b.html": f"<h2>Two</h2><p>{line}</p>"}
    for data, kind, titles in (
        (text, mt.ODT, ["Prices"]),
        (open_document("presentation", slides), mt.ODP, ["One", "Two"]),
        (book(chapters), mt.EPUB, ["One", "Two"]),
    ):
        document = load(data, kind)
        assert line in document.text
        assert [section.title for section in document.sections] == titles


def test_footnotes_of_books() -> None:
    note = '<aside epub:type="footnote" id="n1"><p>Only for members.</p></aside>'
    box = "<aside><p>In a box.</p></aside>"
    assert load(book({"a.html": f"<p>Free.</p>{note}{box}"}), mt.EPUB).text == (
        "Free.\n\nOnly for members.\n\nIn a box."
    )


def test_chapters_without_a_heading_begin_with_their_entry() -> None:
    chapters = {"a.html": "<p># 5 pumps</p><p>words</p>", "nav.html": "<p/>"}
    contents = '<nav><a href="a.html">Pumps</a></nav>'
    with zipfile.ZipFile(io.BytesIO(book(chapters))) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    parts["OEBPS/nav.html"] = contents
    parts["OEBPS/book.opf"] = parts["OEBPS/book.opf"].replace(
        'href="nav.html"', 'href="nav.html" properties="nav"'
    )
    document = load(zipped(parts), mt.EPUB)
    assert document.text == "## Pumps\n\n# 5 pumps\n\nwords"
    assert [(s.title, s.start, s.end) for s in document.sections] == [("Pumps", 0, 26)]


def test_old_word() -> None:
    text = f"Pumps\r{CHINESE}\rPart\x07Price\x07\x07Seal\x0712\x07\x07\x13 PAGE \x145\x15 end\r"
    document = load(old_word(text), mt.DOC)
    assert document.text == (
        f"Pumps\n\n{CHINESE}\n\n| Part | Price |\n| --- | --- |\n| Seal | 12 |\n\n5 end"
    )


def test_old_slides() -> None:
    document = load(old_slides({"Pumps": "Oil\rSeals", "保养": CHINESE}), mt.PPT)
    assert document.text == f"# Pumps\n\nOil\nSeals\n\n# 保养\n\n{CHINESE}"
    assert [page.number for page in document.pages] == [1, 2]


def test_notebooks() -> None:
    document = load(json.dumps(NOTEBOOK).encode(), mt.IPYNB)
    assert document.text == (
        f"# Pump data\n\n{CHINESE}\n\n```python\nprint(1 + 1)\n```\n\n```\n2\n```\n\n"
        "| a | b |\n| --- | --- |"
    )


def test_errors_in_notebooks_have_no_colours() -> None:
    error = {"output_type": "error", "ename": "ValueError", "evalue": "\x1b[31mno oil\x1b[0m"}
    cell = {"cell_type": "code", "source": "run()", "outputs": [error]}
    text = load(json.dumps({"nbformat": 4, "cells": [cell]}).encode(), mt.IPYNB).text
    assert text == "```\nrun()\n```\n\n```\nValueError: no oil\n```"


def test_calendars() -> None:
    assert load(CALENDAR, mt.ICS).text == (
        "# Team\n\n## Pump review\n\nStart: 2024-03-01 14:30 Europe/Berlin\n"
        "Location: Room 5, Berlin\nAttendees: Ann <ann@example.org>\n\nBring the seals\nand oil."
    )


def test_another_reader_takes_over_where_ours_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(source: Source) -> Document:
        raise ZeroDivisionError

    monkeypatch.setattr("ingest.loaders.rtf.load_rtf", fails)
    document = load(RTF, mt.RTF)
    assert "Pump manual" in document.text
    assert document.quality == {"fallback": "kreuzberg after ZeroDivisionError"}
    assert document.parser == "rtf/3"


def test_a_workbook_shown_as_a_picture_is_a_lost_table() -> None:
    """The one behind a chart is not: the chart tells its values."""
    buffer = io.BytesIO(presentation())
    assert "tables_lost" not in load_bytes(buffer.getvalue(), uri="a.pptx").quality
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("ppt/embeddings/Budget.xlsx", b"PK")
    assert load_bytes(buffer.getvalue(), uri="a.pptx").quality["tables_lost"] == 1
    buffer = io.BytesIO(word_document())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("word/embeddings/Budget.xlsx", b"PK")
    assert load_bytes(buffer.getvalue(), uri="a.docx").quality["tables_lost"] == 1


def test_workbooks_on_slides_are_tables() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Prices"
    slide.shapes.add_ole_object(io.BytesIO(price_list()), PROG_ID.XLSX, Inches(1), Inches(2))
    buffer = io.BytesIO()
    deck.save(buffer)
    document = load(buffer.getvalue(), mt.PPTX)
    assert document.text == "# Prices\n\n| Part | Price |\n| --- | --- |\n| Seal | 12 |"
    assert marked(document, "table")
    assert not document.quality


@pytest.mark.parametrize(
    ("font", "text"),
    [
        ("Consolas", "Call it:\n\n```\ndef f(x):\n    return  x\n```\n\nand wait\n\nf(1)"),
        ("Arial", "Call it:\ndef f(x):\nreturn x\nand wait\nf(1)"),
    ],
)
def test_code_on_slides_keeps_its_blanks(font: str, text: str) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    frame = slide.shapes.add_textbox(*map(Inches, (1, 1, 4, 1))).text_frame
    frame.text = "Call it:\ndef f(x):\n    return  x\nand  wait\nf(1)"
    for number in (1, 2, 4):
        frame.paragraphs[number].runs[0].font.name = font
    buffer = io.BytesIO()
    deck.save(buffer)
    assert load(buffer.getvalue(), mt.PPTX).text == text
