"""What a chunk says about its place: line, cells, headings, and the context it needs."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.chunking_cells import cells_of, separators_of
from ingest.chunking_cuts import Layout
from ingest.documents import Document, Mark, Section
from ingest.loaders.sheets import column_letters, column_number

_ADDRESS = re.compile(
    r"(?:(?P<sheet>.*)!)?(?P<left>[A-Z]+)(?P<top>\d+)(?::(?P<right>[A-Z]+)\d+)?\Z"
)
_SIGNATURE = 160  # characters of a line that opens a class or function


class Lines:
    """Line numbers for ascending offsets."""

    def __init__(self, document: Document) -> None:
        self._text = document.text
        self._line = document.first_line
        self._offset = 0

    def line_at(self, offset: int) -> int | None:
        """The line of the file on which `offset` lies; None where the text's lines are not its."""
        if self._line is None:
            return None
        self._line += self._text.count("\n", self._offset, offset)
        self._offset = offset
        return self._line


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a sheet: one for each line of `start:end`, from row `top` on."""

    start: int
    end: int
    sheet: str
    left: str
    right: str
    top: int
    bottom: int


class Cells:
    """The cells that spans of the text show."""

    def __init__(self, document: Document) -> None:
        self._text = document.text
        self._separators = separators_of(document)
        self._line: tuple[int, list[tuple[int, int]]] = -1, []  # the last one, and its cells
        self._rows = [
            rows for mark in document.marks if mark.kind == "rows" and (rows := _rows_of(mark))
        ]
        self._breaks = (
            [match.start() for match in re.finditer("\n", document.text)] if self._rows else []
        )

    def of(self, start: int, end: int) -> str:
        """Addresses of the rows within `start:end`: `Sheet1!A2:D41`, several joined by commas."""
        if not self._rows:
            return ""
        first = bisect_right(self._rows, start, key=lambda rows: rows.end)
        last = bisect_left(self._rows, end, key=lambda rows: rows.start)
        found: list[_Rows] = []
        for rows in self._rows[first:last]:
            shown = self._within(rows, max(start, rows.start), min(end, rows.end))
            before = found[-1] if found else None
            if before and (before.sheet, before.left, before.right) == (
                shown.sheet,
                shown.left,
                shown.right,
            ):
                found[-1] = _joined(before, shown)
            else:
                found.append(shown)
        return ", ".join(map(_address, found))

    def _within(self, rows: _Rows, start: int, end: int) -> _Rows:
        base = bisect_left(self._breaks, rows.start)
        top = rows.top + bisect_left(self._breaks, start) - base
        bottom = rows.top + bisect_left(self._breaks, end - 1) - base
        top, bottom = min(top, rows.bottom), min(bottom, rows.bottom)
        left, right = rows.left, rows.right
        if top == bottom:
            left, right = self._columns(rows, start, end)
        return _Rows(start, end, rows.sheet, left, right, top, bottom)

    def _columns(self, rows: _Rows, start: int, end: int) -> tuple[str, str]:
        """The first and last column within `start:end`, a part of one row; all where unsure."""
        first = max(self._text.rfind("\n", rows.start, start) + 1, rows.start)
        last = self._text.find("\n", end, rows.end)
        last = last if last >= 0 else rows.end
        if start <= first and end >= last:
            return rows.left, rows.right
        column = column_number(rows.left)
        cells = self._cells(first, last, column_number(rows.right) - column + 1)
        if not cells:
            return rows.left, rows.right
        left = bisect_right(cells, start, key=lambda cell: cell[0]) - 1
        right = bisect_left(cells, end, key=lambda cell: cell[0]) - 1
        return column_letters(column + max(left, 0)), column_letters(column + max(right, 0))

    def _cells(self, first: int, last: int, count: int) -> list[tuple[int, int]]:
        """The cells of a line, of which there must be `count`; [] where there are not."""
        if self._line[0] != first:
            found = (cells_of(self._text, first, last, one) for one in self._separators)
            self._line = first, next((cells for cells in found if len(cells) == count), [])
        return self._line[1]


def headings_of(sections: Sequence[Section], offsets: Sequence[int]) -> list[tuple[str, ...]]:
    """The headings above each of the ascending `offsets`, outermost first."""
    paths: list[tuple[str, ...]] = []
    following = 0
    current: list[Section] = []
    for offset in offsets:
        changed = False
        while following < len(sections) and sections[following].start <= offset:
            current.append(sections[following])
            following += 1
            changed = True
            if len(current) > 100:
                current = [section for section in current if offset < section.end]
        if changed or any(section.end <= offset for section in current) or not paths:
            current = [section for section in current if offset < section.end]
            paths.append(tuple(section.title for section in current))
        else:
            paths.append(paths[-1])
    return paths


def context_of(layout: Layout, start: int, starts: Sequence[int], room: int) -> str:
    """What a passage that begins at `start` needs from elsewhere, if it fits in `room` tokens.

    The header line of the table that goes on there, of a row that is too wide the cells above the
    piece; in code the lines that open what it is inside.
    """
    if piece := layout.piece_at(start):
        return piece.context if piece.tokens <= room else ""
    if table := layout.table_at(start):
        tokens = table.header_tokens(starts)
        return layout.text[table.start : table.header_end].strip() if tokens <= room else ""
    if not layout.is_code:
        return ""
    line_start = layout.text.rfind("\n", 0, start) + 1
    if not layout.text[line_start:start].strip():
        start = line_start  # its indentation belongs to what begins there
    signatures: list[str] = []
    for section in layout.sections:
        if section.start >= start:
            break
        if start < section.end and (line := _signature(layout.text, section)):
            tokens = len(line) // 3  # code has more tokens a character than prose
            if tokens <= room:
                signatures.append(line)
                room -= tokens
    return "\n".join(signatures)


def _signature(text: str, section: Section) -> str:
    """The line of a section that names it: comments and decorators may stand above."""
    name = section.title.rpartition(" ")[2]
    for line in text[section.start : min(section.end, section.start + 4000)].split("\n"):
        if name in line and not line.lstrip().startswith(("#", "//", "*", "/*", "@", "--", "[")):
            return line.rstrip()[:_SIGNATURE]
    return ""


def _rows_of(mark: Mark) -> _Rows | None:
    found = _ADDRESS.match(mark.label)
    if not found:
        return None
    last = re.search(r"(\d+)\Z", mark.label)
    bottom = int(last[1]) if last else int(found["top"])
    right = found["right"] or found["left"]
    sheet = found["sheet"] or ""
    return _Rows(mark.start, mark.end, sheet, found["left"], right, int(found["top"]), bottom)


def _joined(one: _Rows, two: _Rows) -> _Rows:
    return _Rows(one.start, two.end, one.sheet, one.left, one.right, one.top, two.bottom)


def _address(rows: _Rows) -> str:
    cells = f"{rows.left}{rows.top}:{rows.right}{rows.bottom}"
    return f"{rows.sheet}!{cells}" if rows.sheet else cells
