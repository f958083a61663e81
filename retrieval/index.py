"""`Index`: documents in, hits out. All that other packages may call of the store.

A hit counts only if its version is the one in the ledger row. Writing that row is therefore the
moment at which a document changes, for readers in any thread and after a crash.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from ingest.documents import Chunk, Document, FileEntry, Prepared, Record
from ingest.errors import StorageError
from retrieval.embedding import Embedder
from retrieval.explaining import Explanation
from retrieval.filters import Filters
from retrieval.fusion import idf
from retrieval.hits import Hit
from retrieval.journal import Journal
from retrieval.kept_rows import KeptRows
from retrieval.lookups import Lookups
from retrieval.points import (
    chunk_points,
    content_id,
    content_points,
    document_of,
    ledger,
    noted_row,
    packed,
    row_id,
    row_point,
    unpacked,
)
from retrieval.renaming import Move, in_batches, located, moved_points, moved_rows
from retrieval.reranking import Reranker
from retrieval.reuse import embed_unknown, known_vectors
from retrieval.searching import asked, checked, found, reranked
from retrieval.store import Payload, Point, Store
from retrieval.terms import latin_names
from retrieval.widening import around, section_around

_ALL = ""  # key of the number of all passages; no term is empty
MOST_FREQUENCIES = 100_000  # terms whose number of passages is kept
ATTEMPTS = 3  # to read what a writer is replacing at the moment

Read = TypeVar("Read")


class Index:
    """The documents of one knowledge base. Reads from any thread; writes one at a time."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        *,
        reranker: Reranker | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`clock` gives the time that rows of the ledger carry, in ns."""
        self._store = store
        self._embedder = embedder
        self._reranker = reranker
        self._clock = clock
        self._writing = threading.RLock()
        self._frequencies: dict[str, int] = {}  # passages that hold a term, since the last write
        self._version = 0  # counts documents' changes by this process
        self._journal = Journal(store)
        self._rows = KeptRows(store, exclusive=self._journal.exclusive)
        self._lookups = Lookups(store, lambda: self._version)

    # --- reading ---

    def search(self, query: str, k: int = 10, *, where: Filters | None = None) -> list[Hit]:
        """The `k` best passages for `query`, of those that `where` admits.

        Raises BadRequest for an empty query or a bad `k`, FilterError for a bad filter.
        """
        return list(self.explain(query, k, where=where).hits)

    def explain(self, query: str, k: int = 10, *, where: Filters | None = None) -> Explanation:
        """As `search`, with weights, terms and timings."""
        query = checked(query, k)
        condition = self._lookups.condition(where)
        question = asked(query, k, condition, self._embedder, reranks=self._reranker is not None)
        first = self._undisturbed(lambda: found(question, self._store, self.term_weights))
        return first if self._reranker is None else reranked(question, first, self._reranker)

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Weight of each term over the passages of this base, see `retrieval.fusion.idf`."""
        known = self._frequencies  # one dict from here on: a write in between puts a new one there
        if len(known) > MOST_FREQUENCIES:
            known = self._frequencies = {}
        if not known:
            known[_ALL] = self._store.count({"kind": "chunk"})
        unknown = [term for term in terms if term not in known]
        known.update(zip(unknown, self._store.term_counts(unknown), strict=True))
        is_name = latin_names(terms)
        return {
            term: idf(term, known[_ALL], known[term], is_name=term in is_name) for term in terms
        }

    def documents(self) -> Sequence[Record]:
        """The ledger in order of uri: rows of documents, of what failed and of containers."""
        return self._rows.rows()

    def record(self, uri: str) -> Record | None:
        """The row of the ledger for `uri`; None if there is none."""
        return next((row for row in ledger(self._store, uri) if row.uri == uri), None)

    def document(self, uri: str) -> Document | None:
        """A document with its canonical text; None if there is none of that uri."""
        for _ in range(ATTEMPTS):
            row, payloads = self._row_and_parts(uri)
            if row is None or payloads:
                break  # else a newer version came in between
        else:
            with self._writing:
                row, payloads = self._row_and_parts(uri)
        if row is None:
            return None
        if not payloads:
            raise StorageError(
                f"the text of {uri} is incomplete in the knowledge base: ingest it again"
            )
        return document_of(row, payloads)

    def neighbours(self, chunk: Chunk, before: int = 1, after: int = 1) -> list[Chunk]:
        """The passages around `chunk` in its document, itself among them, in reading order."""
        return around(self._store, chunk, before, after)

    def parent(self, chunk: Chunk) -> Chunk:
        """The innermost section that holds more than `chunk`, as a passage; else `chunk`."""
        document = self.document(chunk.uri)
        if document is None or document.id != chunk.document_id:
            return chunk
        return section_around(document, chunk)

    def count(self) -> tuple[int, int]:
        """(documents, chunks) in the base; of what failed, those whose last version answers."""
        return self._store.count({"kind": "document"}), self._store.count({"kind": "chunk"})

    # --- writing ---

    def replace(
        self, batch: Sequence[Prepared], *, waiting: Callable[[], None] = lambda: None
    ) -> None:
        """Write documents in their new version, then drop the old one. Durable on return.

        `waiting` is called now and then while they are embedded; what it raises ends that, with
        nothing written.
        """
        batch = list({item.document.uri: item for item in batch}.values())
        uris = [item.document.uri for item in batch]
        texts = [chunk.embedded_text for item in batch for chunk in item.chunks]
        with ThreadPoolExecutor(1, "kbqa-points") as beside:  # the model leaves Python free
            made = beside.submit(_points_of, batch)
            known = known_vectors(self._store, uris)
            vectors = embed_unknown(self._embedder, texts, known, waiting)
            blank, contents = made.result()
        chunks = [
            replace(point, vector=vector) for point, vector in zip(blank, vectors, strict=True)
        ]
        with self._writing, self._journalled(uris, [item.document.id for item in batch]):
            self._store.write([*chunks, *contents])
            self._version += 1  # before the rows: who searches from here on finds the new chunks
            now = self._clock()
            self._write_rows([row_point(item, now) for item in batch])
            self._journal.restore([*chunks, *contents])
            self._frequencies = {}
            self._store.optimize(more_to_come=True)

    def note(self, records: Sequence[Record]) -> None:
        """Write rows without a document: of failures, whose last good version keeps answering, and
        of containers."""
        with self._writing, self._journalled([record.uri for record in records]):
            ids = [row_id(record.uri) for record in records]
            rows = {id_: unpacked(point.payload) for id_, point in self._store.read(ids).items()}
            now = self._clock()
            self._version += 1
            self._write_rows(
                [noted_row(record, rows.get(row_id(record.uri)), now) for record in records]
            )
            self._frequencies = {}

    def rename(self, pairs: Sequence[tuple[str, FileEntry]]) -> None:
        """Give documents another uri and file. Nothing is embedded: vectors are copied, see
        `retrieval.renaming`."""
        with self._writing:
            for moves in in_batches(pairs, self._store):
                self._rename(moves)

    def touch(self, entries: Sequence[FileEntry]) -> None:
        """Record new file times of documents whose bytes are the same."""
        with self._writing:
            rows = self._store.read([row_id(entry.uri) for entry in entries])
            self._write_rows(
                [
                    replace(rows[id_], payload=packed(located(unpacked(rows[id_].payload), entry)))
                    for entry in entries
                    if (id_ := row_id(entry.uri)) in rows
                ]
            )

    def remove(self, uris: Sequence[str]) -> None:
        """Drop documents; uris that do not exist are ignored."""
        with self._writing, self._journalled(uris):
            self._delete_rows([row_id(uri) for uri in uris])
            self._frequencies = {}

    def recover(self) -> None:
        """Finish what an interrupted write left. To be called before writing."""
        with self._writing:
            self._journal.recover()

    def optimize(self) -> None:
        """Build the index over what has been written, where that is worth it."""
        with self._writing:
            self._store.optimize()

    # --- inside ---

    def _undisturbed(self, attempt: Callable[[], Read]) -> Read:
        """What `attempt` reads while no document changes.

        If one does in between, what was found in its old version may be gone by now: read again,
        the last time with the writers waiting.
        """
        for _ in range(ATTEMPTS):
            version = self._version
            found = attempt()
            if version == self._version:
                return found
        with self._writing:
            return attempt()

    def _row_and_parts(self, uri: str) -> tuple[Payload | None, list[Payload]]:
        """The ledger row of a document and the parts of its text; no parts if one is missing."""
        row = self._row(uri)
        if row is None or not row["document_id"]:
            return None, []
        parts = [content_id(row["document_id"], number) for number in range(row["parts"])]
        found = self._store.read(parts)
        complete = len(found) == len(parts)
        return row, [found[part].payload for part in parts] if complete else []

    def _row(self, uri: str) -> Payload | None:
        id_ = row_id(uri)
        point = self._store.read([id_]).get(id_)
        return None if point is None else unpacked(point.payload)

    def _rename(self, moves: Sequence[Move]) -> None:
        uris = list(dict.fromkeys(uri for move in moves for uri in move.uris))
        documents = [id_ for move in moves if (id_ := move.new["document_id"])]
        points = moved_points(self._store, moves)
        rows, gone = moved_rows(moves)
        with self._journalled(uris, documents):
            self._store.write(points)
            self._version += 1
            self._write_rows(rows)
            self._journal.restore(points)
            self._delete_rows(gone)
            self._frequencies = {}

    def _write_rows(self, rows: Sequence[Point]) -> None:
        try:
            self._store.write(rows)
        finally:
            self._rows.changed()

    def _delete_rows(self, ids: Sequence[int]) -> None:
        try:
            self._store.delete(ids)
        finally:
            self._rows.changed()

    @contextmanager
    def _journalled(self, uris: Sequence[str], documents: Sequence[str] = ()) -> Iterator[None]:
        """Remembers in the store what is being written, and sweeps up when it is."""
        self._journal.begin(uris, documents)
        yield
        self._journal.finish(uris)


def _points_of(batch: Sequence[Prepared]) -> tuple[list[Point], list[Point]]:
    """The passages of documents, without vectors, and the parts of their texts."""
    chunks = [point for item in batch for point in chunk_points(item)]
    return chunks, [point for item in batch for point in content_points(item.document)]
