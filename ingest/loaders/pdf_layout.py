"""Reading order of a page's pieces, and its tables: columns one after the other, tables by rows.

A gutter is sought among the left edges that several pieces share: a column's lines begin at one
place. Pieces that reach across it part the page into bands; inside a band each side is read on its
own. Columns must be prose: short pieces side by side are the cells of a table, read by rows.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from ingest.loaders.pdf_gutters import parted
from ingest.loaders.pdf_pieces import Piece
from ingest.loaders.pdf_unruled import (
    column_of,
    columns_of,
    intervals,
    run_end,
    table_cells,
    under_headers,
)

_MIN_COLUMN_LINES = 4
_MIN_PROSE = 16  # characters in the middle line of a column; cells of tables are shorter
_FILLED = 0.7  # of the column's width, by the middle line; cells of tables differ more
_MAX_COLUMNS = 3
_MAX_DEPTH = 4
_MAX_PIECES = 5_000  # a page of more is a drawing: kept in its own order
_WIDE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_LABEL = re.compile(r"(?:[•●○◦▪■□–—*·-]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})[.)]?|\d+(?:\.\d+)+)")


@dataclass(slots=True)
class Line:
    """A line as it will stand in the text. `cells` is set on rows of a table that is certain."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    height: float
    cells: list[str] | None = None
    header: bool = False  # the first row of its table
    columns: Sequence[tuple[float, float]] = ()  # left and right of each, in rows of a table
    hidden: bool = False
    turned: bool = False  # written in another direction than the page: stamps at its side
    confidence: float = 1.0
    words: Sequence[tuple[float, float, str]] = ()  # left, right and text of each


def lines_of(pieces: Sequence[Piece]) -> list[Line]:
    """All pieces as lines in reading order; turned ones and hidden ones come last."""
    main = [piece for piece in pieces if not piece.hidden and not piece.turned]
    aside = [piece for piece in pieces if piece.hidden or piece.turned]
    lines = _flow(main, 0) if len(main) <= _MAX_PIECES else [_line([piece]) for piece in main]
    return lines + [_line([piece]) for piece in aside]


def _flow(pieces: Sequence[Piece], depth: int) -> list[Line]:
    if depth < _MAX_DEPTH and len(pieces) >= 2 * _MIN_COLUMN_LINES:
        gutter = _gutter(pieces) or _gutter(pieces, by_gaps=True)
        if gutter is None and (cut := parted(pieces)) and len(cut) > len(pieces):
            gutter = _gutter(cut)
            pieces = cut if gutter is not None else pieces
        if gutter is not None:
            lines: list[Line] = []
            bands = _bands(_from_top(pieces), gutter)
            for left, right in chain.from_iterable(_by_gaps(band, gutter) for band in bands):
                lines += _flow(left, depth + 1)
                lines += _flow(right, depth + 1)
            return lines
    return _by_rows(pieces)


def _gutter(pieces: Sequence[Piece], *, by_gaps: bool = False) -> float | None:
    """x of the gutter with most lines beside each other on both sides; None without columns.

    `by_gaps` looks for columns that are only a part of what stands beside each other.
    """
    leftmost = min(piece.left for piece in pieces)
    edges = Counter(round(piece.left / 4) for piece in pieces if piece.left > leftmost + 40)
    ordered = _from_top(pieces)
    best, found = 0, None
    for edge, count in edges.most_common(6):
        if count < _MIN_COLUMN_LINES // 2:
            break
        x = min(p.left for p in pieces if round(p.left / 4) in (edge, edge - 1, edge + 1)) - 0.5
        behind = sum(1 for p in pieces if p.left >= x)
        before = sum(1 for p in pieces if p.right - 1 <= x)
        if min(behind, before) < max(_MIN_COLUMN_LINES, best + 1):
            continue
        bands = _bands(ordered, x)
        bands = [part for band in bands for part in _by_gaps(band, x)] if by_gaps else bands
        beside = sum(
            min(len(left), len(right))
            for left, right in bands
            if right and _is_column(left) and _is_column(right)
        )
        if beside > best:
            best, found = beside, x
    return found


def _from_top(pieces: Sequence[Piece]) -> list[Piece]:
    return sorted(pieces, key=lambda piece: piece.top + piece.bottom)


def _bands(pieces: Sequence[Piece], x: float) -> list[tuple[list[Piece], list[Piece]]]:
    """(left, right) of each band between the pieces that reach across x; those stand alone.

    `pieces` are sorted from top to bottom.
    """
    merged: list[tuple[list[Piece], list[Piece]]] = []
    band: tuple[list[Piece], list[Piece]] = ([], [])
    for piece in pieces:
        if piece.left < x < piece.right - 1:
            _append_band(merged, band)
            _append_flow(merged, [piece])
            band = ([], [])
        else:
            band[piece.left >= x].append(piece)
    _append_band(merged, band)
    return merged


def _by_gaps(
    band: tuple[list[Piece], list[Piece]], x: float
) -> list[tuple[list[Piece], list[Piece]]]:
    """The band, or its columns apart from what stands above or below them with a gap: a table."""
    if min(map(len, band)) < _MIN_COLUMN_LINES:
        return [band]
    whole = all(map(_is_column, band))
    parts: list[list[Piece]] = []
    bottom = -math.inf
    for piece in sorted(chain(*band), key=lambda piece: piece.top):
        if not parts or piece.top - bottom > piece.height:
            parts.append([])
        parts[-1].append(piece)
        bottom = max(bottom, piece.bottom)
    found: list[tuple[list[Piece], list[Piece]]] = []
    for part in parts:
        left, right = [p for p in part if p.left < x], [p for p in part if p.left >= x]
        columns = whole or (_is_column(left) and _is_column(right))
        if _is_tabular(part) or not columns:
            _append_flow(found, part)
        elif found and found[-1][1]:
            found[-1][0].extend(left)
            found[-1][1].extend(right)
        else:
            found.append((left, right))
    return found if len(found) > 1 and any(right for _, right in found) else [band]


def _is_tabular(pieces: Sequence[Piece]) -> bool:
    """Whether most lines have more pieces than two columns of prose do."""
    rows = _rows(pieces)
    return len(rows) >= 3 and len(pieces) >= 2.5 * len(rows)


def _append_band(
    merged: list[tuple[list[Piece], list[Piece]]], band: tuple[list[Piece], list[Piece]]
) -> None:
    if band[0] and band[1] and not _on_lines_across(band, merged):
        before, columns, after = _trimmed(band)
        if before:
            _append_flow(merged, before)
        merged.append(columns)
        if after:
            _append_flow(merged, after)
    elif band[0] or band[1]:
        _append_flow(merged, [*band[0], *band[1]])


def _on_lines_across(
    band: tuple[list[Piece], list[Piece]], merged: list[tuple[list[Piece], list[Piece]]]
) -> bool:
    """Whether all of the band stands on the line of the piece above that reaches across."""
    if not merged or merged[-1][1]:
        return False
    last = merged[-1][0][-1]
    return all(_same_row(piece, last) for side in band for piece in side)


def _trimmed(
    band: tuple[list[Piece], list[Piece]],
) -> tuple[list[Piece], tuple[list[Piece], list[Piece]], list[Piece]]:
    """(header, columns, footer): a line far above or below both columns is of neither.

    Pieces are sorted from top to bottom.
    """
    left, right = list(band[0]), list(band[1])
    before: list[Piece] = []
    after: list[Piece] = []
    top, bottom = left[0].top, max(piece.bottom for piece in right)
    if len(right) > 1 and right[0].bottom < top and _far(right[0], right[1]):
        before.append(right.pop(0))
    if len(left) > 1 and left[-1].top > bottom and _far(left[-2], left[-1]):
        after.append(left.pop())
    return before, (left, right), after


def _far(above: Piece, below: Piece) -> bool:
    return below.top - above.bottom > min(above.height, below.height)


def _append_flow(merged: list[tuple[list[Piece], list[Piece]]], pieces: list[Piece]) -> None:
    """Pieces that are read by rows: with those before them if these are, too."""
    if merged and not merged[-1][1]:
        merged[-1][0].extend(pieces)
    else:
        merged.append((pieces, []))


def _is_column(pieces: Sequence[Piece]) -> bool:
    """Whether this is prose, or several columns of prose beside each other."""
    if len(pieces) < _MIN_COLUMN_LINES:
        return False
    columns = intervals(pieces)
    if len(columns) > _MAX_COLUMNS:
        return False
    sides: list[list[Piece]] = [[] for _ in columns]
    for piece in pieces:
        sides[column_of(columns, piece)].append(piece)
    return all(map(_is_prose, sides))


def _is_prose(pieces: Sequence[Piece]) -> bool:
    """Enough lines of one piece each, the middle one long, most of them as wide as the column."""
    rows = _rows(pieces)
    if len(rows) < _MIN_COLUMN_LINES or len(pieces) > 1.6 * len(rows):
        return False
    lengths = sorted(sum(map(_length, row)) for row in rows)
    widths = sorted(row[-1].right - row[0].left for row in rows)
    whole = max(p.right for p in pieces) - min(p.left for p in pieces)
    middle = len(rows) // 2
    return lengths[middle] >= _MIN_PROSE and widths[middle] >= _FILLED * whole


def _length(piece: Piece) -> int:
    return len(piece.text) + len(_WIDE.findall(piece.text))


def _same_row(one: Piece, two: Piece) -> bool:
    return abs(one.middle - two.middle) < 0.5 * min(one.bottom - one.top, two.bottom - two.top)


def _rows(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces that stand on one line, from left to right; the lines from top to bottom."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: (piece.middle, piece.index)):
        if rows and not piece.cells and not rows[-1][0].cells and _same_row(rows[-1][-1], piece):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [sorted(row, key=lambda piece: (piece.left, piece.index)) for row in rows]


def _by_rows(pieces: Sequence[Piece]) -> list[Line]:
    rows = [_joined_labels(row) for row in _rows(pieces)]
    lines: list[Line] = []
    start = 0
    while start < len(rows):
        end = run_end(rows, start)
        columns = columns_of(rows[start:end]) if end - start >= 3 else []
        cells = table_cells(rows[start:end], columns)
        if cells:
            cells, columns = under_headers(cells, columns)
            lines += _table_lines(cells, columns, rows[start:end])
        else:
            for row in rows[start:end]:
                table = row[0]
                lines += (
                    _table_lines(table.cells, table.columns, [row]) if table.cells else [_line(row)]
                )
        start = end
    return lines


def _joined_labels(row: list[Piece]) -> list[Piece]:
    """A bullet or a number belongs to the text behind it, however wide the gap."""
    if len(row) < 2 or not _LABEL.fullmatch(row[0].text) or row[0].cells:
        return row
    first, second = row[0], row[1]
    if len(row) > 2 or second.left - first.right > 4 * second.height or second.cells:
        return row
    line = _line([first, second])
    joined = Piece(line.text, first.left, line.top, second.right, line.bottom, second.height)
    joined.words, joined.index = first.words + second.words, first.index
    joined.confidence = line.confidence
    return [joined]


def _table_lines(
    cells: Sequence[list[str]],
    columns: Sequence[tuple[float, float]],
    rows: Sequence[Sequence[Piece]],
) -> list[Line]:
    pieces = [piece for row in rows for piece in row]
    left, right = min(p.left for p in pieces), max(p.right for p in pieces)
    top, bottom = min(p.top for p in pieces), max(p.bottom for p in pieces)
    height = sorted(p.height for p in pieces)[len(pieces) // 2]
    confidence = min(p.confidence for p in pieces)
    return [
        Line(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |",
            left, top, right, bottom, height,
            cells=row, header=number == 0, columns=columns, confidence=confidence,
        )
        for number, row in enumerate(cells)
    ]  # fmt: skip


def _line(row: Sequence[Piece]) -> Line:
    text = row[0].text
    for before, piece in pairwise(row):
        close = abs(piece.left - before.right) < 0.15 * piece.height
        text += piece.text if close else f" {piece.text}"
    return Line(
        text,
        min(p.left for p in row),
        min(p.top for p in row),
        max(p.right for p in row),
        max(p.bottom for p in row),
        max(row, key=lambda p: len(p.text)).height,
        hidden=row[0].hidden,
        turned=row[0].turned,
        confidence=min(p.confidence for p in row),
        words=row[0].words if len(row) == 1 else [word for piece in row for word in piece.words],
    )
