"""Documents under another uri: their points as they will be, with the vectors that they have.

Where the title is the file's name, it and the terms follow, and the vector goes on to know the old
name until the passage changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from ingest.documents import FileEntry
from ingest.errors import StorageError
from retrieval.points import (
    chunk_id,
    chunk_of,
    content_id,
    file_fields,
    indexed_terms,
    packed,
    row_id,
    unpacked,
)
from retrieval.store import Payload, Point, Store

BATCH_CHUNKS = 2_000  # held with their vectors and texts
BATCH_DOCUMENTS = 128


@dataclass(frozen=True, slots=True)
class Move:
    """A row of the ledger as it was, and as it will be."""

    old: Payload
    new: Payload

    @classmethod
    def of(cls, row: Payload, entry: FileEntry) -> Move:
        """The move of a document (or of a row without one) to the uri and place of `entry`."""
        uri, old, container = row["uri"], row["document_id"], row.get("container")
        new = {**located(row, entry), "uri": entry.uri}
        if container:  # its file has moved, and with that what it holds
            new["container"] = entry.uri.removesuffix(uri[len(container) :])
        if old:
            new["document_id"] = f"{entry.uri}@{old.rpartition('@')[2]}"
            if row["title"] == PurePosixPath(uri).stem:
                new["title"] = PurePosixPath(entry.uri).stem
        return cls(row, new)

    @property
    def uris(self) -> tuple[str, str]:
        """Before and after."""
        return self.old["uri"], self.new["uri"]


def moves_of(store: Store, pairs: Sequence[tuple[str, FileEntry]]) -> list[Move]:
    """The moves of `pairs` (old uri, file as it is now) of which the ledger has a row."""
    rows = store.read([row_id(old) for old, _ in pairs])
    return [
        Move.of(unpacked(rows[id_].payload), entry)
        for old, entry in pairs
        if (id_ := row_id(old)) in rows
    ]


def in_batches(pairs: Sequence[tuple[str, FileEntry]], store: Store) -> Iterator[list[Move]]:
    """The moves, as many at a time as are worth a write and small enough to hold."""
    batch: list[Move] = []
    chunks = 0
    for first in range(0, len(pairs), BATCH_DOCUMENTS):
        for move in moves_of(store, pairs[first : first + BATCH_DOCUMENTS]):
            batch.append(move)
            chunks += move.old["chunks"]
            if chunks >= BATCH_CHUNKS:
                yield batch
                batch, chunks = [], 0
        if batch:  # before the next rows are read: one of them may be overwritten by this batch
            yield batch
            batch, chunks = [], 0


def moved_points(store: Store, moves: Sequence[Move]) -> list[Point]:
    """Passages and texts of the documents that move. Raises StorageError for an incomplete one."""
    by_id = {move.old["document_id"]: move for move in moves if move.old["document_id"]}
    if not by_id:
        return []
    chunks = store.scan({"kind": "chunk", "document_id": list(by_id)}, vectors=True)
    points = [_moved_chunk(point, by_id[point.payload["document_id"]].new) for point in chunks]
    parts = {
        content_id(id_, number): (move.new, number)
        for id_, move in by_id.items()
        for number in range(move.old["parts"])
    }
    found = store.read(list(parts))
    for id_, (row, number) in parts.items():
        if id_ not in found:
            raise StorageError(
                f"the text of {row['uri']} is incomplete in the knowledge base: ingest it again"
            )
        payload = {**found[id_].payload, **_names(row)}
        points.append(Point(content_id(row["document_id"], number), payload))
    return points


def moved_rows(moves: Sequence[Move]) -> tuple[list[Point], list[int]]:
    """The rows to write, and the ids of those to delete after that."""
    rows = [Point(row_id(move.new["uri"]), packed(move.new)) for move in moves]
    written = {row.id for row in rows}
    return rows, [id_ for move in moves if (id_ := row_id(move.old["uri"])) not in written]


def located(row: Payload, entry: FileEntry) -> Payload:
    """A row whose file lies elsewhere, or has other times."""
    return {**row, **file_fields(entry, member=bool(row.get("container")))}


def _moved_chunk(point: Point, row: Payload) -> Point:
    payload = {**point.payload, **_names(row), "title": row["title"]}
    if row["title"] != point.payload["title"]:
        chunk = replace(chunk_of(point), title=row["title"])
        payload["terms"] = " ".join(indexed_terms(chunk))
    return Point(chunk_id(row["document_id"], payload["position"]), payload, point.vector)


def _names(row: Payload) -> Payload:
    return {"uri": row["uri"], "document_id": row["document_id"]}
