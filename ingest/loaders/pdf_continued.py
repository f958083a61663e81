"""Tables of a PDF that go on over pages: each page gets the header, where it is not repeated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ingest.loaders.pdf_text import PageText, Passage

_SAME_EDGE = 3.0  # points between the edges of a column on two pages
_SAME_PLACE = 4.0  # points between the places of a line that stands on both pages
_DIGIT = re.compile(r"\d")


def continue_tables(pages: Sequence[PageText]) -> None:
    """Give a table at the top of a page the header of the one it goes on from."""
    for before, page in pairwise(pages):
        above, below = _told(before, page), _told(page, before)
        if not above or not below or above[-1].line.cells is None or not below[0].line.header:
            continue
        table = _last_table(above)
        if _goes_on(table, below[0]):
            at = next(n for n, passage in enumerate(page.passages) if passage is below[0])
            below[0].line.header = False
            page.passages.insert(at, _header_for(table[0], below[0]))


def _told(page: PageText, other: PageText) -> list[Passage]:
    """The passages without what runs over both pages, is hidden, or stands aside."""
    known: dict[str, list[float]] = {}
    for passage in other.passages:
        known.setdefault(passage.text, []).append(passage.line.top)
    return [
        passage
        for passage in page.passages
        if passage.kind == "table" or (passage.kind is None and not _runs(passage, known))
    ]


def _runs(passage: Passage, known: dict[str, list[float]]) -> bool:
    if passage.line.turned:
        return True
    tops = known.get(passage.text, ())
    return any(abs(passage.line.top - top) < _SAME_PLACE for top in tops)


def _last_table(passages: Sequence[Passage]) -> list[Passage]:
    """The rows of the table that ends the passages, its header first."""
    start = len(passages) - 1
    while start > 0 and not passages[start].line.header:
        start -= 1
    return list(passages[start:])


def _goes_on(table: Sequence[Passage], row: Passage) -> bool:
    """Whether a row stands in the columns of the table, and is none that would be its header."""
    head = table[0].line.cells or []
    cells = row.line.cells or []
    if cells == head or not _same_columns(table[0], row):
        return False
    figures = [
        number
        for number, name in enumerate(head)
        if not _DIGIT.search(name) and _all_figures(table[1:], number)
    ]
    return not figures or any(_DIGIT.search(cells[number]) for number in figures)


def _all_figures(rows: Sequence[Passage], column: int) -> bool:
    told = [cells[column] for row in rows if (cells := row.line.cells) and cells[column]]
    return bool(told) and all(map(_DIGIT.search, told))


def _same_columns(one: Passage, two: Passage) -> bool:
    """Whether each column begins, ends or has its middle at the same place on both pages.

    Margins of left and right pages may differ: then all columns are moved by as much.
    """
    if not one.line.columns or len(one.line.columns) != len(two.line.columns):
        return False
    moved = two.line.columns[0][0] - one.line.columns[0][0]
    return any(
        all(
            min(abs(a + by - c), abs(b + by - d), abs(a + b + 2 * by - c - d) / 2) <= _SAME_EDGE
            for (a, b), (c, d) in zip(one.line.columns, two.line.columns, strict=True)
        )
        for by in (0.0, moved)
    )


def _header_for(header: Passage, row: Passage) -> Passage:
    line = replace(header.line, top=row.line.top, bottom=row.line.top, columns=row.line.columns)
    return Passage(header.text, line, apart=True)
