"""The points of a knowledge base: what of a document is kept in which, and under which id.

base      one: format and embedder
document  the ledger: one light row per document, written last; it says which version counts
file      rows of the ledger without a document: what failed, archives
content   canonical text, pages, sections, in parts
chunk     passage, terms, vector
journal   at most one: the documents whose old or unfinished version may still lie about
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ingest.documents import Chunk, Document, FileEntry, Mark, Page, Prepared, Record, Section
from retrieval.conditions import And, Match, Prefix
from retrieval.facts import facts_of
from retrieval.sketches import sketch
from retrieval.store import Payload, Point, Store
from retrieval.terms import analyse

FORMAT = 2  # 1: no rows of failures and members; read with defaults, raised by the next ingest
HEADER_REPEATS = 2  # of title and headings among the terms, beside their place in the text
PART = 500_000  # characters of canonical text in one point
CHUNK_FIELDS = (
    "document_id", "uri", "title", "start", "end", "text", "heading", "page", "position",
    "line", "cells", "context", "omitted",
)  # fmt: skip
ROWS = ("document", "file")  # kinds of the ledger's rows
_RECORD = tuple(field.name for field in fields(Record))
_APART = ("uri", "chunks")  # also fields of their own, to be read without the rest


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


def chunk_id(document_id: str, position: int) -> int:
    """Id of a passage."""
    return point_id("chunk", document_id, position)


def chunk_points(item: Prepared) -> list[Point]:
    """A document's chunks as the store keeps them, their vectors still to come: the fields of each,
    what it is filtered by, its terms."""
    facts = facts_of(item.document)
    return [_chunk_point(chunk, item.document, facts) for chunk in item.chunks]


def _chunk_point(chunk: Chunk, document: Document, facts: Payload) -> Point:
    payload = {
        "kind": "chunk",
        **{name: getattr(chunk, name) for name in CHUNK_FIELDS},
        "heading": list(chunk.heading),
        "omitted": [list(span) for span in chunk.omitted],
        "media_type": document.media_type,
        "metadata": dict(document.metadata),
        **facts,
        "terms": " ".join(indexed_terms(chunk)),
    }
    return Point(chunk_id(chunk.document_id, chunk.position), payload)


def indexed_terms(chunk: Chunk) -> list[str]:
    """The terms of a chunk for the lexical leg: a word of its title or headings counts thrice."""
    return HEADER_REPEATS * analyse(chunk.header) + analyse(chunk.embedded_text)


def chunk_of(point: Point) -> Chunk:
    """The chunk that a point read with `CHUNK_FIELDS` holds; format 1 lacks the last fields."""
    values = {name: point.payload.get(name) for name in CHUNK_FIELDS}
    values["heading"] = tuple(values["heading"] or ())
    values["omitted"] = tuple((start, end) for start, end in values["omitted"] or ())
    for name in ("cells", "context"):
        values[name] = values[name] or ""
    return Chunk(**values)  # type: ignore[arg-type]


def content_points(document: Document) -> list[Point]:
    """The canonical text in parts of `PART` characters; all that is not text is in the first."""
    starts = range(0, max(1, len(document.text)), PART)
    head = {
        "sha256": document.sha256,
        "media_type": document.media_type,
        "pages": [[p.number, p.start, p.end, p.label, dict(p.quality)] for p in document.pages],
        "sections": [[s.title, s.level, s.start, s.end] for s in document.sections],
        "marks": [[m.kind, m.start, m.end, m.label] for m in document.marks],
        "metadata": dict(document.metadata),
        "quality": dict(document.quality),
        "first_line": document.first_line,
        "parser": document.parser,
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


def document_of(row: Payload, parts: Sequence[Payload]) -> Document:
    """The document that a row and the parts of its text hold; format 1 lacks some of them."""
    head = parts[0]
    return Document(
        uri=row["uri"],
        sha256=head.get("sha256", row["sha256"]),
        text="".join(part["text"] for part in parts),
        title=row["title"],
        media_type=head.get("media_type", row["media_type"]),
        pages=pages_of(head),
        sections=tuple(Section(*section) for section in head["sections"]),
        metadata=head["metadata"],
        quality=head["quality"],
        marks=tuple(Mark(*mark) for mark in head.get("marks", ())),
        first_line=head.get("first_line"),
        parser=head.get("parser", ""),
    )


def pages_of(head: Payload) -> tuple[Page, ...]:
    """The pages that the first part of a document's text tells of."""
    return tuple(Page(*page) for page in head["pages"])


def packed(row: Payload) -> Payload:
    """A row as the store keeps it: what the ledger tells is one string, which an engine hands over
    four times faster than as many fields."""
    record = {name: row[name] for name in _RECORD if name in row}
    rest = {name: value for name, value in row.items() if name not in record or name in _APART}
    said = json.dumps(record, ensure_ascii=False)
    if not said.isascii():
        try:
            said.encode()
        except UnicodeEncodeError:  # the bytes of a path that are no UTF-8, as Python has them
            said = json.dumps(record)
    return {**rest, "record": said}


def unpacked(payload: Payload) -> dict[str, Any]:
    """A row with all its fields; those of format 1 are not packed."""
    return {**payload, **json.loads(payload.get("record", "{}"))}


def ledger(store: Store, prefix: str = "") -> Iterator[Record]:
    """Every row, of documents and of files, whose uri begins with `prefix`."""
    rows_of = Match("kind", ROWS)
    where = And((rows_of, Prefix("uri", prefix))) if prefix else rows_of
    points = list(store.scan(where, fields=["record"]))
    rows = [point.payload["record"] for point in points if "record" in point.payload]
    for row in json.loads(f"[{','.join(rows)}]"):  # all at once: half the time
        yield Record(**row)
    old = [point.id for point in points if "record" not in point.payload]
    for point in store.read(old, fields=_RECORD).values():
        yield Record(**{"quality": {}, **point.payload})


def row_point(item: Prepared, now: int) -> Point:
    """The row of a document in the ledger; `now` is the time in ns."""
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
        "state": "ok",
        "parser": document.parser,
        "container": item.container,
        "ingested_ns": now,
        "quality": dict(document.quality),
        "sketch": sketch(document.text),
    }
    if item.entry is not None:
        payload |= file_fields(item.entry, member=bool(item.container))
    return Point(row_id(document.uri), packed(payload))


def noted_row(record: Record, known: Payload | None, now: int) -> Point:
    """The row of what is no document: a container, or a failure over what is `known` of the file.

    The last good version of a file that failed keeps its id, parts, title and chunks.
    """
    row: dict[str, Any] = {
        "uri": record.uri,
        "sha256": record.sha256,
        "media_type": record.media_type,
        "state": record.state,
        "error": record.error,
        "parser": record.parser,
        "container": record.container,
        "ingested_ns": now,
        "root": record.root,
        "source": record.source,
        "size": record.size,
        "mtime_ns": record.mtime_ns,
        "ctime_ns": record.ctime_ns,
    }
    if not record.media_type and known:  # nobody found out what it is: as far as one knows, as ever
        row |= {name: known.get(name, "") for name in ("media_type", "parser")}
    if record.state != "container" and known and known["document_id"]:
        return Point(row_id(record.uri), packed({**known, **row}))
    fresh = {"kind": "file", "document_id": "", "title": "", "chunks": 0, "parts": 0, "quality": {}}
    return Point(row_id(record.uri), packed({**fresh, **row}))


def file_fields(entry: FileEntry, *, member: bool = False) -> dict[str, Any]:
    """What the ledger knows of a file. Of a member: where the file lies that holds it."""
    return {
        "root": entry.root,
        "source": entry.path,
        "size": 0 if member else entry.size,
        "mtime_ns": 0 if member else entry.mtime_ns,
        "ctime_ns": 0 if member else entry.ctime_ns,
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
