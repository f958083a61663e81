"""The cells of an Excel sheet's XML, cut at its tags: a third of the time that a tree takes.

No entity but XML's own five and character references is known here, so nothing can expand; each
search goes on where the last one ended, so damaged markup costs no more than sound markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

Cell = tuple[dict[str, str], str]

_SHEET_DATA = re.compile(r"<((?:\w+:)?)sheetData[\s>]")
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*["']([^"'<]*)["']""")
_VALUE = re.compile(r"<(?:\w+:)?v(?:\s[^<>]*)?>([^<]*)")
_FORMULA = re.compile(r"<(?:\w+:)?f(?:\s[^<>]*)?>([^<]+)")
_TEXT = re.compile(r"<(?:\w+:)?t(?:\s[^<>]*)?>([^<]*)")
_READING_AID = re.compile(r"<(?:\w+:)?rPh\b")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_MERGED = re.compile(
    r"""<(?:\w+:)?mergeCell\s[^<>]*?ref\s*=\s*["']([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})["']"""
)
_KNOWN = re.compile(r"&(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9A-Fa-f]{1,6});")


def sheet_rows(text: str) -> Iterator[tuple[dict[str, str], list[Cell]]]:
    """(attributes, cells) of each row; a cell is its attributes and the markup inside."""
    start = _SHEET_DATA.search(text)
    if start is None:
        return
    prefix = re.escape(start[1])
    end = text.find(f"</{start[1]}sheetData", start.end())
    row = re.compile(rf"<{prefix}row(?=[\s>/])")
    cell = re.compile(rf"<{prefix}c(?=[\s>/])")
    place = start.end()
    end = end if end >= 0 else len(text)
    found = row.search(text, place, end)
    while found is not None:
        following = row.search(text, found.end(), end)
        piece = text[found.end() : following.start() if following else end]
        head, *cells = cell.split(piece)
        yield _attributes(head.partition(">")[0]), [_cell(markup) for markup in cells]
        found = following


def merged_cells(text: str) -> Iterator[tuple[str, int, str, int]]:
    """Column and row of the first and of the last of cells that are merged."""
    for found in _MERGED.finditer(text, max(text.rfind("sheetData"), 0)):
        yield found[1], int(found[2]), found[3], int(found[4])


def cell_value(markup: str) -> str:
    """What stands in the cell's <v>."""
    found = _VALUE.search(markup)
    return _unescaped(found[1]) if found else ""


def uncalculated(markup: str, *, is_text: bool = False) -> str:
    """The formula of a cell whose value no program has worked out yet, as people type it.

    Such a cell has no <v>, or an empty one, which is the value where that is a text.
    """
    value = _VALUE.search(markup)
    known = value is not None and (is_text or value[1].strip())
    found = None if known else _FORMULA.search(markup)
    return f"={_unescaped(found[1])}" if found else ""


def inline_text(markup: str) -> str:
    """The text of an inline string, without the reading aids above Japanese words."""
    pieces = _READING_AID.split(markup)
    kept = pieces[0] + "".join(piece.partition("rPh>")[2] for piece in pieces[1:])
    return _unescaped("".join(_TEXT.findall(kept)))


def _cell(markup: str) -> Cell:
    head, _, content = markup.partition(">")
    return _attributes(head), "" if head.endswith("/") else content


def _attributes(head: str) -> dict[str, str]:
    return dict(_ATTRIBUTE.findall(head))


def _unescaped(text: str) -> str:
    if "&" in text:
        text = _KNOWN.sub(lambda match: unescape(match[0]), text)
    if "_x" in text:  # how Excel writes control characters
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return text


def sheet_markup(markup: bytes) -> str:
    """The XML of a sheet as text."""
    if markup[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return markup.decode("utf-16", "replace")
    return markup.decode("utf-8-sig", "replace")
