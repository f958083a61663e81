"""What a base knows of itself, for `kbqa status` and `kbqa doctor`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ingest.documents import Chunk, Page
from retrieval.points import CHUNK_FIELDS, chunk_of, content_id, pages_of, row_id
from retrieval.sketches import copies
from retrieval.store import Store


def copies_in(store: Store) -> list[list[str]]:
    """Groups of documents that are near-copies of each other, by uri."""
    points = store.scan({"kind": "document"}, fields=["uri", "sketch"])
    return copies({point.payload["uri"]: point.payload.get("sketch", "") for point in points})


def miscounted(store: Store) -> Iterator[tuple[str, int, int]]:
    """(uri, chunks that its row promises, chunks that there are) where the two differ."""
    chunks = store.scan({"kind": "chunk"}, fields=["document_id"])
    found = Counter(point.payload["document_id"] for point in chunks)
    fields = ["uri", "document_id", "chunks"]
    for row in store.scan({"kind": "document"}, fields=fields):
        promised, there = row.payload["chunks"], found.pop(row.payload["document_id"], 0)
        if promised != there:
            yield row.payload["uri"], promised, there
    for version, there in found.items():
        yield version.rpartition("@")[0], 0, there


def passages_in(store: Store) -> Iterator[Chunk]:
    """The passages of the versions that count."""
    rows = store.scan({"kind": "document"}, fields=["document_id"])
    current = {row.payload["document_id"] for row in rows}
    for point in store.scan({"kind": "chunk"}, fields=CHUNK_FIELDS):
        if point.payload["document_id"] in current:
            yield chunk_of(point)


def pages_in(store: Store, uri: str) -> tuple[Page, ...]:
    """The pages of a document with what is known of their quality, without reading its text."""
    row = store.read([row_id(uri)], fields=["document_id"]).get(row_id(uri))
    if row is None or not row.payload["document_id"]:
        return ()
    first = content_id(row.payload["document_id"], 0)
    head = store.read([first], fields=["pages"]).get(first)
    return () if head is None else pages_of(head.payload)
