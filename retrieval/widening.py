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
    """The innermost section that holds all of `chunk`, as a passage; `chunk` if there is none."""
    holding = [s for s in document.sections if s.start <= chunk.start and chunk.end <= s.end]
    if not holding:
        return chunk
    section = min(holding, key=lambda section: section.end - section.start)
    start, end = section.start, section.end
    return replace(
        chunk,
        start=start,
        end=end,
        text=document.text[start:end],
        page=document.page_at(start),
        heading=document.heading_at(start),
        line=None,
        cells="",
        context="",
        omitted=(),
    )
