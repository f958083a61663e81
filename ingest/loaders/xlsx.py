"""Excel workbooks (.xlsx, .xlsm), read row by row: sparse sheets and inflated dimensions are cheap.

Our own reader, since none of the libraries gives all of it: python-calamine is fast but squares a
sheet (A1 and XFD1048576 are 17 billion cells) and knows no percentages, currencies and comments;
openpyxl is slow; kreuzberg and unstructured lose the addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.blocks import table
from ingest.loaders.drawing import graphic_of
from ingest.loaders.number_format import BUILT_IN, plain_number, render_moment, render_number
from ingest.loaders.office_zip import OfficeZip, Relation, iterate_xml, local_name
from ingest.loaders.registry import Source
from ingest.loaders.sheet_xml import (
    cell_value,
    inline_text,
    merged_cells,
    sheet_markup,
    sheet_rows,
    uncalculated,
)
from ingest.loaders.sheets import (
    CellBudget,
    Merge,
    Row,
    Sheet,
    column_number,
    fill_merged,
    flat,
    sheets_document,
)

_THREADED = re.compile(r"^\[Threaded comment\].*?(?:Comment:|批注:|$)", re.S)
_MAX_COVERED = 200  # columns below one cell of a header
MAX_SHEETS = 2_000
MAX_ROW = 1_048_576


def load_xlsx(source: Source) -> Document:
    """A workbook: a page for each sheet, each row a line, values as their formats show them."""
    with OfficeZip(source.data, source.uri) as archive:
        main = archive.main_part("xl/workbook.xml")
        workbook = archive.xml(main)
        if workbook is None:
            raise LoadError(source.uri, "is damaged: no xl/workbook.xml inside")
        if main.endswith(".bin"):
            raise LoadError(source.uri, "is a binary workbook: save it as .xlsx")
        reader = _Reader(archive, main, workbook, source.uri)
        sheets = list(reader.sheets(workbook))
        return sheets_document(source, sheets, title=archive.core_title())


class _Reader:
    """What the sheets of a workbook share."""

    def __init__(self, archive: OfficeZip, main: str, workbook: Any, uri: str) -> None:
        self._archive = archive
        self._relations = archive.relations(main)
        self._budget = CellBudget(uri)
        properties = workbook.find("{*}workbookPr")
        date1904 = properties.get("date1904", "") if properties is not None else ""
        self._from_1904 = date1904 in ("1", "true")
        self._formats = list(self._cell_formats())
        self._strings = list(self._shared_strings())

    def sheets(self, workbook: Any) -> Iterator[Sheet]:
        """All sheets, hidden ones too, in the order of their tabs."""
        for number, element in enumerate(workbook.iterfind("{*}sheets/{*}sheet")):
            if number == MAX_SHEETS:
                return
            ids = [value for name, value in element.attrib.items() if name.endswith("}id")]
            relation = self._relations.get(ids[0]) if ids else None
            part = relation.target if relation and not relation.external else ""
            rows, covered = self._rows(part)
            yield Sheet(
                element.get("name", ""),
                rows,
                hidden=element.get("state", "visible") != "visible",
                notes=list(self._notes(part)),
                texts=list(self._shapes(part)),
                covered=covered,
            )

    def _part(self, kind: str) -> bytes:
        found = (relation for relation in self._relations.values() if relation.kind == kind)
        relation = next(found, None)
        return self._archive.read(relation.target) if relation else b""

    def _cell_formats(self) -> Iterator[str]:
        """The format code of each cell style, in order."""
        codes = dict(BUILT_IN)
        for element in iterate_xml(self._part("styles"), "numFmts", "cellXfs"):
            for child in element:
                if local_name(element) == "numFmts":
                    codes[_number(child.get("numFmtId"))] = child.get("formatCode", "")
                else:
                    yield codes.get(_number(child.get("numFmtId")), "General")

    def _shared_strings(self) -> Iterator[str]:
        for item in iterate_xml(self._part("sharedStrings"), "si"):
            yield flat(_text(item))

    def _rows(self, part: str) -> tuple[list[Row], dict[int, list[int]]]:
        """The rows that hold text, and by row the columns that a cell to their left covers."""
        markup = sheet_markup(self._archive.read(part))
        rows = list(self._filled_rows(markup))
        merges: list[Merge] = []
        covered: dict[int, list[int]] = {}
        for first, top, last, bottom in merged_cells(markup):
            left, right = column_number(first), column_number(last)
            merges.append((left, top, bottom))
            if left < right <= left + _MAX_COVERED:
                covered.setdefault(top, []).extend(range(left + 1, right + 1))
        fill_merged(rows, merges, self._budget)
        return rows, covered

    def _filled_rows(self, markup: str) -> Iterator[Row]:
        number = 0
        for head, cells in sheet_rows(markup):
            number = _number(head.get("r")) or number + 1
            texts = dict(self._cells(cells))
            if texts and number <= MAX_ROW:
                self._budget.take(texts)
                yield number, texts

    def _cells(self, cells: list[tuple[dict[str, str], str]]) -> Iterator[tuple[int, str]]:
        column = 0
        for head, markup in cells:
            letters = head.get("r", "").rstrip("0123456789")
            column = column_number(letters) if letters else column + 1
            if markup and (text := self._value(head, markup)):
                yield column, text

    def _value(self, head: dict[str, str], markup: str) -> str:
        kind = head.get("t", "n")
        if kind == "inlineStr":
            return flat(inline_text(markup))
        value = cell_value(markup)
        if not value.strip():
            return flat(uncalculated(markup, is_text=kind == "str"))
        if kind == "s":
            index = _number(value)
            return self._strings[index] if index < len(self._strings) else ""
        if kind == "n":
            return self._rendered(value, head.get("s"))
        if kind == "b":
            return "TRUE" if value.strip() == "1" else "FALSE"
        return _moment(value) if kind == "d" else flat(value)

    def _rendered(self, value: str, style: str | None) -> str:
        try:
            number = float(value)
        except ValueError:
            return flat(value)
        index = _number(style)
        code = self._formats[index] if index < len(self._formats) else "General"
        if code == "General":  # a number of many digits is a name, which a float would round
            return value if value.isdigit() else plain_number(number)
        return flat(render_number(number, code, from_1904=self._from_1904))

    def _notes(self, part: str) -> Iterator[tuple[str, str]]:
        """Comments, answers in their threads included."""
        relations = self._archive.relations(part).values()
        threads = [r.target for r in relations if r.kind == "threadedComment"]
        taken = set()
        for target in threads:
            for comment in iterate_xml(self._archive.read(target), "threadedComment"):
                if text := flat(comment.findtext("{*}text") or ""):
                    taken.add(comment.get("ref", ""))
                    yield comment.get("ref", ""), text
        for target in (r.target for r in relations if r.kind == "comments"):
            for comment in iterate_xml(self._archive.read(target), "comment"):
                address = comment.get("ref", "")
                text = flat(_THREADED.sub("", _text(comment)))
                if text and address not in taken:
                    yield address, text

    def _shapes(self, part: str) -> Iterator[str]:
        """The words in text boxes and on charts."""
        for relation in self._archive.relations(part).values():
            if relation.kind != "drawing":
                continue
            yield from self._paragraphs(relation.target)
            for chart in self._archive.relations(relation.target).values():
                if chart.kind == "chart":
                    yield from self._paragraphs(chart.target)
                    yield from self._values(chart)

    def _values(self, chart: Relation) -> Iterator[str]:
        """What a chart draws that is in no cell of this workbook: of another one, or typed in."""
        root = self._archive.xml(chart.target)
        cells = [node.text or "" for node in root.iter("{*}f")] if root is not None else ["S!A1"]
        if not cells or any("[" in place for place in cells):
            graphic = graphic_of(self._archive, chart)
            yield table(graphic.rows if graphic is not None else [])

    def _paragraphs(self, part: str) -> Iterator[str]:
        root = self._archive.xml(part)
        for paragraph in root.iter("{*}p") if root is not None else ():
            texts = (node.text or "" for node in paragraph.iter("{*}t"))
            if text := flat("".join(texts)):
                yield text


def _text(element: Any) -> str:
    """Its text in one piece, without the reading aids above Japanese words."""
    return "".join(
        node.text or "" for node in element.iter("{*}t") if local_name(node.getparent()) != "rPh"
    )


def _moment(value: str) -> str:
    try:
        return render_moment(datetime.fromisoformat(value.strip().rstrip("Z")))
    except ValueError:
        return flat(value)


def _number(value: str | None) -> int:
    """A count in an attribute; 0 where there is none."""
    value = (value or "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
