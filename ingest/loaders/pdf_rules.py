"""The straight lines drawn on a PDF page, and the ruled tables that they make."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.loaders.blocks import with_one_header
from ingest.loaders.pdf_pieces import Piece, turned
from ingest.loaders.pdf_raw import ADDRESS, address, direct
from ingest.loaders.pdf_wrapping import wrapped

_MAX_OBJECTS = 5_000  # of a page: maps and charts have more, tables fewer
_MAX_SEGMENTS = 4_000
_NEAR = 3.0  # points between lines that are meant to be one, or to meet
_SHORTEST = 6.0
_MAX_REPEATED = 60  # characters of a cell over several rows; more is no name of what is in them
_MATRIX = pdfium.FS_MATRIX()  # it and the point are filled by PDFium; used under the lock only
_MATRIX_PLACE = ctypes.addressof(_MATRIX)
_POINT = (ctypes.c_float * 2)()
_POINT_PLACES = [ctypes.addressof(_POINT) + 4 * number for number in range(2)]


Edges = tuple[float, float]  # left and right of a column, top and bottom of a row


@dataclass(frozen=True, slots=True)
class Rule:
    """A horizontal (top == bottom) or vertical (left == right) line, as it is read."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def horizontal(self) -> bool:
        return self.right - self.left >= self.bottom - self.top


def rules_of(page: pypdfium2.PdfPage, turn: int) -> list[Rule]:
    """Straight lines and edges of rectangles; [] on pages with more drawing than tables have."""
    count = pdfium.FPDFPage_CountObjects(page.raw)
    if not 0 < count <= _MAX_OBJECTS:
        return []
    object_at = direct("FPDFPage_GetObject", ADDRESS, ADDRESS, ctypes.c_int)
    type_of = direct("FPDFPageObj_GetType", ctypes.c_int, ADDRESS)
    handle = address(page.raw)
    rules: list[Rule] = []
    for index in range(count):
        item = object_at(handle, index)
        if type_of(item) == pdfium.FPDF_PAGEOBJ_PATH:
            rules += _path_rules(item, turn)
            if len(rules) > _MAX_SEGMENTS:
                return []
    return rules


def with_tables(pieces: Sequence[Piece], rules: Sequence[Rule]) -> list[Piece]:
    """The pieces, those inside a ruled table replaced by one piece that holds its cells."""
    kept = list(pieces)
    for grid in _grids(rules):
        columns = _merged(r.left for r in grid if not r.horizontal)
        rows = _merged(r.top for r in grid if r.horizontal)
        if len(columns) < 3 or len(rows) < 3:
            continue
        box = (columns[0], rows[0], columns[-1], rows[-1])
        inside = [piece for piece in kept if not piece.hidden and _inside(piece, box)]
        cells, kept_columns, kept_rows = _cells(inside, columns, rows, grid)
        if _sure(cells):
            chosen = {id(piece) for piece in inside}
            kept = [piece for piece in kept if id(piece) not in chosen]
            _repeat_downwards(cells, kept_columns[0], kept_rows, grid)
            cells = with_one_header(cells, _reached(sum(kept_rows[0]) / 2, kept_columns, grid))
            kept.append(_table(cells, kept_columns, box, inside))
    return kept


def _path_rules(handle: int | None, turn: int) -> Iterator[Rule]:
    count = direct("FPDFPath_CountSegments", ctypes.c_int, ADDRESS)(handle)
    if not 1 < count <= _MAX_SEGMENTS:
        return
    segment_at = direct("FPDFPath_GetPathSegment", ADDRESS, ADDRESS, ctypes.c_int)
    point_of = direct("FPDFPathSegment_GetPoint", ctypes.c_int, ADDRESS, ADDRESS, ADDRESS)
    type_of = direct("FPDFPathSegment_GetType", ctypes.c_int, ADDRESS)
    is_closed = direct("FPDFPathSegment_GetClose", ctypes.c_int, ADDRESS)
    direct("FPDFPageObj_GetMatrix", ctypes.c_int, ADDRESS, ADDRESS)(handle, _MATRIX_PLACE)
    a, b, c, d, e, f = (getattr(_MATRIX, name) for name in "abcdef")
    start = previous = (0.0, 0.0)
    for index in range(count):
        segment = segment_at(handle, index)
        if not segment or not point_of(segment, *_POINT_PLACES):
            return
        x, y = _POINT
        point = turned(turn, a * x + c * y + e, b * x + d * y + f)
        kind = type_of(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            start = point
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            yield from _rule(previous, point)
            if is_closed(segment):
                yield from _rule(point, start)
        elif kind == pdfium.FPDF_SEGMENT_BEZIERTO:  # a drawing
            return
        previous = point


def _rule(one: tuple[float, float], two: tuple[float, float]) -> Iterator[Rule]:
    width, height = abs(one[0] - two[0]), abs(one[1] - two[1])
    if min(width, height) <= 1.0 and max(width, height) >= _SHORTEST:
        left, right = sorted((one[0], two[0]))
        top, bottom = sorted((one[1], two[1]))
        yield Rule(left, top, right, bottom)


def _grids(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Rules that meet each other, in groups."""
    groups: list[tuple[list[float], list[Rule]]] = []
    for rule in sorted(rules, key=lambda rule: (rule.top, rule.left)):
        box = [rule.left, rule.top, rule.right, rule.bottom]
        members = [rule]
        rest = []
        for other, others in groups:
            if _meet(box, other):
                box = [*map(min, box[:2], other[:2]), *map(max, box[2:], other[2:])]
                members = others + members
            else:
                rest.append((other, others))
        groups = [*rest, (box, members)]
    return [members for _, members in groups if len(members) >= 5]


def _meet(one: Sequence[float], two: Sequence[float]) -> bool:
    return (
        one[0] <= two[2] + _NEAR
        and two[0] <= one[2] + _NEAR
        and one[1] <= two[3] + _NEAR
        and two[1] <= one[3] + _NEAR
    )


def _merged(places: Iterator[float]) -> list[float]:
    merged: list[float] = []
    for place in sorted(places):
        if not merged or place - merged[-1] > 1.5 * _NEAR:
            merged.append(place)
    return merged


def _inside(piece: Piece, box: tuple[float, float, float, float]) -> bool:
    x = (piece.left + piece.right) / 2
    return box[0] <= x <= box[2] and box[1] <= piece.middle <= box[3] and not piece.turned


def _cells(
    pieces: Sequence[Piece], columns: Sequence[float], rows: Sequence[float], rules: Sequence[Rule]
) -> tuple[list[list[str]], list[Edges], list[Edges]]:
    """Texts by row and column, lines from top to bottom; the edges of the columns and rows.

    A word belongs to the cell between the lines that really stand beside it: a cell that reaches
    over several columns or rows is the first of them.
    """
    upright = [rule for rule in rules if not rule.horizontal]
    level = [rule for rule in rules if rule.horizontal]
    words: dict[tuple[int, int], list[tuple[float, float, float, str]]] = {}
    for piece in pieces:
        y = piece.middle
        walls = [rule.left for rule in upright if rule.top - _NEAR <= y <= rule.bottom + _NEAR]
        for left, right, text in piece.words:
            x = (left + right) / 2
            floors = [r.top for r in level if r.left - _NEAR <= x <= r.right + _NEAR]
            place = (
                _slot(rows, _before(floors, y, rows)),
                _slot(columns, _before(walls, x, columns)),
            )
            words.setdefault(place, []).append((y, left, right, text))
    grid = [["" for _ in columns[1:]] for _ in rows[1:]]
    for (row, column), found in words.items():
        grid[row][column] = _flowed(found, columns[column], columns[column + 1])
    heights = [edges for edges, row in zip(pairwise(rows), grid, strict=True) if any(row)]
    grid = [row for row in grid if any(row)]
    filled = [any(row[number] for row in grid) for number in range(len(columns) - 1)]
    cells = [[cell for cell, full in zip(row, filled, strict=True) if full] for row in grid]
    widths = [edges for edges, full in zip(pairwise(columns), filled, strict=True) if full]
    return cells, widths, heights


def _reached(middle: float, columns: Sequence[Edges], rules: Sequence[Rule]) -> list[int]:
    """The columns into which a cell of the row at `middle` reaches from the left."""
    walls = [
        rule.left
        for rule in rules
        if not rule.horizontal and rule.top - _NEAR <= middle <= rule.bottom + _NEAR
    ]
    edges = ((number, left) for number, (left, _) in enumerate(columns) if number)
    return [n for n, left in edges if not _is_drawn(left, walls)]


def _repeat_downwards(
    cells: list[list[str]], column: Edges, rows: Sequence[Edges], rules: Sequence[Rule]
) -> None:
    """What stands in a cell of the first column that is drawn over several rows is in each."""
    x = sum(column) / 2
    floors = [r.top for r in rules if r.horizontal and r.left - _NEAR <= x <= r.right + _NEAR]
    drawn = [_is_drawn(top, floors) for top, _ in rows] + [_is_drawn(rows[-1][1], floors)]
    first = 0
    for number in range(1, len(cells) + 1):
        if not drawn[number]:
            continue
        text = cells[first][0]
        alone = not any(row[0] for row in cells[first + 1 : number])
        if drawn[first] and alone and len(text) <= _MAX_REPEATED:
            for row in cells[first + 1 : number]:
                row[0] = text
        first = number


def _is_drawn(edge: float, lines: Sequence[float]) -> bool:
    return any(abs(line - edge) <= 1.5 * _NEAR for line in lines)


def _before(lines: Sequence[float], place: float, edges: Sequence[float]) -> float:
    """Just behind the last of the lines before `place`."""
    return max((line for line in lines if line <= place), default=edges[0]) + 1.5 * _NEAR


def _flowed(words: list[tuple[float, float, float, str]], left: float, right: float) -> str:
    """The words (middle, left, right, text) of the cell between `left` and `right` in lines."""
    lines: list[list[tuple[float, float, float, str]]] = []
    for word in sorted(words, key=lambda word: word[0]):
        if lines and word[0] - lines[-1][-1][0] < _NEAR:
            lines[-1].append(word)
        else:
            lines.append([word])
    right = max(right, *(word[2] for word in words))  # of a cell that reaches over columns
    flowed, full = "", False
    for line in lines:
        line.sort(key=lambda word: word[1])
        flowed = wrapped(flowed, " ".join(word[3] for word in line), full=full)
        start, end = line[0][1], line[-1][2]
        letter = (end - start) / sum(len(word[3]) for word in line)
        full = right - end < min(max(start - left, 0.0), letter) + 1.5 * letter
    return flowed


def _slot(edges: Sequence[float], place: float) -> int:
    inner = sum(1 for edge in edges[1:-1] if edge <= place)
    return min(inner, len(edges) - 2)


def _sure(cells: Sequence[Sequence[str]]) -> bool:
    """At least two rows and columns, more than half of the cells filled: no frame, no chart."""
    if len(cells) < 2 or len(cells[0]) < 2:
        return False
    filled = sum(1 for row in cells for cell in row if cell)
    places = len(cells) * len(cells[0])
    return filled > 0.5 * places if places >= 6 else filled == places


def _table(
    cells: list[list[str]],
    columns: list[tuple[float, float]],
    box: tuple[float, float, float, float],
    inside: Sequence[Piece],
) -> Piece:
    left, top, right, bottom = box
    height = sorted(piece.height for piece in inside)[len(inside) // 2]
    return Piece("", left, top, right, bottom, height, cells=cells, columns=columns)
