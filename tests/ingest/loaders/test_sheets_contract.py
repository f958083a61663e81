"""Workbooks keep the contract of loaders."""

from __future__ import annotations

import datetime
import io

import openpyxl  # type: ignore[import-untyped]
from openpyxl.comments import Comment  # type: ignore[import-untyped]

from ingest.loaders.media_types import XLSX
from tests.contracts.loader_contract import LoaderContract


def workbook() -> bytes:
    """Two visible sheets and a hidden one: header, dates, percentages, a comment, an empty row."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Prices"
    sheet.append(["Price list 2024"])
    sheet.append(["Part", "Price", "Discount", "Since"])
    sheet.append(["Seal\nring", 1234.5, 0.125, datetime.date(2024, 3, 1)])
    sheet.append(["密封件", 7, 0, datetime.datetime(2024, 3, 1, 14, 30)])
    sheet["F6"] = "far away"
    sheet["A2"].comment = Comment("Numbers of 2023", "Ann")
    sheet["B3"].number_format = '"$"#,##0.00'
    sheet["C3"].number_format = "0.0%"
    book.create_sheet("Empty")
    hidden = book.create_sheet("Secret")
    hidden.append(["hidden", "text"])
    hidden.sheet_state = "hidden"
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


class TestXlsx(LoaderContract):
    name, media_type = "folder/prices.xlsx", XLSX

    def sample(self) -> bytes:
        return workbook()
