"""Sheets of cells as one text: each row a line, with the addresses of the cells it shows."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby

from ingest.documents import Document, Mark, Page, Scalar, Section
from ingest.errors import LoadError
from ingest.loaders.blocks import heading, table_row, with_one_header
from ingest.loaders.encoding import normalise
from ingest.loaders.registry import Source
from ingest.loaders.sections import sensible_title

MAX_CELLS = 5_000_000  # with text in them; about 1 GB as Python objects
MAX_COLUMN = 16_384  # XFD
MAX_TITLES = 3
_WIDE = 32  # columns; the line of dashes below the names of more takes a third of a passage
MAX_CHARACTERS = 100_000_000  # one shared string of 10 MB may stand in a million cells
_NUMBER = re.compile(r"[(\-+]?\W{0,3}\d[\d,.\s]*\W{0,3}\Z|\d{4}-\d\d-\d\d.*|\d+:\d\d.*")

Row = tuple[int, dict[int, str]]
Merge = tuple[int, int, int]  # column, first and last row of cells that are one, all from 1


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet: its rows that hold text, in order, as (number, {column: text}), both from 1.

    `notes` are comments as (address, text), `texts` what stands in shapes and charts; `covered`
    are, by row, the columns over which a cell to their left reaches.
    """

    name: str
    rows: Sequence[Row]
    hidden: bool = False
    notes: Sequence[tuple[str, str]] = ()
    texts: Sequence[str] = ()
    covered: Mapping[int, Collection[int]] = field(default_factory=dict)


class CellBudget:
    """Counts cells and characters; raises LoadError where a file holds more than memory does."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._cells = 0
        self._characters = 0

    def take(self, row: Mapping[int, str]) -> None:
        """A row more."""
        self._cells += len(row)
        self._characters += sum(map(len, row.values()))
        if self._cells > MAX_CELLS:
            raise LoadError(self._uri, f"holds more than {MAX_CELLS:,} cells: split it")
        if self._characters > MAX_CHARACTERS:
            raise LoadError(self._uri, f"holds more than {MAX_CHARACTERS:,} characters: split it")


def column_letters(column: int) -> str:
    """1 is A, 27 is AA."""
    letters = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


@lru_cache(maxsize=20_000)
def column_number(letters: str) -> int:
    """A is 1, AA is 27, at most 16,384."""
    number = 0
    for letter in letters[:3].upper():
        number = number * 26 + max(ord(letter) - 64, 0)
    return min(number, MAX_COLUMN)


def flat(text: str) -> str:
    """The text of a cell on one line."""
    if text.isascii() and text.isalnum():
        return text
    return " ".join(normalise(text).split())


def fill_merged(rows: list[Row], merges: Iterable[Merge], budget: CellBudget) -> None:
    """Write what is merged downwards into each of its rows that holds anything."""
    waiting = sorted((merge for merge in merges if merge[1] < merge[2]), key=lambda merge: merge[1])
    waiting.reverse()
    running: dict[int, tuple[int, str]] = {}  # column -> (last row, text)
    for index, (number, cells) in enumerate(rows):
        running = {column: one for column, one in running.items() if one[0] >= number}
        added = {column: text for column, (_, text) in running.items() if column not in cells}
        if added:
            budget.take(added)
            rows[index] = (number, cells | added)
        while waiting and waiting[-1][1] <= number:
            column, first, last = waiting.pop()
            if first == number and column in cells:
                running[column] = (last, cells[column])


def sheets_document(
    source: Source,
    sheets: Sequence[Sheet],
    *,
    title: str = "",
    quality: Mapping[str, Scalar] | None = None,
) -> Document:
    """The document of a workbook: a page for each sheet, hidden ones marked."""
    writer = _Writer()
    for number, sheet in enumerate(sheets, 1):
        if sheet.rows or sheet.notes or sheet.texts:
            writer.sheet(number, sheet)
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text="".join(writer.parts),
        title=sensible_title(flat(title)) or source.stem,
        media_type=source.media_type,
        pages=tuple(writer.pages),
        sections=tuple(writer.sections),
        marks=tuple(sorted(writer.marks, key=lambda mark: mark.start)),
        quality=dict(quality or {}),
    )


@dataclass(slots=True)
class _Writer:
    parts: list[str] = field(default_factory=list)
    length: int = 0
    pages: list[Page] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def sheet(self, number: int, sheet: Sheet) -> None:
        name = flat(sheet.name) or f"Sheet{number}"
        start = self.paragraph(heading(2, name))
        for rows in _tables(sheet.rows):
            self.table(name, _with_one_header(rows, sheet.covered))
        for text in sheet.texts:
            self.paragraph(text)
        for address, text in sheet.notes:
            self.paragraph(f"Comment on {name}!{address}: {flat(text)}")
        self.pages.append(Page(number, start, self.length, label=name))
        self.sections.append(Section(name, 2, start, self.length))
        if sheet.hidden:
            self.marks.append(Mark("hidden", start, self.length, label=name))

    def paragraph(self, text: str) -> int:
        """Add a block and return where it starts."""
        if self.length and text:
            self.write("\n\n")
        start = self.length
        self.write(text)
        return start

    def write(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)

    def table(self, name: str, rows: Sequence[Row]) -> None:
        """Rows, and the marks that say which cells their lines show."""
        columns = sorted({column for _, cells in rows for column in cells})
        lines = [_line([cells.get(column, "") for column in columns]) for _, cells in rows]
        left, right = column_letters(columns[0]), column_letters(columns[-1])
        start = self.paragraph("")
        if self.length:
            self.write("\n\n")
            start = self.length
        headed = len(rows) > 1 and len(columns) > 1
        begin = 0
        if headed:
            self.run(name, rows[:1], lines[:1], left, right)
            self.write("\n")
            below = self.length
            self.write(_line(["---"] * len(columns)) + "\n")
            if len(columns) > _WIDE:
                self.marks.append(Mark("boilerplate", below, self.length))
            begin = 1
        numbered = enumerate(rows[begin:], begin)
        runs = groupby(numbered, key=lambda item: item[1][0] - item[0])
        for index, (_, items) in enumerate(runs):
            places = [place for place, _ in items]
            if index:
                self.write("\n")
            span = slice(places[0], places[-1] + 1)
            self.run(name, rows[span], lines[span], left, right)
        if headed:
            self.marks.append(Mark("table", start, self.length, label=name))

    def run(
        self, name: str, rows: Sequence[Row], lines: Sequence[str], left: str, right: str
    ) -> None:
        """Rows that stand directly below each other in the sheet."""
        start = self.length
        self.write("\n".join(lines))
        address = f"{name}!{left}{rows[0][0]}:{right}{rows[-1][0]}"
        self.marks.append(Mark("rows", start, self.length, label=address))


def _with_one_header(rows: Sequence[Row], covered: Mapping[int, Collection[int]]) -> Sequence[Row]:
    """The rows, the first two as one where they are the header: it stands for the upper one."""
    reached = covered.get(rows[0][0], ())
    if not reached:
        return rows
    columns = sorted({column for _, cells in rows for column in cells}.union(reached))
    lines = [[cells.get(column, "") for column in columns] for _, cells in rows]
    joined = with_one_header(lines, [columns.index(column) for column in reached])
    if len(joined) == len(rows):
        return rows
    names = {column: name for column, name in zip(columns, joined[0], strict=True) if name}
    return [(rows[0][0], names), *rows[2:]]


def _line(cells: list[str]) -> str:
    """A row as a table's line; one column is a line of its own."""
    return cells[0] if len(cells) == 1 else table_row(cells)


def _tables(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Runs of rows, cut at empty ones; a run without a header of its own goes on with the last."""
    pending: list[Row] = []
    for run in _runs(rows):
        if pending and _continues(pending, run):
            pending += run
            continue
        yield from _without_titles(pending)
        pending = run
    yield from _without_titles(pending)


def _without_titles(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows, but single cells above them (a title, a unit) apart: they are no header."""
    titles = titles_above([len(cells) for _, cells in rows[: MAX_TITLES + 1]])
    if titles:
        yield rows[:titles]
    if rows:
        yield rows[titles:]


def titles_above(filled: Sequence[int]) -> int:
    """How many rows at the top stand above the header, by how many cells of each are filled.

    Up to `MAX_TITLES` of one cell (a title, a unit) or none, if a row of more follows.
    """
    return next((n for n, cells in enumerate(filled[: MAX_TITLES + 1]) if cells > 1), 0)


def _runs(rows: Iterable[Row]) -> Iterator[list[Row]]:
    run: list[Row] = []
    for row in rows:
        if run and row[0] != run[-1][0] + 1:
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def _continues(table: Sequence[Row], run: Sequence[Row]) -> bool:
    """One empty row in the middle of data does not end a table: no new header follows it."""
    if run[0][0] - table[-1][0] > 2:
        return False
    columns = {column for _, cells in table[:50] for column in cells}
    first = run[0][1]
    return set(first) <= columns and len(first) > 1 and any(map(_NUMBER.match, first.values()))
