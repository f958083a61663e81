"""Binary Excel workbooks (.xlsb): the records of MS-XLSB that hold text and numbers.

Our own reader: the Rust library under python-calamine and kreuzberg panics on real files, and
squares sparse sheets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.number_format import BUILT_IN, ERRORS, render_number
from ingest.loaders.office_zip import OfficeZip
from ingest.loaders.registry import Source
from ingest.loaders.sheets import (
    CellBudget,
    Merge,
    Row,
    Sheet,
    column_letters,
    fill_merged,
    flat,
    sheets_document,
)

_ROW, _RK, _ERROR, _BOOL, _REAL, _STRING, _SHARED = 0, 2, 3, 4, 5, 6, 7
_FORMULA = {8: _STRING, 9: _REAL, 10: _BOOL, 11: _ERROR}  # cached values of formulas
_SST_ITEM, _FORMAT, _STYLE, _PROPERTIES, _SHEET = 19, 44, 47, 153, 156
_MERGED = 176
_BEGIN_STYLES, _END_STYLES, _COMMENT, _COMMENT_TEXT = 617, 618, 635, 637


def load_xlsb(source: Source) -> Document:
    """A binary workbook: a page for each sheet, each row a line."""
    with OfficeZip(source.data, source.uri) as archive:
        main = archive.main_part("xl/workbook.bin")
        records = list(_records(archive.read(main)))
        if not records:
            raise LoadError(source.uri, "is damaged: no xl/workbook.bin inside")
        reader = _Reader(archive, main, source.uri)
        reader.from_1904 = any(kind == _PROPERTIES and body[:1] and body[0] & 1
                               for kind, body in records)  # fmt: skip
        sheets = [reader.sheet(body) for kind, body in records if kind == _SHEET]
        return sheets_document(source, sheets, title=archive.core_title())


class _Reader:
    """What the sheets of a workbook share."""

    def __init__(self, archive: OfficeZip, main: str, uri: str) -> None:
        self.from_1904 = False
        self._archive = archive
        self._relations = archive.relations(main)
        self._budget = CellBudget(uri)
        self._formats = list(self._cell_formats())
        strings = _records(self._part("sharedStrings"))
        self._strings = [flat(_text(body, 1)) for kind, body in strings if kind == _SST_ITEM]

    def sheet(self, body: bytes) -> Sheet:
        """The sheet that a record of the workbook names."""
        state = int.from_bytes(body[:4], "little")
        place = next((place for place in (8, 12) if _text(body, place) in self._relations), 8)
        identity = _text(body, place)  # at 12 in what Excel 2007 wrote before it was published
        name = _text(body, place + 4 + 2 * len(identity))
        relation = self._relations.get(identity)
        part = relation.target if relation and not relation.external else ""
        notes = list(self._notes(part))
        return Sheet(name, self._rows(part), hidden=state != 0, notes=notes)

    def _part(self, kind: str) -> bytes:
        found = (relation for relation in self._relations.values() if relation.kind == kind)
        relation = next(found, None)
        return self._archive.read(relation.target) if relation else b""

    def _cell_formats(self) -> Iterator[str]:
        codes = dict(BUILT_IN)
        inside = False
        for kind, body in _records(self._part("styles")):
            if kind == _FORMAT and len(body) >= 6:
                codes[int.from_bytes(body[:2], "little")] = _text(body, 2)
            elif kind in (_BEGIN_STYLES, _END_STYLES):
                inside = kind == _BEGIN_STYLES
            elif kind == _STYLE and inside:
                yield codes.get(int.from_bytes(body[2:4], "little"), "General")

    def _rows(self, part: str) -> list[Row]:
        merges: list[Merge] = []
        rows = list(self._filled_rows(part, merges))
        fill_merged(rows, merges, self._budget)
        return rows

    def _filled_rows(self, part: str, merges: list[Merge]) -> Iterator[Row]:
        number, cells = 0, dict[int, str]()
        for kind, body in _records(self._archive.read(part)):
            if kind == _MERGED and len(body) >= 16:
                top, bottom, left, _ = struct.unpack_from("<IIII", body)
                merges.append((left + 1, top + 1, bottom + 1))
            elif kind == _ROW:
                if cells:
                    self._budget.take(cells)
                    yield number, cells
                number, cells = int.from_bytes(body[:4], "little") + 1, {}
            elif (kind in _FORMULA or _RK <= kind <= _SHARED) and len(body) > 8:
                text = self._value(_FORMULA.get(kind, kind), body)
                if text:
                    cells[int.from_bytes(body[:4], "little") + 1] = text
        if cells:
            self._budget.take(cells)
            yield number, cells

    def _value(self, kind: int, body: bytes) -> str:
        if kind == _STRING:
            return flat(_text(body, 8))
        if kind == _SHARED:
            index = int.from_bytes(body[8:12], "little")
            return self._strings[index] if index < len(self._strings) else ""
        if kind == _BOOL:
            return "TRUE" if body[8] else "FALSE"
        if kind == _ERROR:
            return ERRORS.get(body[8], "#ERROR")
        number = _rk(body[8:12]) if kind == _RK else _double(body[8:16])
        style = int.from_bytes(body[4:7], "little")
        code = self._formats[style] if style < len(self._formats) else "General"
        return flat(render_number(number, code, from_1904=self.from_1904))

    def _notes(self, part: str) -> Iterator[tuple[str, str]]:
        for relation in self._archive.relations(part).values():
            if relation.kind != "comments":
                continue
            address = ""
            for kind, body in _records(self._archive.read(relation.target)):
                if kind == _COMMENT and len(body) >= 20:
                    row, _, column = struct.unpack_from("<III", body, 4)
                    address = f"{column_letters(column + 1)}{row + 1}"
                elif kind == _COMMENT_TEXT and (text := flat(_text(body, 1))):
                    yield address, text


def _records(part: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, body) of each record; ends where the part does, damaged or not."""
    place, end = 0, len(part)
    while place < end:
        kind = part[place]
        place += 1
        if kind & 0x80 and place < end:
            kind = kind & 0x7F | part[place] << 7
            place += 1
        size = shift = 0
        while place < end and shift < 28:
            byte = part[place]
            place += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        yield kind, part[place : place + size]
        place += size


def _text(body: bytes, place: int) -> str:
    """A string with its length (4 bytes, in UTF-16 units) in front."""
    length = int.from_bytes(body[place : place + 4], "little")
    if length == 0xFFFFFFFF:
        return ""
    return body[place + 4 : place + 4 + 2 * length].decode("utf-16-le", "replace")


def _double(eight: bytes) -> float:
    return float(struct.unpack("<d", eight)[0]) if len(eight) == 8 else 0.0


def _rk(four: bytes) -> float:
    """A number packed into 30 bits: an integer or the front of a double, maybe a hundredfold."""
    value = int.from_bytes(four, "little")
    if value & 2:
        number = float(int.from_bytes(four, "little", signed=True) >> 2)
    else:
        number = _double(((value & 0xFFFFFFFC) << 32).to_bytes(8, "little"))
    return number / 100 if value & 1 else number
