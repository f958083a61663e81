"""Excel 97-2003 (.xls) through xlrd, with python-calamine as its fallback.

xlrd keeps sparse sheets sparse and tells number formats, notes and hidden sheets; calamine takes
over where it fails (Excel 95 and older, damaged records).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.extractors import no_panic
from ingest.loaders.number_format import ERRORS, plain_number, render_moment, render_number
from ingest.loaders.office_zip import OLE
from ingest.loaders.registry import Source
from ingest.loaders.sheets import (
    CellBudget,
    Row,
    Sheet,
    column_letters,
    fill_merged,
    flat,
    sheets_document,
)


def load_xls(source: Source) -> Document:
    """An old workbook: a page for each sheet, each row a line."""
    try:
        sheets = _by_xlrd(source)
        fallback = ""
    except LoadError:
        raise
    except Exception as exc:
        if "encrypted" in str(exc).lower():
            raise LoadError(source.uri, "is password protected") from exc
        if not source.data.startswith(OLE):  # calamine would take a sparse .xlsx, and 500 GB
            raise
        with no_panic(source.uri):
            sheets = _by_calamine(source)
        fallback = f"xlrd: {type(exc).__name__}"
    return sheets_document(source, sheets, quality={"fallback": fallback} if fallback else {})


def _by_xlrd(source: Source) -> list[Sheet]:
    import xlrd  # type: ignore[import-untyped]

    budget = CellBudget(source.uri)
    with xlrd.open_workbook(
        file_contents=source.data, logfile=io.StringIO(), formatting_info=True, on_demand=True,
        ragged_rows=True,
    ) as book:  # fmt: skip
        return [_old_sheet(book, number, budget) for number in range(book.nsheets)]


def _old_sheet(book: Any, number: int, budget: CellBudget) -> Sheet:
    sheet = book.sheet_by_index(number)
    notes = [
        (f"{column_letters(column + 1)}{row + 1}", note.text)
        for (row, column), note in sorted(sheet.cell_note_map.items())
    ]
    rows = list(_old_rows(book, sheet, budget))
    merges = ((left + 1, top + 1, bottom) for top, bottom, left, _ in sheet.merged_cells)
    fill_merged(rows, merges, budget)
    book.unload_sheet(number)
    return Sheet(sheet.name, rows, hidden=bool(sheet.visibility), notes=notes)


def _old_rows(book: Any, sheet: Any, budget: CellBudget) -> Iterator[Row]:
    for row in range(sheet.nrows):
        cells = {
            column + 1: text
            for column, cell in enumerate(sheet.row(row))
            if cell.ctype not in (0, 6) and (text := _old_value(book, cell))
        }
        if cells:
            budget.take(cells)
            yield row + 1, cells


def _old_value(book: Any, cell: Any) -> str:
    kind, value = cell.ctype, cell.value
    if kind == 1:
        return flat(value)
    if kind in (2, 3):
        return flat(render_number(value, _format(book, cell), from_1904=bool(book.datemode)))
    if kind == 4:
        return "TRUE" if value else "FALSE"
    return ERRORS.get(value, "#ERROR")


def _format(book: Any, cell: Any) -> str:
    style = book.xf_list[cell.xf_index] if cell.xf_index is not None else None
    found = book.format_map.get(style.format_key) if style is not None else None
    return found.format_str if found is not None else "General"


def _by_calamine(source: Source) -> list[Sheet]:
    import python_calamine as calamine

    budget = CellBudget(source.uri)
    try:
        book = calamine.load_workbook(io.BytesIO(source.data))
    except calamine.PasswordError as exc:
        raise LoadError(source.uri, "is password protected") from exc
    with book:
        return [_new_sheet(book, metadata, budget) for metadata in book.sheets_metadata]


def _new_sheet(book: Any, metadata: Any, budget: CellBudget) -> Sheet:
    import python_calamine as calamine

    hidden = metadata.visible != calamine.SheetVisibleEnum.Visible
    if metadata.typ != calamine.SheetTypeEnum.WorkSheet:
        return Sheet(metadata.name, (), hidden=hidden)
    sheet = book.get_sheet_by_name(metadata.name)
    top, left = sheet.start or (0, 0)
    rows = []
    for number, values in enumerate(sheet.to_python(skip_empty_area=True), top + 1):
        cells = {
            column: text
            for column, value in enumerate(values, left + 1)
            if value != "" and (text := _value(value))
        }
        if cells:
            budget.take(cells)
            rows.append((number, cells))
    return Sheet(metadata.name, rows, hidden=hidden)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return plain_number(value)
    if isinstance(value, date | datetime | time | timedelta):
        return render_moment(value)
    return flat(str(value))
