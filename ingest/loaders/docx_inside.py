"""What a .docx file holds beside its own text: charts, diagrams, documents in the document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.docx_cleaning import COMPATIBILITY, W
from ingest.loaders.drawing import Graphic, graphic_of
from ingest.loaders.inside import document_inside
from ingest.loaders.office_zip import OfficeZip, Relation, local_name

R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def spell_graphics(archive: OfficeZip, document: Any, relations: dict[str, Relation]) -> int:
    """What charts and diagrams say goes behind their paragraph; how many of them say nothing."""
    silent = 0
    told: set[str] = set()
    places: list[tuple[Any, Graphic]] = []
    for drawing in document.iter(f"{W}drawing"):
        anchor = next(drawing.iterancestors(f"{W}p"), None)
        if anchor is None or next(drawing.iterancestors(f"{COMPATIBILITY}Fallback"), None):
            continue
        for name, identity in _identities(drawing):
            relation = relations.get(identity)
            silent += relation is None and name in ("chart", "relIds")
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


def _identities(drawing: Any) -> Iterator[tuple[str, str]]:
    """(element, relation) of what a drawing shows: charts by `r:id`, data of diagrams by `r:dm`."""
    for node in drawing.iter():
        for name, value in node.attrib.items():
            if name.endswith(("}id", "}dm")):
                yield local_name(node), value


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
    """Documents in the text by relation, each part once; None for what cannot be read.

    These are inserted ones (`w:altChunk`), and objects that are made such: workbooks and slides.
    """
    objects = set(_lifted_objects(document, relations))
    found: dict[str, Document | None] = {}
    read: set[str] = set()
    for node in document.iter(f"{W}altChunk"):
        identity = relation_of(node)
        relation = relations.get(identity)
        target = relation.target if relation is not None else identity
        if target in read:
            continue
        read.add(target)
        page = document_inside(archive, relation) if relation is not None else None
        if page is not None or identity not in objects:
            found[identity] = page
    return found


def relation_of(node: Any) -> str:
    """The relation that an element names."""
    return next((value for name, value in node.attrib.items() if name.endswith("}id")), "")


def _lifted_objects(document: Any, relations: dict[str, Relation]) -> Iterator[str]:
    """The relations of objects, each of which goes behind its paragraph or its table."""
    for item in reversed(list(document.iter("{*}OLEObject"))):
        identity = relation_of(item)
        around = [*item.iterancestors(f"{W}p"), *item.iterancestors(f"{W}tbl")]
        copy = next(item.iterancestors(f"{COMPATIBILITY}Fallback"), None)
        if identity in relations and around and copy is None:
            around[-1].addnext(etree.Element(f"{W}altChunk", {f"{R}id": identity}))
            yield identity
