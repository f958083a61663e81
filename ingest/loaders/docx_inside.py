"""What a .docx file holds beside its own text: charts, diagrams, pages that were inserted."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from lxml import etree

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders import media_types as mt
from ingest.loaders.docx_cleaning import COMPATIBILITY, W
from ingest.loaders.drawing import Graphic, graphic_of
from ingest.loaders.office_zip import OfficeZip, Relation
from ingest.loaders.registry import load_bytes

_PAGES = (mt.HTML, mt.MHTML, mt.DOCX, mt.RTF, mt.PLAIN)


def spell_graphics(archive: OfficeZip, document: Any, relations: dict[str, Relation]) -> int:
    """What charts and diagrams say goes behind their paragraph; how many of them say nothing."""
    silent = 0
    told: set[str] = set()
    places: list[tuple[Any, Graphic]] = []
    for drawing in document.iter(f"{W}drawing"):
        anchor = next(drawing.iterancestors(f"{W}p"), None)
        if anchor is None or next(drawing.iterancestors(f"{COMPATIBILITY}Fallback"), None):
            continue
        for identity in _identities(drawing):
            relation = relations.get(identity)
            if relation is None or relation.target in told:
                continue
            graphic = _graphic(archive, relation)
            if graphic is not None:
                told.add(relation.target)
                places.append((anchor, graphic))
                silent += not graphic.rows and not graphic.lines
    for anchor, graphic in reversed(places):
        if graphic.rows:
            anchor.addnext(_table(graphic.rows))
        for line in reversed([graphic.title, *graphic.lines]):
            anchor.addnext(_paragraph(line))
    return silent


def _graphic(archive: OfficeZip, relation: Relation) -> Graphic | None:
    try:
        return graphic_of(archive, relation)
    except LoadError:  # damaged
        return Graphic()


def _identities(drawing: Any) -> Iterator[str]:
    """What a drawing refers to: charts by `r:id`, the data of diagrams by `r:dm`."""
    for node in drawing.iter():
        for name, value in node.attrib.items():
            if name.endswith(("}id", "}dm")):
                yield value


def _paragraph(text: str) -> Any:
    paragraph = etree.Element(f"{W}p")
    etree.SubElement(etree.SubElement(paragraph, f"{W}r"), f"{W}t").text = text
    return paragraph


def _table(rows: list[list[str]]) -> Any:
    grid = etree.Element(f"{W}tbl")
    etree.SubElement(grid, f"{W}tblGrid")
    for row in rows:
        line = etree.SubElement(grid, f"{W}tr")
        for text in row:
            etree.SubElement(line, f"{W}tc").append(_paragraph(text))
    return grid


def pages_inside(
    archive: OfficeZip, document: Any, relations: dict[str, Relation]
) -> dict[str, Document | None]:
    """Inserted documents (`w:altChunk`) by relation, each part once; None for what is no page."""
    found: dict[str, Document | None] = {}
    read: set[str] = set()
    for node in document.iter(f"{W}altChunk"):
        identity = relation_of(node)
        relation = relations.get(identity)
        if relation is not None and relation.target not in read:
            read.add(relation.target)
            found[identity] = _page(archive, relation)
    return found


def relation_of(node: Any) -> str:
    """The relation that an element names."""
    return next((value for name, value in node.attrib.items() if name.endswith("}id")), "")


def _page(archive: OfficeZip, relation: Relation) -> Document | None:
    media_type = mt.BY_SUFFIX.get(posixpath.splitext(relation.target.lower())[1])
    if media_type not in _PAGES or relation.external:
        return None
    data = archive.read(relation.target)
    try:
        return load_bytes(data, uri=relation.target, media_type=media_type)
    except LoadError:  # damaged, or no text
        return None
