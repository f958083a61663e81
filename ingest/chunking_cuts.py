"""Where a document may be cut: at which lines, and what a cut there costs.

A price below 0.5 is a good place (a heading, a paragraph), about 1 a poor one (between the lines of
a paragraph), 3 one that is taken only where the alternative is to cut inside a line.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.chunking_packing import Cut
from ingest.documents import Document, Section
from ingest.loaders.media_types import (
    DOCX,
    EPUB,
    FLAT_OPEN,
    IPYNB,
    JSON,
    JSONL,
    MHTML,
    ODT,
    PDF,
    PPTX,
    SOURCE_CODE,
    XML,
    YAML,
)

MARKDOWN_TYPES = frozenset({"text/markdown", "text/html", DOCX})  # their canonical text is Markdown
_ALL_HEADINGS = ("html/", "docx/")  # parsers of ours that tell every heading that there is
CODE_TYPES = frozenset(f"text/x-{language}" for language in SOURCE_CODE)
_FENCED_TYPES = MARKDOWN_TYPES | {EPUB, FLAT_OPEN, IPYNB, MHTML, ODT, PDF, PPTX}
_INDENTED_TYPES = CODE_TYPES | {JSON, YAML, XML}  # what belongs together is indented alike

_NEVER = 3.0
_SHEET = -2.0  # always: a sheet has nothing to do with the one before it
_HEADING, _DEEPER = 0.0, 0.05  # a heading of level 1, and more for each level below
_PARAGRAPH, _LINE, _LINE_AFTER_STOP = 0.35, 1.0, 0.75
_ITEM_AFTER_BLANK, _ITEM, _INNER_ITEM = 0.4, 0.5, 0.8
_TABLE, _ROW = 0.4, 0.6
_LEAD_IN = 0.6  # more where the line before ends with a colon: it belongs to what follows
_IN_FUNCTION = 1.0  # more: two functions half full each before one and a half
_DEPTHS = 6  # levels of indentation that are told apart

_ITEM_START = re.compile(r"(?:[-*+•·]|\d{1,3}[.)、]|[(（][\da-zA-Z]{1,3}[)）]|[a-z][.)])(?:\s|$)")
_QUESTION = re.compile(r"(?:Q|问|問|Question|问题|問題)\s?\d{0,3}\s?[:：.、)]", re.I)
_ANSWER = re.compile(r"(?:A|答|Answer|答案)\s?\d{0,3}\s?[:：.、)]", re.I)
_LONG_LINE = 200  # characters of JSON
_RECORD = re.compile(r"[}\]],(?=\s*[{\[])")
_FIELD = re.compile(r',(?=\s*"[^"\n]{1,80}"\s*:)')
_FENCE = re.compile(r"`{3,}[^`]*\Z|~{3,}")  # with a backtick behind it, ``` is inline code
_SEPARATOR = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?\Z")
_CLOSERS = frozenset("})]")
_CLOSING_WORDS = ("end", "</", "else", "elif", "except", "finally", "catch", "fi", "done", "esac")


@dataclass(frozen=True, slots=True)
class Table:
    """The header line of a table (`start:header_end`) and the end of its rows."""

    start: int
    header_end: int
    body: int
    end: int

    def header_tokens(self, starts: Sequence[int]) -> int:
        """Tokens of the header; one more, as it may begin or end inside of one."""
        return bisect_left(starts, self.header_end) - bisect_left(starts, self.start) + 1


@dataclass(frozen=True, slots=True)
class Piece:
    """Cells `start:end` of a row that is too wide for a chunk, and what is said along with them."""

    start: int
    end: int
    context: str
    tokens: int  # of the context


@dataclass(frozen=True, slots=True)
class Layout:
    """How a document is built: where it may be cut, its headings, its tables."""

    text: str
    cuts: list[Cut]
    sections: tuple[Section, ...]
    tables: list[Table]
    is_code: bool
    pieces: Sequence[Piece] = ()

    def piece_at(self, offset: int) -> Piece | None:
        """The piece of a wide row that holds the character at `offset`."""
        index = bisect_left(self.pieces, offset + 1, key=lambda piece: piece.start) - 1
        piece = self.pieces[index] if index >= 0 else None
        return piece if piece and offset < piece.end else None

    def table_at(self, offset: int) -> Table | None:
        """The table whose rows (header aside) go on at `offset`."""
        index = bisect_left(self.tables, offset, key=lambda table: table.start) - 1
        table = self.tables[index] if index >= 0 else None
        return table if table and table.body <= offset < table.end else None

    def reserved(self, starts: Sequence[int], capacity: int) -> dict[int, int]:
        """Tokens that the context of a chunk takes which begins at a cut, by offset."""
        if not self.tables:
            return {}
        found: dict[int, int] = {}
        for cut in self.cuts:
            if table := self.table_at(cut.offset):
                tokens = table.header_tokens(starts)
                found[cut.offset] = tokens if tokens <= capacity // 2 else 0
        found |= {piece.start: piece.tokens for piece in self.pieces}
        return found


def layout_of(document: Document, omitted: Sequence[tuple[int, int]] = ()) -> Layout:
    """The layout of `document`, from its sections, marks and lines.

    A table whose header lies in an `omitted` span has none to repeat.
    """
    sections = document.sections
    told = document.parser.startswith(_ALL_HEADINGS)
    if not sections and document.media_type in MARKDOWN_TYPES and not told:
        from ingest.loaders.sections import sections_of

        sections = sections_of(document.text)
    reader = _Reader(document, sections)
    reader.read()
    return Layout(
        document.text,
        reader.cuts,
        sections,
        [table for table in reader.tables if not _overlap(table, omitted)],
        document.media_type in CODE_TYPES,
    )


def _overlap(table: Table, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start < table.header_end and table.start < end for start, end in spans)


class _Reader:
    """Goes through the lines once and prices the beginning of each."""

    def __init__(self, document: Document, sections: Sequence[Section]) -> None:
        self.cuts: list[Cut] = []
        self.tables: list[Table] = []
        self._text = document.text
        self._levels = {section.start: section.level for section in reversed(sections)}
        self._sheets = {page.start for page in document.pages if page.label}
        self._indented = document.media_type in _INDENTED_TYPES
        self._records = document.media_type == JSONL
        self._fenced = document.media_type in _FENCED_TYPES
        self._json = document.media_type in (JSON, JSONL)
        self._functions = document.media_type in CODE_TYPES
        self._marks = _table_marks(document)
        self._rows = _row_marks(document)
        self._fence = ""
        self._header: tuple[int, int] | None = None  # the first line of a table in `|` form
        self._table: tuple[int, int, int] | None = None

    def read(self) -> None:
        """Fill `cuts` and `tables`."""
        blank, before, before_kind, offset = False, "", "", 0
        for line in self._text.split("\n"):
            stripped = line.strip()
            if not stripped:
                blank = True
                offset += len(line) + 1
                if before_kind in ("table", "header"):
                    self._end_table(offset)
                    before_kind = "text"
                continue
            kind = self._kind(stripped, offset)
            if kind not in ("table", "header") and before_kind in ("table", "header"):
                self._end_table(offset)
            kind = self._in_table(kind, before_kind, stripped, offset, len(line))
            if before:
                price = self._price(line, stripped, offset, kind, before, before_kind, blank)
                self.cuts.append(Cut(offset, price))
            if self._json and len(line) > _LONG_LINE:
                self._within_records(line, offset)
            blank, before, before_kind = False, stripped, kind
            offset += len(line) + 1
        self._end_table(len(self._text))
        self._from_marks()

    def _within_records(self, line: str, offset: int) -> None:
        """Between the objects of JSON that stand on one line, and between their fields."""
        for pattern, price in ((_RECORD, _ROW), (_FIELD, _INNER_ITEM)):
            self.cuts += [Cut(offset + found.end(), price) for found in pattern.finditer(line)]

    def _kind(self, stripped: str, offset: int) -> str:
        first = stripped[0]
        if offset in self._levels:
            self._fence = ""  # no heading stands in code: what looked like a fence was none
            return "heading"
        if first in "`~" and self._fenced and _FENCE.match(stripped):
            mark = stripped[: len(stripped) - len(stripped.lstrip(first))]
            if not self._fence:
                self._fence = mark
                return "fence"
            if stripped == mark and mark.startswith(self._fence):
                self._fence = ""
                return "unfence"
            return "code"
        if self._fence:
            return "code"
        if first == "|":
            return "table"
        if self._indented:
            return "code"
        if first in "-*+•·(（0123456789abcdefghijklmnopqrstuvwxyz" and _ITEM_START.match(stripped):
            return "item"
        if first in "QqAa问問答" and len(stripped) > 2:
            if _QUESTION.match(stripped):
                return "question"
            if _ANSWER.match(stripped):
                return "answer"
        return "text"

    def _in_table(self, kind: str, before: str, stripped: str, offset: int, length: int) -> str:
        """`kind`, told apart for the first lines of a table; remembers where its header is."""
        if kind != "table":
            return kind
        if before not in ("table", "header"):
            self._header, self._table = (offset, offset + length), None
            return "header"
        if before == "header" and self._header and _SEPARATOR.match(stripped[:2000]):
            self._table = (*self._header, offset + length + 1)
            return "header"
        return "table"

    def _end_table(self, end: int) -> None:
        if self._table and self._table[2] < end:
            start, header_end, body = self._table
            self.tables.append(Table(start, header_end, body, end))
        self._header = self._table = None

    def _price(
        self,
        line: str,
        stripped: str,
        offset: int,
        kind: str,
        before: str,
        before_kind: str,
        blank: bool,
    ) -> float:
        if offset in self._sheets:
            return _SHEET
        if kind == "heading":
            if before_kind == "heading" and not self._indented:
                return 1.5
            return _HEADING + _DEEPER * min(self._levels[offset], _DEPTHS)
        if before_kind == "heading" and not self._indented:
            return _NEVER
        if kind == "table":
            return _NEVER if before_kind == "header" else _ROW
        if kind == "header":
            return _NEVER if before_kind == "header" else _TABLE + _LEAD_IN * (before[-1] in ":：")
        if kind == "code":
            return self._price_in_code(line, stripped, before_kind, blank)
        if kind == "unfence":
            return _NEVER
        if self._records:
            return _PARAGRAPH
        extra = _LEAD_IN if before[-1] in ":：" else 0.0
        if before_kind == "question":
            extra += 0.3
        if kind == "answer":
            return _NEVER / 2
        if kind == "question":
            return 0.15
        if kind == "item":
            if line[0] in " \t\u3000":
                return _INNER_ITEM + extra
            return (_ITEM_AFTER_BLANK if blank else _ITEM) + extra
        if blank:
            return _PARAGRAPH + extra + (0.3 if line[0] in " \t" else 0.0)
        return (_LINE_AFTER_STOP if before[-1] in ".。!！?？;；" else _LINE) + extra

    def _price_in_code(self, line: str, stripped: str, before_kind: str, blank: bool) -> float:
        if before_kind == "fence":
            return _NEVER
        depth = min((len(line) - len(line.lstrip(" \t"))) // 2, _DEPTHS)
        if line[0] == "\t":
            depth = min(len(line) - len(line.lstrip("\t")), _DEPTHS)
        if stripped[0] in _CLOSERS or stripped.startswith(_CLOSING_WORDS):
            return _NEVER
        inside = _IN_FUNCTION if self._functions and depth else 0.0
        return (0.45 if blank else 0.9) + 0.1 * depth + inside

    def _from_marks(self) -> None:
        """Rows of marked tables: their header, and no cut inside a row of several lines."""
        if not self._marks and not self._rows:
            return
        known = {table.start for table in self.tables}
        self.tables += [table for table in self._marks if table.start not in known]
        self.tables.sort(key=lambda table: table.start)
        layout = Layout(self._text, [], (), self.tables, is_code=False)
        starts = [start for start, _ in self._rows]
        inside: list[Cut] = []
        for cut in self.cuts:
            price = cut.price
            index = bisect_left(starts, cut.offset + 1) - 1
            if index >= 0 and self._rows[index][0] < cut.offset < self._rows[index][1]:
                price = _NEVER
            elif table := layout.table_at(cut.offset):
                price = _NEVER if cut.offset == table.body else _ROW
            inside.append(Cut(cut.offset, price))
        self.cuts = inside


def _table_marks(document: Document) -> list[Table]:
    return list(_tables_of(document))


def _tables_of(document: Document) -> Iterator[Table]:
    text = document.text
    for mark in document.marks:
        if mark.kind != "table":
            continue
        header_end = text.find("\n", mark.start, mark.end)
        if header_end < 0:
            continue
        body = header_end + 1
        following = text.find("\n", body, mark.end)
        second = text[body : following if following >= 0 else mark.end]
        if len(second) < 2000 and "-" in second and _SEPARATOR.match(second.strip()):
            body = min(body + len(second) + 1, mark.end)
        if body < mark.end:
            yield Table(mark.start, header_end, body, mark.end)


def _row_marks(document: Document) -> list[tuple[int, int]]:
    """Spans of rows that take several lines: a mark whose address is one row only."""
    spans = []
    for mark in document.marks:
        rows = re.search(r"(\d+)(?::[A-Z]+(\d+))?\Z", mark.label) if mark.kind == "rows" else None
        if (
            rows
            and rows[1] == (rows[2] or rows[1])
            and "\n" in document.text[mark.start : mark.end]
        ):
            spans.append((mark.start, mark.end))
    return spans
