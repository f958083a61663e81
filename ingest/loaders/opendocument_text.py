"""The words of OpenDocument: paragraphs, tables, and what hangs on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree
from selectolax.lexbor import LexborHTMLParser

from ingest.loaders.blocks import table
from ingest.loaders.encoding import flat_lines
from ingest.loaders.equations import mathml, raised, spaced
from ingest.loaders.office_zip import local_name

_MAX_REPEATED = 200  # cells of a table in a text; Word has 63 columns
_MAX_BLANKS = 100  # <text:s text:c="1000000000"/>
_PREFIX = re.compile(r"(</?)\w+:(?=\w)")
# what has no words of its own, or words that stand elsewhere
SKIPPED = frozenset(
    {"tracked-changes", "table-of-content", "sequence-decls", "forms", "annotation-end",
     "variable-decls", "user-field-decls", "desc", "title", "bookmark-start", "bookmark-end",
     "event-listeners", "binary-data", "scripts", "shapes", "alphabetical-index-mark"}
)  # fmt: skip


@dataclass(slots=True)
class Notes:
    """What is said at the end (footnotes, endnotes, comments), and the pictures met.

    `objects` are the roots of documents inside by name, `raised` the styles of superscripts, `code`
    those of type of one width.
    """

    texts: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)
    objects: Mapping[str, Any] = field(default_factory=dict)
    raised: frozenset[str] = frozenset()
    code: frozenset[str] = frozenset()


def table_lines(element: Any, notes: Notes) -> str:
    """A table as lines; tables inside its cells become text, what is merged stands in each row."""
    rows = element.iter("{*}table-row")
    own = [row for row in rows if next(row.iterancestors("{*}table"), None) is element]
    running: dict[int, tuple[int, str]] = {}  # column -> (rows to go, text)
    return table(
        [_cells(row, notes, running) for row in own], covered_columns(own[0]) if own else ()
    )


def covered_columns(row: Any) -> list[int]:
    """The columns of a row, from 0, over which a cell to their left reaches."""
    columns: list[int] = []
    width = span = 0
    for cell in row.iter("{*}table-cell", "{*}covered-table-cell"):
        if local_name(cell) == "table-cell":
            span = width + count(cell, "number-columns-spanned")
        times = min(count(cell, "number-columns-repeated"), _MAX_REPEATED)
        columns += range(width, min(width + times, span)) if "covered" in cell.tag else ()
        width += times
    return columns


def _cells(row: Any, notes: Notes, running: dict[int, tuple[int, str]]) -> list[str]:
    cells: list[str] = []
    for cell in row:
        if local_name(cell) not in ("table-cell", "covered-table-cell"):
            continue
        times = count(cell, "number-columns-repeated")
        paragraphs = (flat_lines(inline(p, notes)) for p in _paragraphs(cell))
        text = " ".join(" ".join(filter(None, paragraphs)).split())
        if text and (down := count(cell, "number-rows-spanned")) > 1:
            running[len(cells)] = (down, text)
        for _ in range(min(times, max(_MAX_REPEATED - len(cells), 1))):
            left, above = running.pop(len(cells), (0, ""))
            if left > 1:
                running[len(cells)] = (left - 1, above)
            cells.append(text or above)
    return cells


def _paragraphs(element: Any) -> Iterator[Any]:
    """The paragraphs below an element, but those of notes and comments in them."""
    for child in element:
        kind = local_name(child)
        if kind in ("p", "h"):
            yield child
        if kind not in ("note", "annotation"):
            yield from _paragraphs(child)


def inline(element: Any, notes: Notes) -> str:
    """The text of a paragraph; notes and comments in it go to the end of the document."""
    texts: list[str] = [element.text or ""]
    for child in element:
        kind = local_name(child)
        if kind == "s":
            texts.append(" " * min(count(child, "c"), _MAX_BLANKS))
        elif kind == "tab":
            texts.append("\t")
        elif kind == "line-break":
            texts.append("\n")
        elif kind == "note":
            said = (flat_lines(inline(p, notes)) for p in child.iterfind("{*}note-body/{*}p"))
            notes.texts.append(" ".join(filter(None, said)))
        elif kind == "annotation":
            said = (flat_lines(inline(p, notes)) for p in child.iter("{*}p"))
            if text := " ".join(filter(None, said)):
                notes.texts.append(f"Comment: {text}")
        elif kind == "frame":
            texts.append(_formula(object_in(child, notes), "".join(texts[-3:])))
        elif kind not in SKIPPED and kind not in ("custom-shape", "ruby-text"):
            words = inline(child, notes)
            if kind == "span" and attribute(child, "style-name") in notes.raised:
                words = raised("".join(texts[-3:]), words) + words
            texts.append(words)
        texts.append(child.tail or "")
    return "".join(texts)


def is_code(paragraph: Any, notes: Notes) -> bool:
    """Whether a paragraph is set in type of one width, or all that is in it."""
    if not notes.code or attribute(paragraph, "style-name") in notes.code:
        return bool(notes.code)
    spans = [child for child in paragraph if local_name(child) == "span"]
    bare = [paragraph.text, *(child.tail for child in paragraph)]
    styles = {attribute(span, "style-name") for span in spans}
    return bool(spans) and styles <= notes.code and not "".join(filter(None, bare)).strip()


def object_in(frame: Any, notes: Notes) -> Any | None:
    """The root of the document that a frame shows, or of the formula."""
    item = frame.find("{*}object")
    if item is None:
        return None
    return item[0] if len(item) else notes.objects.get(attribute(item, "href").removeprefix("./"))


def _formula(root: Any | None, before: str) -> str:
    """The symbols of a formula; "" for another object."""
    if root is None or local_name(root) != "math":
        return ""
    markup = _PREFIX.sub(r"\1", etree.tostring(root, encoding="unicode", with_tail=False))
    node = LexborHTMLParser(markup).css_first("math")
    return spaced(before, mathml(node)) if node is not None else ""


def chart_title(root: Any, notes: Notes) -> str:
    """What a chart is called, and in brackets its axes; "" for what is no chart."""
    charts = "{*}body/{*}chart/{*}chart"
    titles = _titles(root, (f"{charts}/{{*}}title", f"{charts}/{{*}}subtitle"), notes)
    axes = _titles(root, (f"{charts}/{{*}}plot-area/{{*}}axis/{{*}}title",), notes)
    return " ".join([*titles, f"({', '.join(axes)})" if axes else ""]).strip()


def _titles(root: Any, paths: tuple[str, ...], notes: Notes) -> list[str]:
    paragraphs = (p for path in paths for title in root.iterfind(path) for p in title.iter("{*}p"))
    return [text for p in paragraphs if (text := flat_lines(inline(p, notes)))]


def attribute(element: Any, name: str) -> str:
    """The attribute of this name in whichever namespace; "" where it is missing."""
    return next((v for k, v in element.attrib.items() if k.rpartition("}")[2] == name), "")


def count(element: Any, name: str) -> int:
    """A number of cells or rows; 1 where the attribute says none."""
    value = attribute(element, name)
    return max(int(value), 1) if value.isascii() and value.isdigit() and len(value) < 10 else 1
