"""Rows of tables that are too wide for a chunk: cut between cells, each piece with its own header.

A piece carries the header cells above it and the first cell of its row, which says what the row is.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice, pairwise
from math import ceil

from ingest.chunking_cuts import Layout, Piece, Table
from ingest.chunking_packing import Cut
from ingest.documents import Document
from ingest.loaders.media_types import CSV, TSV
from ingest.loaders.sheets import MAX_COLUMN

_FORCED = -3.0  # cheaper than a chunk costs, so that it is always cut here
_KEY_SHARE = 6  # the first cell of a row may take this part of a chunk
_SPACED = re.compile(r"(?<=\s)(\|)(?=\s)")  # as our loaders write them: a cell may hold a bare |
_PIPES = re.compile(r"(?<!\\)(\|)")

Span = tuple[int, int]


def separators_of(document: Document) -> tuple[re.Pattern[str], ...]:
    """What may part the cells of the document's tables, in group 1; the likelier first."""
    if document.media_type not in (CSV, TSV):
        return (_SPACED, _PIPES)
    from ingest.loaders.tabular import delimiter_of

    tab_first = document.media_type == TSV
    return (_delimiter(delimiter_of(document.text, tab_first=tab_first)),)


def cells_of(text: str, start: int, end: int, separator: re.Pattern[str]) -> list[Span]:
    """The spans of the cells of the line `start:end`, white space around them included.

    A line of more cells than sheets have columns is no row: it is one cell.
    """
    if text.startswith("|", start) and "|" in separator.pattern:
        line = text[start:end].rstrip()
        start, end = start + 1, start + len(line) - (len(line) > 1 and line.endswith("|"))
    found = (match.span(1) for match in separator.finditer(text, start, end) if match[1])
    breaks = list(islice(found, MAX_COLUMN))
    if len(breaks) == MAX_COLUMN:
        return [(start, end)]
    starts = [start, *(last for _, last in breaks)]
    ends = [*(first for first, _ in breaks), end]
    return list(zip(starts, ends, strict=True))


def with_wide_rows(
    layout: Layout, document: Document, starts: Sequence[int], capacity: int
) -> Layout:
    """The layout with a cut, and what goes along, for each piece of a row that is too wide."""
    if not layout.tables:
        return layout
    separators = separators_of(document)
    pieces = [
        piece
        for table in layout.tables
        for piece in _Rows(layout.text, table, starts, capacity).pieces(separators)
    ]
    if not pieces:
        return layout
    # a header may stay with the heading above it, and the first row with a header that is one piece
    begins = {piece.start for piece in pieces}
    free = {table.start if table.start in begins else table.body for table in layout.tables}
    forced = begins - free
    cuts = [cut for cut in layout.cuts if cut.offset not in forced]
    cuts += [Cut(offset, _FORCED) for offset in forced]
    return replace(layout, cuts=cuts, pieces=sorted(pieces, key=lambda piece: piece.start))


class _Rows:
    """The rows of one table."""

    def __init__(self, text: str, table: Table, starts: Sequence[int], capacity: int) -> None:
        self._text, self._table = text, table
        self._starts, self._capacity = starts, capacity

    def pieces(self, separators: Sequence[re.Pattern[str]]) -> Iterator[Piece]:
        """The pieces of its rows, of the header too, that are too wide."""
        table, room = self._table, self._capacity
        of_header = table.header_tokens(self._starts)
        headers = [cells_of(self._text, table.start, table.header_end, s) for s in separators]
        if of_header > room:
            yield from self._pieces(max(headers, key=len), None, table.start, table.header_end)
        start = table.body
        while start < table.end:
            end = self._text.find("\n", start, table.end)
            end = end if end >= 0 else table.end
            size = self._tokens(start, end)
            if size > room // 2 and size + of_header > room:
                for header, separator in zip(headers, separators, strict=True):
                    cells = cells_of(self._text, start, end, separator)
                    if len(cells) == len(header) > 1:
                        yield from self._pieces(cells, header, start, end)
                        break
            start = end + 1

    def _pieces(
        self, cells: list[Span], header: list[Span] | None, start: int, end: int
    ) -> Iterator[Piece]:
        """Cells that with their header fill a chunk; none where one alone takes half of it."""
        begins = [start, *(self._begin(cell) for cell in cells[1:]), end]
        own = [self._tokens(a, b) for a, b in pairwise(begins)]
        above = [self._tokens(a, b) + 1 for a, b in header] if header else [0] * len(cells)
        sizes = [one + two for one, two in zip(own, above, strict=True)]
        if max(sizes) > self._capacity // 2:
            return
        key = self._said(cells[0], header[0]) if header else ""
        of_key = sizes[0] + 1
        if of_key > self._capacity // _KEY_SHARE:
            key, of_key = "", 0
        room = self._capacity - of_key - 2
        wanted = sum(sizes) / ceil(sum(sizes) / room)
        first = size = 0
        for index, one in enumerate([*sizes, room]):
            if index > first and (size + one > room or size >= wanted):
                said = self._header(header, first, index, key if first else "")
                tokens = sum(above[first:index]) + (of_key if first else 0) + 2 if header else 0
                yield Piece(begins[first], begins[index], said, tokens)
                first, size = index, 0
            size += one

    def _header(self, header: list[Span] | None, first: int, last: int, key: str) -> str:
        if header is None:
            return ""
        inner = self._text[header[first][0] : header[last - 1][1]].strip()
        piped = self._text.startswith("|", self._table.start)
        return "\n".join(filter(None, (key, f"| {inner} |" if piped else inner)))

    def _said(self, cell: Span, name: Span) -> str:
        """`Part: Seal ring`."""
        said = (self._text[start:end].strip() for start, end in (name, cell))
        return ": ".join(filter(None, said))

    def _begin(self, cell: Span) -> int:
        start, end = cell
        blanks = len(self._text[start:end]) - len(self._text[start:end].lstrip())
        return start + blanks if start + blanks < end else start

    def _tokens(self, start: int, end: int) -> int:
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)


@lru_cache
def _delimiter(character: str) -> re.Pattern[str]:
    return re.compile(rf'"[^"]*"|({re.escape(character)})')
