"""Tables of a PDF page without ruled lines: which rows of pieces are one, and its cells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, starmap
from statistics import median

from ingest.loaders.pdf_pieces import Piece
from ingest.loaders.pdf_wrapping import wrapped

_MAX_CELL_LINES = 8
_MAX_LABEL = 60  # characters of a line alone between rows; longer ones are prose
_LOOK_BACK = 12  # rows of a table by which the next is judged
_CLOSE = 0.25  # of the height of a line, between lines of one cell
_CODE = re.compile(r"[;{}]$|^(?://|/\*|#|--)")
_FIGURE = re.compile(r"[^\W\d]{0,3}\W*\d[\d\W]*[^\W\d]{0,3}")  # a number with a unit
_LEADERS = re.compile(r"(?:\. ?){4,}|(?:… ?){2,}|·{4,}|_{4,}")


def run_end(rows: Sequence[Sequence[Piece]], start: int) -> int:
    """Where the rows that may be one table end: several pieces in each, no large gap between."""
    if not _row_of_cells(rows[start]) and not _leads(rows, start):
        return start + 1
    end = last = start + 1
    while end < len(rows):
        row = rows[end]
        if row[0].cells or _sets_off(rows[max(start, end - _LOOK_BACK) : end + 1]):
            break
        if _row_of_cells(row) or _leads(rows, end):
            last = end + 1
        elif _trails(rows, end, start):
            loose = _is_loose(rows[max(start, end - _LOOK_BACK) : end])
            last = end + 1 if loose else last
        elif end - last >= 2 or _larger(row, rows[start]) or len(row[0].text) > _MAX_LABEL:
            break
        end += 1
    return last


def columns_of(rows: Sequence[Sequence[Piece]]) -> list[tuple[float, float]]:
    """Left and right of the columns of a table with these rows."""
    return intervals([piece for row in rows if len(row) > 1 for piece in row])


def table_cells(
    rows: Sequence[Sequence[Piece]], columns: Sequence[tuple[float, float]]
) -> list[list[str]]:
    """The cells of a table without rules; [] where it is not certain that it is one."""
    if len(columns) < 2 or len(columns) > 30:
        return []
    lines: list[list[str]] = []
    together = 0
    for row in rows:
        cells = [""] * len(columns)
        for piece in row:
            number = column_of(columns, piece)
            together += bool(cells[number])
            cells[number] = f"{cells[number]} {piece.text}".strip()
        lines.append(cells)
    grid: list[list[str]] = []
    for block in _blocks(rows, lines):
        grid.append(lines[block[0]])
        for index in block[1:]:
            grid[-1] = [
                wrapped(one, two, full=_is_full(rows[index - 1], columns, number)) if two else one
                for number, (one, two) in enumerate(zip(grid[-1], lines[index], strict=True))
            ]
    full = sum(sum(map(bool, cells)) >= 2 for cells in grid)
    return grid if _certain(grid, full, together) else []


def under_headers(
    grid: list[list[str]], columns: list[tuple[float, float]]
) -> tuple[list[list[str]], list[tuple[float, float]]]:
    """The table with headers over their columns: cells may stand beside where theirs does."""
    bare = [not any(cells) for cells in zip(*grid[1:], strict=True)]
    for number in range(len(columns) - 2, -1, -1):
        both = slice(number, number + 2)
        if bool(grid[0][number]) != bool(grid[0][number + 1]) and bare[both].count(True) == 1:
            header = number if grid[0][number] else number + 1
            if bare[header]:
                grid = [[*row[:number], "".join(row[both]), *row[number + 2 :]] for row in grid]
                columns = [*columns[:number], (columns[number][0], columns[number + 1][1]),
                           *columns[number + 2 :]]  # fmt: skip
                bare[both] = [False]
    return grid, columns


def column_of(columns: Sequence[tuple[float, float]], piece: Piece) -> int:
    """The last column that begins where the piece does, or before."""
    return max(n for n, (left, _) in enumerate(columns) if n == 0 or left <= piece.left + 1)


def intervals(pieces: Sequence[Piece]) -> list[tuple[float, float]]:
    """The columns: stretches of x that pieces cover, with clear gaps between."""
    columns: list[list[float]] = []
    for piece in sorted(pieces, key=lambda piece: piece.left):
        if columns and piece.left < columns[-1][1] + 0.3 * piece.height:
            columns[-1][1] = max(columns[-1][1], piece.right)
        else:
            columns.append([piece.left, piece.right])
    return [(left, right) for left, right in columns]


def _sets_off(rows: Sequence[Sequence[Piece]]) -> bool:
    """Whether the last row is no more of the table above: further down than its rows are apart."""
    *above, row = rows
    height = row[0].height
    gap = _gap(above[-1], row)
    if gap > 2.5 * height or len(above) < 3:
        return gap > 2.5 * height
    usual = max(median(starmap(_gap, pairwise(above))), 0.0)
    if len(row) == 1:  # a heading, or the name of a group of rows
        return gap > usual + 0.5 * height and not _aligned(row, above)
    return gap > usual + 0.9 * height and not _aligned(row, above)


def _aligned(row: Sequence[Piece], rows: Sequence[Sequence[Piece]]) -> bool:
    """Whether most of a row begins or ends where the cells above do."""
    edges = [(p.left, p.right) for above in rows if len(above) > 1 for p in above]
    fit = (any(abs(p.left - a) < 3 or abs(p.right - b) < 3 for a, b in edges) for p in row)
    return 2 * sum(fit) > len(row)


def _larger(row: Sequence[Piece], other: Sequence[Piece]) -> bool:
    """Whether it is a heading between two tables."""
    return row[0].height > 1.15 * max(piece.height for piece in other)


def _leads(rows: Sequence[Sequence[Piece]], number: int) -> bool:
    """Whether the line is the first of a cell whose neighbours stand lower, centred in height."""
    row = rows[number]
    for below in range(number + 1, min(number + _MAX_CELL_LINES, len(rows))):
        gap = _gap(rows[below - 1], rows[below])
        if len(row) > 1 or row[0].cells or gap > _CLOSE * row[0].height:
            return False
        if _row_of_cells(rows[below]):
            beside = below == number + 1 and gap < -0.2 * row[0].height
            return beside or _in_column(row, rows[below])
        if rows[below][0].cells or abs(rows[below][0].left - row[0].left) > 2:
            return False
    return False


def _trails(rows: Sequence[Sequence[Piece]], number: int, start: int) -> bool:
    """Whether the line is a further one of a cell behind the first of its row."""
    row = rows[number]
    for above in range(number - 1, max(start, number - _MAX_CELL_LINES) - 1, -1):
        gap = _gap(rows[above], rows[above + 1])
        if len(row) > 1 or gap > _CLOSE * row[0].height:
            return False
        if _row_of_cells(rows[above]):
            beside = gap < -0.2 * row[0].height and len(row[0].text) <= _MAX_LABEL
            return beside or _in_column(row, rows[above])
        if abs(rows[above][0].left - row[0].left) > 2:
            return False
    return False


def _is_loose(rows: Sequence[Sequence[Piece]]) -> bool:
    """Whether rows stand further apart than the lines of a cell do: in an index they do not."""
    loose = tight = 0
    for above, row in pairwise(rows):
        apart = _gap(above, row) > _CLOSE * row[0].height
        loose += apart
        tight += not apart and _row_of_cells(above) and _row_of_cells(row)
    return loose > 0 and loose >= tight


def _in_column(row: Sequence[Piece], cells: Sequence[Piece]) -> bool:
    return any(abs(row[0].left - piece.left) <= 2 for piece in cells[1:])


def _row_of_cells(row: Sequence[Piece]) -> bool:
    if len(row) < 2 or any(piece.cells for piece in row):
        return False
    return not any(_LEADERS.search(piece.text) for piece in row)


def _gap(above: Sequence[Piece], row: Sequence[Piece]) -> float:
    return min(piece.top for piece in row) - max(piece.bottom for piece in above)


def _blocks(rows: Sequence[Sequence[Piece]], lines: Sequence[Sequence[str]]) -> list[Sequence[int]]:
    """Which lines of cells are one row of the table: those close below each other, if they can be.

    Where not, only a line without its first cell belongs to the one above, and none that has a
    figure below one of it: `Subtotal`, `VAT` and `Total` are three rows.
    """
    close = [0, *(_gap(one, two) < _CLOSE * two[0].height for one, two in pairwise(rows))]
    starts = [index for index, is_close in enumerate(close) if not is_close]
    loose = _is_loose(rows)
    blocks: list[Sequence[int]] = []
    for start, end in pairwise([*starts, len(rows)]):
        if loose and _is_one_row(lines[start:end]):
            blocks.append(range(start, end))
            continue
        heads = list(_heads(lines, start, end))
        blocks += [range(head, following) for head, following in pairwise([*heads, end])]
    return blocks


def _heads(lines: Sequence[Sequence[str]], start: int, end: int) -> Iterator[int]:
    """The first line of each row."""
    figures: set[int] = set()
    for index in range(start, end):
        own = {n for n, cell in enumerate(lines[index]) if _FIGURE.fullmatch(cell)}
        if index == start or lines[index][0] or figures & own:
            yield index
            figures = set()
        figures |= own


def _is_one_row(lines: Sequence[Sequence[str]]) -> bool:
    """Whether the lines may be the cells of one row: rows would be full or have figures."""
    if len(lines) > _MAX_CELL_LINES:
        return False
    filled = [any(cells) for cells in zip(*lines, strict=True)]
    whole = sum([*map(bool, cells)] == filled for cells in lines)
    figures = (
        sum(1 for cell in cells if _FIGURE.fullmatch(cell)) for cells in zip(*lines, strict=True)
    )
    return whole <= 1 and max(figures) <= 1


def _is_full(row: Sequence[Piece], columns: Sequence[tuple[float, float]], number: int) -> bool:
    """Whether the row's cell in this column ends near the column's end."""
    inside = [piece for piece in row if column_of(columns, piece) == number]
    return any(piece.right > columns[number][1] - 1.5 * piece.height for piece in inside)


def _certain(grid: Sequence[Sequence[str]], full: int, together: int) -> bool:
    """Whether cells make a table: not a chart, not a form, not prose with gaps.

    `full` rows have two cells at least; `together` pieces came into a cell that had one already.
    """
    cells = [cell for row in grid for cell in row if cell]
    if len(grid) < 3 or full < 3 or sum(1 for c in cells if _CODE.search(c)) > 0.2 * len(cells):
        return False
    share = len(cells) / (len(grid) * len(grid[0]))
    needed = 0.75 if len(grid[0]) == 2 else 0.4 if all(grid[0]) else 0.6
    middle = sorted(map(len, cells))[len(cells) // 2]
    return share >= needed and middle <= 40 and together <= 0.05 * len(cells)
