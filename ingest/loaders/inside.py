"""Documents inside documents: workbooks in a text or on a slide, pages that were inserted."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders import media_types as mt
from ingest.loaders.blocks import Block, markdown_blocks
from ingest.loaders.detection import detect_media_type
from ingest.loaders.office_zip import OfficeZip, Relation
from ingest.loaders.registry import load_bytes
from ingest.loaders.sections import document_blocks

_PAGES = (mt.HTML, mt.MHTML, mt.RTF, mt.PLAIN)  # of which a text may be made
_OBJECTS = (mt.XLSX, mt.XLS, mt.XLSB, mt.DOCX, mt.DOC, mt.PPTX, mt.PPT, mt.ODT, mt.ODS, mt.ODP)


def document_inside(archive: OfficeZip, relation: Relation) -> Document | None:
    """The document that a relation leads to; None for what is none, or cannot be read."""
    if relation.external or relation.kind not in ("aFChunk", "package", "oleObject"):
        return None
    data = archive.read(relation.target)
    try:
        media_type = mt.BY_SUFFIX.get(posixpath.splitext(relation.target.lower())[1])
        if media_type not in _PAGES:
            media_type = detect_media_type(data, relation.target) if data else ""
        if media_type not in (*_PAGES, *_OBJECTS):
            return None
        return load_bytes(data, uri=relation.target, media_type=media_type)
    except LoadError:  # damaged, or no text
        return None


def blocks_inside(document: Document) -> Iterator[Block]:
    """What a document inside shows, its headings included; of a workbook the rows alone."""
    shown = (Block(document.text[start:end]) for start, end in _visible_sheets(document))
    for block in shown if document.pages and document.pages[0].label else document_blocks(document):
        yield from [block] if block.is_heading else map(_text, markdown_blocks(block.text))


def _text(block: Block) -> Block:
    return Block(block.text)


def _visible_sheets(document: Document) -> Iterator[tuple[int, int]]:
    """The span of each sheet that is shown, below the line of its name."""
    hidden = {mark.start for mark in document.marks if mark.kind == "hidden"}
    for page in document.pages:
        if page.start not in hidden:
            start = document.text.find("\n", page.start, page.end)
            yield (start if start >= 0 else page.end), page.end
