"""Rows of tables inside passages: where they are, their head, and how one reads as a statement.

A table is written with bars (`| a | b |`), or it is a passage of comma-separated lines with cell
addresses. The head of a table that began in an earlier passage is the passage's `context`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

from ingest.documents import Chunk
from retrieval.terms import analyse, stems

ASKED = 0.6  # share of a column's name that the question must say for the column to be meant
SAID = 0.5  # share of a cell's words that the question must say for it to tell the row
_RULE = re.compile(r"[ \t]*\|[ \t]*:?-+[\s|:-]*$", re.MULTILINE)
_SEPARATORS = ",;\t"
_NO_CELL = re.compile(r"[\r\n\0]+")  # what no line of separated values has
_BAR = re.compile(r"(?<!\\)\|")


def rows_without_bars(chunk: Chunk) -> list[tuple[int, int]]:
    """Spans of the rows of a passage of separated values; [] for any other passage."""
    if not chunk.cells or _separator(chunk) is None:
        return []
    spans, start = [], 0
    for line in chunk.text.split("\n"):
        first = start + len(line) - len(line.lstrip())
        end = start + len(line.rstrip())
        if first < end:
            spans.append((first, end))
        start += len(line) + 1
    return spans if chunk.context else spans[1:]


def head_of(chunk: Chunk, start: int) -> str:
    """The head of the table whose row begins at `start`; "" where there is none."""
    if _separator(chunk) is not None:
        return chunk.context or chunk.text.split("\n", 1)[0]
    if not chunk.text.startswith("|", start):
        return ""
    rules = [match.start() for match in _RULE.finditer(chunk.text, 0, start)]
    if rules and "\n\n" not in chunk.text[rules[-1] : start]:
        return chunk.text[: rules[-1]].rstrip("\n").rpartition("\n")[2]
    return chunk.context if chunk.context.lstrip().startswith("|") else ""


def read_row(row: str, head: str, question: str) -> str:
    """A row as a statement: its first cell, then `column: cell` for the columns asked about.

    Where the question names no column, all of them; columns without a name are cells alone.
    """
    cells, names = cells_of(row), cells_of(head)
    if len(names) != len(cells):
        return " — ".join(cell for cell in cells if cell)
    wanted = _wanted(cells, names, question)
    parts = [
        f"{name}: {cell}" if name and number else cell
        for number, (name, cell) in enumerate(zip(names, cells, strict=True))
        if cell and number in wanted
    ]
    return " — ".join(parts)


def cells_of(row: str) -> list[str]:
    """The cells of a row, with bars or separated values."""
    row = row.strip()
    if row.startswith("|"):
        inner = row[1:-1] if row.endswith("|") else row[1:]
        return [cell.strip().replace("\\|", "|") for cell in _BAR.split(inner)]
    line = _NO_CELL.sub(" ", row)
    return [cell.strip() for cell in next(csv.reader([line], delimiter=_likeliest(line)), [])]


def _wanted(cells: Sequence[str], names: Sequence[str], question: str) -> set[int]:
    """Numbers of the columns to show: the first, those asked about, those that tell the row."""
    asked = set(stems(analyse(question)))
    shares = [_share(name, asked) for name in names]
    best = max(shares[1:], default=0.0)
    if best < ASKED:  # or the question asks for what stands in the first column
        return set(range(len(cells)))
    meant = {number for number, share in enumerate(shares) if share >= best}
    telling = {number for number, cell in enumerate(cells) if _share(cell, asked) >= SAID}
    return {0} | meant | telling


def _share(text: str, asked: set[str]) -> float:
    terms = set(stems(analyse(text)))
    return len(terms & asked) / len(terms) if terms else 0.0


def _separator(chunk: Chunk) -> str | None:
    """What separates the values of a passage that has cells but no bars."""
    if not chunk.cells or chunk.text.lstrip().startswith("|") or _RULE.search(chunk.text):
        return None
    separator = _likeliest(chunk.context or chunk.text)
    return separator if separator in (chunk.context or chunk.text) else None


def _likeliest(text: str) -> str:
    return max(_SEPARATORS, key=text.count)
