"""Blocks of a rendered document: how HTML and Office files become one Markdown-like text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

_FENCE = re.compile(r"^`{3,}", re.M)
_VALUE = re.compile(r"\W{0,3}\d[\d.,\s]{0,30}\W{0,3}")
_YEAR = re.compile(r"(?:19|20)\d\d")
_HEADING = re.compile(r"#{1,6} \S.*")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together. Neighbours of one `group` (not 0) stand without a blank line.

    `page` is the page it starts on, None where the file does not say; `turns` are the later pages
    in it: (offset in the text, number). `is_heading` where `heading`
    wrote the first line: text may look like a heading and be none.
    """

    text: str
    group: int = 0
    page: int | None = None
    is_heading: bool = False
    turns: tuple[tuple[int, int], ...] = ()


def join_blocks(blocks: Iterable[Block]) -> tuple[str, list[tuple[int, Block]]]:
    """The text of the blocks, blank lines between them, and where each block starts in it."""
    parts: list[str] = []
    starts: list[tuple[int, Block]] = []
    length, group = 0, 0
    for block in blocks:
        if not block.text.strip():
            continue
        gap = "" if not parts else "\n" if group and block.group == group else "\n\n"
        starts.append((length + len(gap), block))
        parts += (gap, block.text)
        length += len(gap) + len(block.text)
        group = block.group
    return "".join(parts), starts


def heading(level: int, text: str) -> str:
    """`## text`, the level held within 1..6; "" for a heading without words."""
    flat = " ".join(text.split())
    return f"{'#' * min(max(level, 1), 6)} {flat}" if flat else ""


def headed(level: int, text: str, page: int | None = None) -> Block:
    """The block of a heading."""
    return Block(heading(level, text), page=page, is_heading=True)


def markdown_blocks(text: str) -> list[Block]:
    """The paragraphs of Markdown that another reader wrote."""
    parts = text.split("\n\n")
    return [Block(part, is_heading=bool(_HEADING.fullmatch(part.strip()))) for part in parts]


def around_headings(blocks: Iterable[Block]) -> Iterator[Block]:
    """The headings as they are, and what stands between two of them as one block."""
    for is_heading, run in groupby(blocks, key=lambda block: block.is_heading):
        if is_heading:
            yield from run
        else:
            yield Block(join_blocks(run)[0])


def fenced(code: str, language: str = "") -> str:
    """A fenced code block whose fence is longer than any inside."""
    code = "\n".join(line.rstrip() for line in code.split("\n")).strip("\n")
    longest = max((len(match) for match in _FENCE.findall(code)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code}\n{fence}" if code.strip() else ""


def table(rows: Sequence[Sequence[str]], covered: Collection[int] = ()) -> str:
    r"""Rows as `| a | b |`, a separator under the first; empty rows and columns are left out.

    A bar within a cell is written `\|`. A table of one column is no table: its cells are lines.
    `covered` are columns of the first row over which a cell to their left reaches.
    """
    width = max((len(row) for row in rows), default=0)
    square = [[*row, *[""] * (width - len(row))] for row in rows if any(row)]
    if covered and rows[0] and any(rows[0]):
        square = with_one_header(square, covered)
    kept = [column for column in range(width) if any(row[column] for row in square)]
    lines = [[row[column] for column in kept] for row in square]
    if len(kept) < 2:
        return "\n".join(cell for line in lines for cell in line)
    rendered = [table_row(line) for line in lines]
    return "\n".join([rendered[0], table_row(["---"] * len(kept)), *rendered[1:]])


def with_one_header(rows: list[list[str]], covered: Collection[int]) -> list[list[str]]:
    """The rows, the first two as one where the first groups the columns that the second names.

    The second is no row of data where it has no numbers and the rows below it have some, and what
    is beside the groups says nothing else in it: in a form it does. A cell over all columns is the
    title of the table: it stands in the first column alone.
    """
    if len(rows) < 3:
        return rows
    top, names = rows[0], rows[1]
    open_columns = {*covered, *(column - 1 for column in covered)}
    if not all(names[column] for column in open_columns) or any(map(_is_value, names)):
        return rows
    beside = [pair for n, pair in enumerate(zip(top, names, strict=True)) if n not in open_columns]
    if any(above and name and above != name for above, name in beside):
        return rows
    if not any(_is_value(row[column]) for row in rows[2:] for column in open_columns):
        return rows
    title = {*range(1, len(top))} <= {*covered}
    header: list[str] = []
    group = ""
    for column, (above, name) in enumerate(zip(top, names, strict=True)):
        group = group if column in covered else above
        said = "" if name == group or (title and column) else group
        header.append(f"{said} {name}".strip())
    return [header, *rows[2:]]


def _is_value(cell: str) -> bool:
    """Whether a cell holds a number that is no year."""
    return bool(_VALUE.fullmatch(cell)) and not _YEAR.fullmatch(cell)


def is_table(text: str) -> bool:
    """True for what `table` wrote; code and quotes may begin with `|` too."""
    head, _, rest = text.partition("\n")
    return head.startswith("| ") and rest.startswith("| ---")


def table_row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
