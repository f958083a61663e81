"""Word documents: unstructured's elements as Markdown-like text; our own reading where it fails.

unstructured numbers lists and headings as Word does and squares merged cells. Its import costs 2 s
and 190 MB once per process, a document .003-.25 s. It is given a cleaned package (docx_package.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from ingest.documents import Document, Page, Scalar
from ingest.loaders.blocks import Block, heading, join_blocks, table
from ingest.loaders.docx_package import Package, W, open_package, text_of
from ingest.loaders.encoding import normalise
from ingest.loaders.html import table_text
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_of, sensible_title, title_of

_BODY_TEXT = 9  # Word's outline level of what is no heading
_LABEL = re.compile(  # 1.  2.3.1  a)  iv.  （二）  第三条
    r"(?:\d{1,3}(?:\.\d{1,3})+\.?|(?:\d{1,3}|[a-zA-Z]|[ivxlcIVXLC]{1,6}|[一二三四五六七八九十]{1,3})"
    r"[.)、．）]|[(（][^)）]{1,3}[)）]|第[^ ]{1,4}[条章节款])(?=\s|$)"
)
_MAX_HEADING = 200  # characters; longer "headings" are paragraphs in a heading's style


def load_docx(source: Source) -> Document:
    """A Word document: headings, lists, tables, notes at the end; pages if it tells them."""
    package = open_package(source.data, source.uri)
    quality: dict[str, Scalar] = {}
    try:
        blocks = list(_blocks(package))
    except Exception as exc:  # noqa: BLE001 - our own reading takes over, whatever it was
        quality["fallback"] = f"unstructured: {type(exc).__name__}"
        blocks = list(_own_blocks(package))
    blocks += [Block(_flat(note)) for note in package.notes]
    text, starts = join_blocks(blocks)
    sections = sections_of(text)
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=sensible_title(package.title) or title_of(sections) or source.stem,
        media_type=source.media_type,
        pages=_pages(starts, len(text)),
        sections=sections,
        quality=quality,
    )


def _blocks(package: Package) -> Iterator[Block]:
    from ingest.loaders.offline_unstructured import docx_elements

    levels = _levels_by_text(package)
    for element in docx_elements(package.data):
        text = _rendered(element, levels)
        group = 1 if type(element).__name__ == "ListItem" and not text.startswith("#") else 0
        yield Block(text, group, element.metadata.page_number)


def _rendered(element: Any, levels: dict[str, int]) -> str:
    kind, depth = type(element).__name__, element.metadata.category_depth or 0
    text = normalise(element.text)
    if kind == "Table":
        return _table(element.metadata.text_as_html) or _flat(text)
    level = levels.get(_key(text), 0)
    if (level or kind == "Title") and len(text) <= _MAX_HEADING:
        return heading(level or depth + 1, text)
    if kind == "ListItem":
        return "  " * min(depth, 8) + _item(_flat(text))
    return _flat(text)


def _item(text: str) -> str:
    """unstructured writes the numbers of numbered items and no bullets."""
    return text if _LABEL.match(text) else f"- {text}"


def _table(markup: str | None) -> str:
    node = LexborHTMLParser(markup).css_first("table") if markup else None
    return normalise(table_text(node)) if node is not None else ""


def _flat(text: str) -> str:
    """Lines without blanks at their ends, no empty lines, one space where there were several."""
    lines = (" ".join(line.split()) for line in normalise(text).split("\n"))
    return "\n".join(line for line in lines if line)


def _pages(starts: list[tuple[int, Block]], length: int) -> tuple[Page, ...]:
    """Pages in order; none where the file tells no page numbers."""
    known = [(start, block.page) for start, block in starts if block.page]
    groups = groupby(known, key=lambda item: item[1])
    heads = [(number, next(items)[0]) for number, items in groups if number]
    ends = [*(start for _, start in heads[1:]), length][: len(heads)]
    return tuple(Page(number, start, end) for (number, start), end in zip(heads, ends, strict=True))


# Our own reading: heading levels (unstructured knows only the built-in style names, not outline
# levels, by which many Chinese templates mark headings), and the whole text where it fails.


def _levels_by_text(package: Package) -> dict[str, int]:
    """Heading level by the text of the paragraph; a text that also stands as body is none."""
    styles = _style_levels(package.styles)
    levels: dict[str, int] = {}
    for paragraph in package.body.iter(f"{W}p"):
        key = _key(text_of(paragraph))
        if key:
            level = _level(paragraph, styles)
            levels[key] = level if levels.get(key, level) == level else 0
    return {key: level for key, level in levels.items() if level}


def _key(text: str) -> str:
    """The words without the number that Word or unstructured puts in front."""
    return "".join(text.split()).lstrip("0123456789.、()（）")


def _level(paragraph: Any, styles: dict[str, int]) -> int:
    """1..9 for a heading, 0 for body text."""
    own = paragraph.find(f"{W}pPr/{W}outlineLvl")
    if own is not None:
        return _outline(own)
    style = paragraph.find(f"{W}pPr/{W}pStyle")
    return styles.get(style.get(f"{W}val", ""), 0) if style is not None else 0


def _outline(element: Any) -> int:
    value = element.get(f"{W}val", "")
    return int(value) + 1 if value.isdigit() and int(value) < _BODY_TEXT else 0


def _style_levels(styles: Any | None) -> dict[str, int]:
    """Heading level by style id, inherited along `basedOn`."""
    if styles is None:
        return {}
    own: dict[str, int] = {}
    bases: dict[str, str] = {}
    for style in styles.iter(f"{W}style"):
        identity = style.get(f"{W}styleId", "")
        name = style.find(f"{W}name")
        outline = style.find(f"{W}pPr/{W}outlineLvl")
        base = style.find(f"{W}basedOn")
        if name is not None and name.get(f"{W}val", "").lower() == "title":
            own[identity] = 1
        elif outline is not None:
            own[identity] = _outline(outline)
        if base is not None:
            bases[identity] = base.get(f"{W}val", "")
    return {identity: _inherited(identity, own, bases) for identity in {*own, *bases}}


def _inherited(identity: str, own: dict[str, int], bases: dict[str, str]) -> int:
    for _ in range(20):  # styles may be based on each other in a circle
        if identity in own or identity not in bases:
            break
        identity = bases[identity]
    return own.get(identity, 0)


def _own_blocks(package: Package) -> Iterator[Block]:
    styles = _style_levels(package.styles)
    for child in package.body:
        if child.tag == f"{W}tbl":
            yield Block(table([_row(row) for row in child.iter(f"{W}tr")]))
        elif child.tag == f"{W}p":
            yield _own_paragraph(child, styles)


def _own_paragraph(paragraph: Any, styles: dict[str, int]) -> Block:
    text = _flat(text_of(paragraph))
    level = _level(paragraph, styles)
    if level and len(text) <= _MAX_HEADING:
        return Block(heading(level, text))
    listed = paragraph.find(f"{W}pPr/{W}numPr") is not None and text
    return Block(f"- {text}", 1) if listed else Block(text)


def _row(row: Any) -> list[str]:
    cells = (cell for cell in row if cell.tag == f"{W}tc")
    return [
        " ".join(_flat(text_of(paragraph)) for paragraph in cell.iter(f"{W}p")).strip()
        for cell in cells
    ]
