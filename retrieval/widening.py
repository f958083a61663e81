"""More of a document around a passage: its neighbours, and the section it stands in."""

from __future__ import annotations

from dataclasses import replace

from ingest.documents import Chunk, Document
from retrieval.points import CHUNK_FIELDS, chunk_id, chunk_of
from retrieval.store import Store


def around(store: Store, chunk: Chunk, before: int, after: int) -> list[Chunk]:
    """The passages of the same version from `before` ones ahead of `chunk` to `after` behind it."""
    positions = range(max(0, chunk.position - before), chunk.position + after + 1)
    ids = [chunk_id(chunk.document_id, position) for position in positions]
    found = store.read(ids, fields=CHUNK_FIELDS)
    return [chunk_of(found[id_]) for id_ in ids if id_ in found]


def section_around(document: Document, chunk: Chunk) -> Chunk:
    """The innermost section around `chunk` that holds more than it, as a passage; `chunk` if there
    is none."""
    own = (chunk.start, chunk.end)
    around = (
        (section.start, section.end)
        for section in document.sections
        if section.start <= chunk.start and chunk.end <= section.end
    )
    wider = (span for span in around if span != own)
    return passage(document, chunk, *min(wider, key=lambda span: span[1] - span[0], default=own))


def passage(document: Document, chunk: Chunk, start: int, end: int) -> Chunk:
    """`document.text[start:end]`, which holds `chunk`, as a chunk."""
    if (start, end) == (chunk.start, chunk.end):
        return chunk
    text = document.text[start:end]
    first_line = document.first_line
    return replace(
        chunk,
        start=start,
        end=end,
        text=text,
        page=document.page_at(start),
        heading=document.heading_at(start),
        line=None if first_line is None else first_line + document.text.count("\n", 0, start),
        cells="",
        context="" if chunk.context in text else chunk.context,
        omitted=tuple(
            (max(first, start) - start, min(last, end) - start)
            for first, last in document.omitted_spans
            if first < end and start < last
        ),
    )
