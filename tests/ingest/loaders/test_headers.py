"""Tables whose header takes two rows: groups of columns, and their names."""

from __future__ import annotations

import io

import openpyxl  # type: ignore[import-untyped]
import pptx
import pytest
from pptx.util import Inches

from ingest.documents import Document
from ingest.loaders import load_bytes

from .builders import paragraph, raw_word_document
from .office_builders import open_document

Row = list[tuple[str, int]]  # text and how many columns it takes
GROUPED: list[Row] = [
    [("City", 1), ("People", 2)],
    [("City", 1), ("2020", 1), ("born", 1)],
    [("Rome", 1), ("2,800", 1), ("7", 1)],
]
TITLED: list[Row] = [
    [("Prices", 3)],
    [("Part", 1), ("EUR", 1), ("USD", 1)],
    [("Seal", 1), ("12", 1), ("13", 1)],
]
NAMES: list[Row] = [
    [("Name", 2), ("Town", 1)],
    [("Ann", 1), ("Bee", 1), ("Rome", 1)],
    [("Bob", 1), ("Cee", 1), ("Pisa", 1)],
]
DATA: list[Row] = [
    [("Item", 1), ("Sizes", 2)],
    [("Seal", 1), ("10", 1), ("12", 1)],
    [("Nut", 1), ("8", 1), ("9", 1)],
]
FORM: list[Row] = [
    [("Name", 1), ("Ann", 2)],
    [("Team", 1), ("West", 1), ("Rome", 1)],
    [("Age", 1), ("35", 1), ("7", 1)],
]


def html(rows: list[Row]) -> Document:
    lines = ("".join(f"<td colspan={n}>{text}" for text, n in row) for row in rows)
    return load_bytes(f"<table><tr>{'<tr>'.join(lines)}</table>".encode(), uri="a.html")


def docx(rows: list[Row]) -> Document:
    def cell(text: str, span: int) -> str:
        return f"<w:tc><w:tcPr><w:gridSpan w:val='{span}'/></w:tcPr>{paragraph(text)}</w:tc>"

    lines = (f"<w:tr>{''.join(cell(*one) for one in row)}</w:tr>" for row in rows)
    return load_bytes(raw_word_document(f"<w:tbl>{''.join(lines)}</w:tbl>"), uri="a.docx")


def open_table(rows: list[Row]) -> str:
    def cell(text: str, span: int) -> str:
        asked = f"<table:table-cell table:number-columns-spanned='{span}'><text:p>{text}</text:p>"
        return f"{asked}</table:table-cell>{'<table:covered-table-cell/>' * (span - 1)}"

    lines = ("".join(cell(*one) for one in row) for row in rows)
    inside = "".join(f"<table:table-row>{line}</table:table-row>" for line in lines)
    return f"<table:table>{inside}</table:table>"


def odt(rows: list[Row]) -> Document:
    return load_bytes(open_document("text", open_table(rows)), uri="a.odt")


def ods(rows: list[Row]) -> Document:
    return load_bytes(open_document("spreadsheet", open_table(rows)), uri="a.ods")


def xlsx(rows: list[Row]) -> Document:
    book = openpyxl.Workbook()
    for number, row in enumerate(rows, 1):
        column = 1
        for text, span in row:
            book.active.cell(number, column, text)
            if span > 1:
                book.active.merge_cells(None, number, column, number, column + span - 1)
            column += span
    buffer = io.BytesIO()
    book.save(buffer)
    return load_bytes(buffer.getvalue(), uri="a.xlsx")


def slides(rows: list[Row]) -> Document:
    deck = pptx.Presentation()
    shapes = deck.slides.add_slide(deck.slide_layouts[6]).shapes
    grid = shapes.add_table(len(rows), 3, *map(Inches, (1, 1, 4, 1))).table
    for number, row in enumerate(rows):
        column = 0
        for text, span in row:
            grid.cell(number, column).text = text
            if span > 1:
                grid.cell(number, column).merge(grid.cell(number, column + span - 1))
            column += span
    buffer = io.BytesIO()
    deck.save(buffer)
    return load_bytes(buffer.getvalue(), uri="a.pptx")


@pytest.mark.parametrize("written", [html, docx, odt, ods, xlsx, slides])
def test_groups_of_columns_stand_with_their_names(written: object) -> None:
    assert callable(written)
    lines = written(GROUPED).text.split("\n")
    assert lines[-3:] == [
        "| City | People 2020 | People born |",
        "| --- | --- | --- |",
        "| Rome | 2,800 | 7 |",
    ]


@pytest.mark.parametrize("written", [html, docx, odt, slides])
def test_a_title_over_all_columns_stands_in_the_first(written: object) -> None:
    assert callable(written)
    lines = written(TITLED).text.split("\n")
    assert lines[-3:] == [
        "| Prices Part | EUR | USD |",
        "| --- | --- | --- |",
        "| Seal | 12 | 13 |",
    ]


@pytest.mark.parametrize("written", [ods, xlsx])
def test_a_title_of_a_sheet_stands_above(written: object) -> None:
    assert callable(written)
    document = written(TITLED)
    assert document.text.split("\n")[2:5] == ["Prices", "", "| Part | EUR | USD |"]


@pytest.mark.parametrize("rows", [NAMES, DATA, FORM])
@pytest.mark.parametrize("written", [html, docx, odt, ods, xlsx, slides])
def test_a_row_of_data_is_no_second_header(written: object, rows: list[Row]) -> None:
    assert callable(written)
    lines = written(rows).text.split("\n")
    assert [line.count("|") for line in lines[-4:]] == [4] * 4
    assert lines[-1].startswith(f"| {rows[2][0][0]} | {rows[2][1][0]} |")


def test_cells_below_a_header_of_two_rows_keep_their_addresses() -> None:
    marks = [mark.label for mark in xlsx(GROUPED).marks if mark.kind == "rows"]
    assert marks == ["Sheet!A1:C1", "Sheet!A3:C3"]
