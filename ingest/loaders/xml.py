"""XML: what its elements say, in their order, as Markdown-like text.

lxml reads it without DTD, network or entities: a reference that the format does not define stays
as it is written, so that no bomb goes off. Vocabularies for documents (articles, books, feeds,
drawings, flat OpenDocument) become headings, paragraphs and tables; other files become lines of
`name: value`, where the names matter as much.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from lxml import etree

from ingest.documents import Document, Scalar
from ingest.errors import LoadError
from ingest.loaders.blocks import Block, around_headings, headed, join_blocks, table
from ingest.loaders.encoding import Decoded, normalise
from ingest.loaders.html import blocks_of, declared_encoding
from ingest.loaders.markdown import decode_source, quality_of
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_at, sensible_title, title_of

_NEVER_NAMES = (
    "script style binary binary-data styles automatic-styles master-styles settings scripts"
    " font-face-decls tex-math math guid forms sequence-decls cloud"
)
_NEVER = frozenset(_NEVER_NAMES.split())
_TITLES = frozenset(("title", "article-title", "h", "head", "subtitle", "bridgehead"))
_SECTION_NAMES = (
    "sec section chapter part appendix book article topic item entry div abstract subsection"
    " sect1 sect2 sect3 sect4"
)
_SECTIONS = frozenset(_SECTION_NAMES.split())
_PROSE_NAMES = (
    "article book FictionBook rss feed RDF svg document document-content TEI TEI.2 topic chapter"
    " concept task reference section div html manpage refentry dita"
)
_PROSE_ROOTS = frozenset(_PROSE_NAMES.split())
_ROWS = frozenset(("tr", "row", "table-row"))
_CELLS = frozenset(("td", "th", "entry", "cell", "table-cell"))
_BLOCK_NAMES = (
    "p para table list list-item listitem ul ol li fig figure title-group caption text tbody"
    " disp-quote table-wrap simpara note"
)
_BLOCKS = _TITLES | _SECTIONS | _ROWS | frozenset(_BLOCK_NAMES.split())
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]{0,200}\?>")
_DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]{0,1000}(?:\[.*?\]\s*)?>", re.S | re.I)
_HTML = re.compile(r"<[a-zA-Z/!][^<>]*>")
_MAX_DEPTH = 200  # libxml2 itself stops at 256
_TAGS = re.compile(r"<[^<>]*>")


def load_xml(source: Source) -> Document:
    """The text of an XML file; its lines are not those of the file."""
    decoded = decode_source(source, declared=declared_encoding(source.data[:400]))
    root = _parsed(decoded.text)
    if root is None:
        return _as_it_is(source, decoded)
    writer = _Writer(prose=_name(root) in _PROSE_ROOTS, level=int(_name(root) not in _SECTIONS))
    _write(root, writer, 0)
    blocks = [replace(block, text=normalise(block.text)) for block in writer.blocks]
    text, starts = join_blocks(blocks)
    if not text.strip():
        raise LoadError(source.uri, "holds no text")
    sections = sections_at(starts, len(text))
    metadata: dict[str, Scalar] = {"encoding": decoded.encoding, "root": _name(root)}
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=sensible_title(title_of(sections)) or source.stem,
        media_type=source.media_type,
        sections=sections,
        metadata=metadata,
        quality=quality_of(decoded),
    )


def _parsed(text: str) -> etree._Element | None:
    """The root element; damage is skipped. None where there is none."""
    body = _DOCTYPE.sub("", _DECLARATION.sub("", text), count=1)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        recover=True,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(body.encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def _as_it_is(source: Source, decoded: Decoded) -> Document:
    text = decoded.text.replace("\f", " ")
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=source.stem,
        media_type=source.media_type,
        metadata={"encoding": decoded.encoding},
        quality=quality_of(decoded),
        first_line=1,
    )


@dataclass(slots=True)
class _Writer:
    prose: bool
    level: int  # of the next heading
    blocks: list[Block] = field(default_factory=list)
    groups: int = 0

    def add(self, text: str, group: int = 0) -> None:
        if text.strip():
            self.blocks.append(Block(text, group))


def _write(element: etree._Element, writer: _Writer, depth: int) -> None:
    """The blocks of an element: a title, a row, a paragraph, or those of its children."""
    name = _name(element)
    if name in _NEVER or depth > _MAX_DEPTH:
        return
    if name == "table" and (rows := _table_rows(element)):
        writer.add(table(rows))
    elif writer.prose and name in _TITLES and _is_title(element):
        writer.blocks.append(headed(writer.level, _flat(element)))
    elif _is_paragraph(element):
        _add_paragraph(element, writer, name)
    else:
        _add_children(element, writer, name, depth)


def _add_children(element: etree._Element, writer: _Writer, name: str, depth: int) -> None:
    if not writer.prose:
        writer.add(_attributes(element, name))
    writer.add(_squeezed(element.text))
    writer.groups += 1
    inner = writer.prose and (name in _SECTIONS)
    writer.level += inner
    for child in element:
        if isinstance(child.tag, str):
            _write(child, writer, depth + 1)
        elif child.text:
            writer.add(_resolved(child))
        writer.add(_squeezed(child.tail))
    writer.level -= inner


def _add_paragraph(element: etree._Element, writer: _Writer, name: str) -> None:
    text = _flat(element)
    if _HTML.search(text) and text.count("<") > 1:
        writer.blocks += _without_markup(text)
    elif writer.prose:
        writer.add(text)
    else:
        line = _attributes(element, name)
        writer.add(f"{line or name}: {text}", writer.groups)


def _attributes(element: etree._Element, name: str) -> str:
    said = [
        f"{_local(key)}={value}"
        for key, value in element.attrib.items()
        if str(value).strip() and len(value) < 1000 and not str(key).endswith("schemaLocation")
    ]
    return " ".join([name, *said]) if said else ""


def _is_title(element: etree._Element) -> bool:
    return len(_flat(element)) <= 300


def _is_paragraph(element: etree._Element) -> bool:
    """True where the element has words of its own, or only children that stand inside lines."""
    if any(isinstance(child.tag, str) and _name(child) in _BLOCKS for child in element):
        return False
    if (element.text or "").strip():
        return True
    return any((child.tail or "").strip() for child in element)


def _table_rows(element: etree._Element) -> list[list[str]]:
    rows = [row for row in element.iter() if isinstance(row.tag, str) and _name(row) in _ROWS]
    return [
        [_flat(cell) for cell in row if isinstance(cell.tag, str) and _name(cell) in _CELLS]
        for row in rows[:100_000]
    ]


def _flat(element: etree._Element) -> str:
    return _squeezed("".join(_texts(element)))


def _texts(element: etree._Element) -> Iterator[str]:
    """The text of an element and all below it, in order; libxml2 keeps nesting below 256."""
    yield element.text or ""
    for child in element:
        name = _name(child)
        if not name:
            yield _resolved(child)
        elif name not in _NEVER:
            yield from _texts(child)
            if name in _BLOCKS or name in _CELLS:
                yield " "
        yield child.tail or ""


def _resolved(node: etree._Element) -> str:
    """A reference to one of HTML's characters as that character; any other as it is written."""
    if node.tag is not etree.Entity:
        return ""
    return html.unescape(node.text or "")


def _without_markup(text: str) -> list[Block]:
    """HTML inside of XML, as feeds have it."""
    from selectolax.lexbor import LexborHTMLParser

    blocks = blocks_of(LexborHTMLParser(text), furniture=True)
    return list(around_headings(blocks)) or [Block(_TAGS.sub(" ", text))]


def _squeezed(text: str | None) -> str:
    return " ".join((text or "").split())


def _name(element: etree._Element) -> str:
    return _local(element.tag) if isinstance(element.tag, str) else ""


def _local(name: str | bytes) -> str:
    return str(name).rpartition("}")[2]
