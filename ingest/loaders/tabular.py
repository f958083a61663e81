"""CSV and its kin as they are: the delimiter, the header and the rows are found and marked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.documents import Document, Mark
from ingest.loaders.markdown import decode_source, quality_of
from ingest.loaders.media_types import TSV
from ingest.loaders.registry import Source
from ingest.loaders.sheets import MAX_TITLES, column_letters, titles_above

_DELIMITERS = ",\t;|"
_SAMPLE_LINES = 50
MAX_RECORD_LINES = 200  # a quote that stays open longer was none
_QUOTED = re.compile(r'"[^"]*"')
_SEPARATOR = re.compile(r"sep=([^\n])[ \t]*(?:\n|\Z)", re.I)  # how Excel is told the delimiter


@dataclass(frozen=True, slots=True)
class _Record:
    start: int
    end: int
    row: int


def load_csv(source: Source) -> Document:
    """A table in text form; `metadata` says how many rows and columns it has."""
    decoded = decode_source(source)
    text = decoded.text.replace("\f", " ")
    delimiter = delimiter_of(text, tab_first=source.media_type == TSV)
    marks, rows, columns = _marks(text, delimiter)
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=source.stem,
        media_type=source.media_type,
        metadata={"encoding": decoded.encoding, "rows": rows, "columns": columns},
        quality=quality_of(decoded),
        marks=marks,
        first_line=1,
    )


def delimiter_of(text: str, *, tab_first: bool = False) -> str:
    """The character that parts the cells: the one that occurs equally often in most lines."""
    if told := _SEPARATOR.match(text):
        return told[1]
    lines = [line for line in text[:200_000].split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES] if line]
    best, best_score = "\t" if tab_first else ",", 0.0
    for delimiter in _DELIMITERS:
        counts = Counter(_QUOTED.sub("", line).count(delimiter) for line in lines)
        del counts[0]
        if not counts:
            continue
        common, lines_alike = counts.most_common(1)[0]
        score = lines_alike / len(lines) + min(common, 20) / 1000
        score += 0.3 * (delimiter == "\t" and tab_first)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _marks(text: str, delimiter: str) -> tuple[tuple[Mark, ...], int, int]:
    """The table, its rows below the header, and how many rows and columns there are."""
    records = list(_records(text, delimiter))
    records = records[_titles(text, records[:_SAMPLE_LINES], delimiter) :]
    if not records:
        return (), 0, 0
    header = text[records[0].start : records[0].end]
    columns = _QUOTED.sub("", header).count(delimiter) + 1
    if len(records) < 2:
        return (), len(records), columns
    right = column_letters(columns)
    marks = [Mark("table", records[0].start, records[-1].end)]
    run: list[_Record] = []
    for record in records[1:]:
        long = "\n" in text[record.start : record.end]
        if run and (long or record.start != run[-1].end + 1):
            marks.append(_rows(run, right))
            run = []
        if long:
            marks.append(_rows([record], right))
        else:
            run.append(record)
    if run:
        marks.append(_rows(run, right))
    return tuple(marks), len(records), columns


def _titles(text: str, records: list[_Record], delimiter: str) -> int:
    """How many records stand above the header, which is as wide as most of the table."""
    lines = [_QUOTED.sub("x", text[record.start : record.end]) for record in records]
    titles = titles_above([_filled(line, delimiter) for line in lines[: MAX_TITLES + 1]])
    width = lines[titles].count(delimiter) if titles else 0
    alike = sum(line.count(delimiter) == width for line in lines[titles:])
    return titles if 2 * alike > len(lines) - titles else 0


def _filled(line: str, delimiter: str) -> int:
    return sum(bool(cell.strip()) for cell in line.split(delimiter))


def _rows(run: list[_Record], right: str) -> Mark:
    label = f"A{run[0].row}:{right}{run[-1].row}"
    return Mark("rows", run[0].start, run[-1].end, label)


def _records(text: str, delimiter: str) -> Iterator[_Record]:
    """Lines of the table; a quoted cell may hold line breaks, an unclosed quote may not."""
    lines = text.split("\n")
    index, offset, row = 0, 0, 0
    if _SEPARATOR.match(text):  # to Excel no row of the table
        index, offset = 1, len(lines[0]) + 1
    while index < len(lines):
        start, first = offset, index
        line = lines[index]
        offset += len(line) + 1
        index += 1
        row += 1
        if line.count('"') % 2 and (f'{delimiter}"' in line or line.lstrip().startswith('"')):
            closing = _closing(lines, index)
            if closing:
                offset += sum(len(line) + 1 for line in lines[index:closing])
                index = closing
        if index - first > 1 or line.strip():
            yield _Record(start, offset - 1, row)


def _closing(lines: list[str], first: int) -> int:
    """The line after the one that closes the quote; 0 where none does within reach."""
    for index in range(first, min(first + MAX_RECORD_LINES, len(lines))):
        if lines[index].count('"') % 2:
            return index + 1
    return 0
