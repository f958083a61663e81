"""The points of a knowledge base: what of a document is kept in which, and under which id.

base      one: format and embedder
document  the ledger: one light row per document, written last; it says which version counts
content   canonical text, pages, sections, in parts
chunk     passage, terms, vector
journal   at most one: the documents whose old or unfinished version may still lie about
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from ingest.documents import Chunk, Document, FileEntry, Prepared
from retrieval.embedding import Vectors
from retrieval.store import Payload, Point, Store
from retrieval.terms import analyse

FORMAT = 1
PART = 500_000  # characters of canonical text in one point
CHUNK_FIELDS = (
    "document_id", "uri", "title", "start", "end", "text", "heading", "page", "position",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Base:
    """What a knowledge base remembers of itself.

    `fingerprint` tells the model behind the embedder's name, see `retrieval.reembedding`; "" in
    bases from before there was one.
    """

    embedder: str
    dimension: int
    format: int = FORMAT
    fingerprint: str = ""


def point_id(*parts: object) -> int:
    """63 bits of a hash. Two of a million points share one with a chance of 5 in 10^8; engines
    hand whole numbers over ten times faster than UUIDs, a quarter of a search's time."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8], "big") >> 1


BASE_ID = point_id("base")
JOURNAL_ID = point_id("journal")


def row_id(uri: str) -> int:
    """Id of the ledger row of a document."""
    return point_id("document", uri)


def content_id(document_id: str, number: int) -> int:
    """Id of a part of a document's text."""
    return point_id("content", document_id, number)


def chunk_point(chunk: Chunk, document: Document, vector: Vectors, facts: Payload) -> Point:
    """A chunk as the store keeps it: its fields, what it is filtered by, its terms, its vector.

    `facts` are those of `retrieval.facts`.
    """
    payload = {
        "kind": "chunk",
        **{name: getattr(chunk, name) for name in CHUNK_FIELDS},
        "heading": list(chunk.heading),
        "media_type": document.media_type,
        "metadata": dict(document.metadata),
        **facts,
        "terms": " ".join(analyse(chunk.embedded_text)),
    }
    return Point(point_id("chunk", chunk.document_id, chunk.position), payload, vector)


def renamed_chunk(point: Point, document: Document) -> Point:
    """The point of a chunk that now belongs to `document`."""
    payload = {**point.payload, "uri": document.uri, "document_id": document.id}
    return Point(point_id("chunk", document.id, payload["position"]), payload, point.vector)


def chunk_of(point: Point) -> Chunk:
    """The chunk that a point read with `CHUNK_FIELDS` holds."""
    values = {name: point.payload.get(name) for name in CHUNK_FIELDS}
    values["heading"] = tuple(values["heading"] or ())
    return Chunk(**values)  # type: ignore[arg-type]


def content_points(document: Document) -> list[Point]:
    """The canonical text in parts of `PART` characters; pages and sections are in the first."""
    starts = range(0, max(1, len(document.text)), PART)
    head = {
        "pages": [[page.number, page.start, page.end] for page in document.pages],
        "sections": [[s.title, s.level, s.start, s.end] for s in document.sections],
        "metadata": dict(document.metadata),
        "quality": dict(document.quality),
    }
    return [
        Point(
            content_id(document.id, number),
            {
                "kind": "content",
                "uri": document.uri,
                "document_id": document.id,
                "text": document.text[start : start + PART],
                **(head if number == 0 else {}),
            },
        )
        for number, start in enumerate(starts)
    ]


def row_point(item: Prepared) -> Point:
    """The row of the ledger."""
    document = item.document
    payload = {
        "kind": "document",
        "uri": document.uri,
        "document_id": document.id,
        "sha256": document.sha256,
        "title": document.title,
        "media_type": document.media_type,
        "chunks": len(item.chunks),
        "parts": max(1, -(-len(document.text) // PART)),
        **(file_fields(item.entry) if item.entry else {}),
    }
    return Point(row_id(document.uri), payload)


def file_fields(entry: FileEntry) -> dict[str, Any]:
    """What the ledger knows of a file."""
    return {
        "root": entry.root,
        "source": entry.path,
        "size": entry.size,
        "mtime_ns": entry.mtime_ns,
        "ctime_ns": entry.ctime_ns,
    }


def read_base(store: Store) -> Base | None:
    """What the store says of itself; None for one that was never written to."""
    point = store.read([BASE_ID]).get(BASE_ID)
    if point is None:
        return None
    payload = point.payload
    said = (payload["embedder"], payload["dimension"], payload["format"])
    return Base(*said, payload.get("fingerprint", ""))


def write_base(store: Store, base: Base) -> None:
    """Record the embedder and the format in the store."""
    store.write([Point(BASE_ID, {"kind": "base", **asdict(base)})])
