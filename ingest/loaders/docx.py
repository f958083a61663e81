"""Word documents: our own reading of the cleaned package; unstructured where that fails.

Both number lists and headings as Word does and find the same phrases. unstructured costs 2-17 s and
350 MB once per process for its import and .003-3 s a document; ours .002-.1 s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from ingest.documents import Document, Mark, Page
from ingest.loaders.blocks import Block, headed, is_table, join_blocks
from ingest.loaders.docx_cleaning import (
    BREAK,
    PAGE_BREAK,
    W,
    flat_lines,
    page_breaks,
    text_of,
    texts_of,
)
from ingest.loaders.docx_code import code_styles, code_text, is_code
from ingest.loaders.docx_inside import relation_of
from ingest.loaders.docx_numbering import Numbering
from ingest.loaders.docx_package import Package, open_package
from ingest.loaders.docx_tables import lays_out, table_block
from ingest.loaders.encoding import normalise
from ingest.loaders.html import table_text
from ingest.loaders.inside import blocks_inside
from ingest.loaders.listings import CODE, with_fences
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_at, sensible_title, title_of

_BODY_TEXT = 9  # Word's outline level of what is no heading
_LABEL = re.compile(  # 1.  2.3.1  a)  iv.  （二）  第三条
    r"(?:\d{1,3}(?:\.\d{1,3})+\.?|(?:\d{1,3}|[a-zA-Z]|[ivxlcIVXLC]{1,6}|[一二三四五六七八九十]{1,3})"
    r"[.)、．）]|[(（][^)）]{1,3}[)）]|第[^ ]{1,4}[条章节款])(?=\s|$)"
)
_IMAGE = re.compile(r"!\[[^\]\n]*\]\(([^()\s]+/media/[^()\s]+)\)")
_MAX_TURNS = 50  # pages that a paragraph goes on
_MAX_HEADING = 200  # characters; longer "headings" are paragraphs in a heading's style


def load_docx(source: Source) -> Document:
    """A Word document: headings, lists, tables, notes at the end; pages if it tells them."""
    package = open_package(source.data, source.uri)
    quality = dict(package.lost)
    try:
        blocks = list(_own_blocks(package))
    except Exception as exc:  # noqa: BLE001 - unstructured takes over, whatever it was
        quality["fallback"] = f"unstructured after {type(exc).__name__}"
        blocks = list(_blocks(package))
    running = [Block(flat_lines(text)) for text in package.running]
    blocks += [Block(flat_lines(note)) for note in package.notes]
    text, starts = join_blocks([*running, *blocks])
    sections = sections_at(starts, len(text))
    heads = {id(block) for block in running}
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=sensible_title(package.title) or title_of(sections) or source.stem,
        media_type=source.media_type,
        pages=_pages(starts, len(text)),
        sections=sections,
        marks=_marks(text, starts, heads),
        quality=quality,
    )


def _marks(text: str, starts: list[tuple[int, Block]], heads: set[int]) -> tuple[Mark, ...]:
    marks = [
        Mark("boilerplate" if id(block) in heads else "table", start, start + len(block.text))
        for start, block in starts
        if id(block) in heads or is_table(block.text)
    ]
    marks += [Mark("image", m.start(), m.end(), m[1]) for m in _IMAGE.finditer(text)]
    return tuple(sorted(marks, key=lambda mark: mark.start))


def _blocks(package: Package) -> Iterator[Block]:
    """unstructured's elements as blocks."""
    from ingest.loaders.offline_unstructured import docx_elements

    levels = _levels_by_text(package)
    for element in docx_elements(package.data):
        yield _rendered(element, levels, element.metadata.page_number)


def _rendered(element: Any, levels: dict[str, int], page: int | None) -> Block:
    kind, depth = type(element).__name__, element.metadata.category_depth or 0
    text = normalise(element.text)
    if kind == "Table":
        return Block(_table(element.metadata.text_as_html) or flat_lines(text), page=page)
    level = levels.get(_key(text), 0)
    if (level or kind == "Title") and len(text) <= _MAX_HEADING:
        return headed(level or depth + 1, text, page)
    if kind == "ListItem":
        return Block("  " * min(depth, 8) + _item(flat_lines(text)), 1, page)
    return Block(flat_lines(text), page=page)


def _item(text: str) -> str:
    """unstructured writes the numbers of numbered items and no bullets."""
    return text if _LABEL.match(text) else f"- {text}"


def _table(markup: str | None) -> str:
    node = LexborHTMLParser(markup).css_first("table") if markup else None
    return normalise(table_text(node)) if node is not None else ""


def _pages(starts: list[tuple[int, Block]], length: int) -> tuple[Page, ...]:
    """Pages in order; none where the file tells no page numbers."""
    known = [
        place
        for start, block in starts
        if block.page
        for place in ((start, block.page), *((start + at, page) for at, page in block.turns))
    ]
    groups = groupby(known, key=lambda item: item[1])
    heads = [(number, next(items)[0]) for number, items in groups if number]
    ends = [*(start for _, start in heads[1:]), length][: len(heads)]
    return tuple(Page(number, start, end) for (number, start), end in zip(heads, ends, strict=True))


# Heading levels, by built-in style names and by outline levels, by which many Chinese templates
# mark headings


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
        called = name.get(f"{W}val", "").lower() if name is not None else ""
        if called == "title":
            own[identity] = 1
        elif re.fullmatch(r"heading [1-9]", called):
            own[identity] = int(called[-1])
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
    told = next(package.body.iter(BREAK), None) is not None
    reading = _Reading(
        _style_levels(package.styles),
        Numbering(package.numbering, package.styles),
        dict(package.pages),
        code_styles(package.styles),
    )
    for block in with_fences(reading.blocks(package.body)):
        yield block if told else replace(block, page=None, turns=())


@dataclass(slots=True)
class _Reading:
    """Reads a body from top to bottom; `page` is the one that it has come to."""

    styles: dict[str, int]
    numbering: Numbering
    pages: dict[str, Document | None]  # documents inside, by relation
    code: frozenset[str]  # styles
    page: int = 1

    def blocks(self, parent: Any) -> Iterator[Block]:
        """What stands in the body, or in the cell of a table that lays out a page."""
        for child in parent:
            if child.tag == f"{W}tbl" and lays_out(child, self._level):
                for cell in child.iterfind(f"{W}tr/{W}tc"):
                    yield from self.blocks(cell)
                continue
            before, after = page_breaks(child)
            if child.tag == f"{W}altChunk":
                yield from (replace(block, page=self.page) for block in self._inside(child))
            elif child.tag == f"{W}tbl":
                yield table_block(child, self.page)
            elif child.tag == f"{W}p":
                block = _own_paragraph(child, self.styles, self.numbering)
                if not block.is_heading and not block.group and is_code(child, self.code):
                    block = Block(code_text(child), CODE)
                turns = _turns(child, block.text, self.page + before) if after else ()
                yield replace(block, page=self.page + before, turns=turns)
            self.page += before + after

    def _level(self, paragraph: Any) -> int:
        return _level(paragraph, self.styles)

    def _inside(self, element: Any) -> Iterator[Block]:
        """The blocks of a document inside; once, however often it is asked for."""
        page = self.pages.pop(relation_of(element), None)
        return blocks_inside(page) if page is not None else iter(())


def _turns(paragraph: Any, text: str, page: int) -> tuple[tuple[int, int], ...]:
    """Where further pages begin in the text of a paragraph that begins on `page`."""
    label = len(text) - len(flat_lines(text_of(paragraph)))
    turns: list[tuple[int, int]] = []
    texts: list[str] = []
    for part in texts_of(paragraph):
        if part != PAGE_BREAK:
            texts.append(part)
        elif (said := len(flat_lines("".join(texts)))) and len(turns) < _MAX_TURNS:
            at = label + said
            at += len(text[at:]) - len(text[at:].lstrip())
            page += 1
            turns.append((at, page))
    return tuple(turn for turn in turns if turn[0] < len(text))


def _own_paragraph(paragraph: Any, styles: dict[str, int], numbering: Numbering) -> Block:
    text = flat_lines(text_of(paragraph))
    if not text:
        return Block("")
    label, depth = numbering.label(paragraph)
    level = _level(paragraph, styles)
    if level and len(text) <= _MAX_HEADING:
        return headed(level, text if label == "-" else f"{label} {text}")
    return Block(f"{'  ' * depth}{label} {text}", 1) if label else Block(text)
