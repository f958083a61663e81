"""What a row of a table says: `| column: cell`, with the unit that the column's name holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ingest.documents import Chunk
from qa.citing.quantities import CLOCK, DATE, quantities
from qa.extracting.tables import cells_of, head_of, rows_without_bars
from qa.sentences import sentences
from retrieval.terms import simplified

_BARE_NUMBER = re.compile(r"[-+−]?\d[\d.,]*")
_NAME_PARTS = re.compile(r"[^\W_]+|[%€$£¥℃°]+C?")
_COUNTED_IN_MONTHS = ("月", "月份")
_WORD = r"[A-Za-z0-9À-ÖØ-öø-ÿ]"


@lru_cache(maxsize=512)
def spans_of(chunk: Chunk) -> tuple[tuple[int, int], ...]:
    """Spans of the sentences and table rows of a passage, in order."""
    return tuple(rows_without_bars(chunk) or sentences(chunk.text, omitted=chunk.omitted))


def said_at(chunk: Chunk, start: int, end: int) -> str:
    """What the words at `start:end` say: a row of a table with the names of its columns."""
    words = chunk.text[start:end]
    head = head_of(chunk, start) if (start, end) in spans_of(chunk) else ""
    return written_out(words, head) if head and "\n" not in words.strip() else words


@lru_cache(maxsize=2048)
def written_out(row: str, head: str) -> str:
    """A row with its columns, beginning with a bar; the row as it is where these do not fit it."""
    cells, names = cells_of(row), cells_of(head)
    if len(cells) != len(names):
        return row
    pairs = zip(names, cells, strict=True)
    return "".join(f"| {name}: {_in_units(cell, name)} " for name, cell in pairs if cell)


def cells_of_others(chunk: Chunk, start: int, end: int) -> frozenset[str]:
    """Cells in words that the other rows of a table have and the one at `start:end` has not."""
    head = head_of(chunk, start)
    if not head or (start, end) not in spans_of(chunk):
        return frozenset()
    rows = [span for span in spans_of(chunk) if head_of(chunk, span[0]) == head]
    others = {cell for span in rows for cell in cells_of(chunk.text[slice(*span)])}
    own = "\n".join((chunk.text[start:end], head, chunk.header))
    return frozenset(cell for cell in others if _is_worded(cell) and not holds(own, cell))


def holds(text: str, cell: str) -> bool:
    """Whether `text` has what stands in a cell, as words of their own."""
    text, cell = simplified(text).lower(), simplified(cell).lower()
    if cell not in text:
        return False
    return re.search(rf"(?<!{_WORD}){re.escape(cell)}(?!{_WORD})", text) is not None


def _is_worded(cell: str) -> bool:
    return len(cell) > 1 and any(character.isalpha() for character in cell)


def _in_units(cell: str, name: str) -> str:
    if not _BARE_NUMBER.fullmatch(cell):
        return cell
    return next((f"{cell} {unit}" for unit in _units(name)), cell)


def _units(name: str) -> Iterator[str]:
    """The unit in a column's name: at its end, `price_eur`, or in brackets, 保修期(月)."""
    parts: Sequence[str] = _NAME_PARTS.findall(name)
    for part in parts[-1:] if len(parts) > 1 else ():
        unit = "个月" if part in _COUNTED_IN_MONTHS else part
        found = quantities(f"7 {unit}")
        known = len(found) == 1 and found[0].kind not in ("", DATE, CLOCK)
        if known and (len(unit) > 1 or not unit.isascii() or not unit.isalpha()):
            yield unit
