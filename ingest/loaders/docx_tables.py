"""The tables of Word documents: rows of data, or places on a page."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, chain, pairwise
from typing import Any

from ingest.loaders.blocks import Block, is_table, table
from ingest.loaders.docx_cleaning import W, flat_lines, page_breaks, text_of

_MAX_SPAN = 100  # columns


def lays_out(element: Any, level_of: Callable[[Any], int]) -> bool:
    """True for a table that places paragraphs on the page and has no rows of data.

    Its cells stand one below the other and hold several paragraphs, or one holds a heading with
    what it governs, or a table larger than this. `level_of` a paragraph is above 0 for a heading.
    """
    rows = [row.findall(f"{W}tc") for row in element.iterfind(f"{W}tr")]
    long = [said for row in rows for cell in row if len(said := _told(cell)) > 1]
    if any(map(level_of, chain.from_iterable(long))):
        return True
    if all(len(row) == 1 for row in rows):
        return bool(long)
    inner = [
        tuple(found.iterfind(f"{W}tr/{W}tc"))
        for row in rows
        for cell in row
        for found in cell.iterfind(f"{W}tbl")
    ]
    return any(len(cells) > sum(map(len, rows)) for cells in inner)


def _told(cell: Any) -> list[Any]:
    """The paragraphs with words in a cell of several, those of tables in it included."""
    found = list(cell.iter(f"{W}p"))
    return [one for one in found if len(found) > 1 and text_of(one).strip()]


def table_block(element: Any, page: int) -> Block:
    """Rows of cells: what is merged downwards stands in each row, sideways in its first column."""
    rows: list[list[str]] = []
    pages: list[int] = []
    covered: list[int] = []  # columns of the first row
    for row in element.iterfind(f"{W}tr"):
        before, after = page_breaks(row)
        pages.append(page + before)
        page += before + after
        cells = [""] * _span(row.find(f"{W}trPr/{W}gridBefore"), 0)
        for cell in row.iterfind(f"{W}tc"):
            merge = cell.find(f"{W}tcPr/{W}vMerge")
            above = merge is not None and merge.get(f"{W}val", "continue") == "continue"
            text = rows[-1][len(cells)] if above and rows and len(cells) < len(rows[-1]) else ""
            span = _span(cell.find(f"{W}tcPr/{W}gridSpan"), 1)
            if not rows:
                covered += range(len(cells) + 1, len(cells) + span)
            cells += [text or _cell_text(cell), *[""] * (span - 1)]
        rows.append(cells)
    text = table(rows, covered)
    shown = [number for row, number in zip(rows, pages, strict=True) if any(row)]
    if covered and text.count("\n") == len(shown) - 1:  # the first two rows are one header
        del shown[1]
    if is_table(text):
        shown.insert(1, shown[0])
    starts = accumulate((len(line) + 1 for line in text.split("\n")), initial=0)
    places = list(zip(starts, shown, strict=False))
    turns = [place for above, place in pairwise(places) if place[1] > above[1]]
    return Block(text, page=shown[0] if shown else page, turns=tuple(turns))


def _span(element: Any | None, least: int) -> int:
    """A number of columns."""
    value = element.get(f"{W}val", "") if element is not None else ""
    number = int(value) if value.isascii() and value.isdigit() else least
    return max(min(number, _MAX_SPAN), least)


def _cell_text(cell: Any) -> str:
    texts = (flat_lines(text_of(paragraph)) for paragraph in cell.iter(f"{W}p"))
    return " ".join(" ".join(texts).split())
