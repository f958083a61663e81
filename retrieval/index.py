"""`Index`: documents in, hits out. All that other packages may call of the store.

A hit counts only if its version is the one in the ledger row. Writing that row is therefore the
moment at which a document changes, for readers in any thread and after a crash.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import PurePosixPath
from typing import TypeVar

from ingest.documents import Document, FileEntry, Page, Prepared, Record, Section
from ingest.errors import BadRequest, StorageError
from retrieval.embedding import Embedder
from retrieval.facts import facts_of
from retrieval.filters import Filters
from retrieval.fusion import CANDIDATES, Fused, dense_weight, fuse, idf
from retrieval.hits import Hit
from retrieval.journal import Journal
from retrieval.lookups import Lookups
from retrieval.points import (
    CHUNK_FIELDS,
    chunk_of,
    chunk_point,
    content_id,
    content_points,
    file_fields,
    renamed_chunk,
    row_id,
    row_point,
)
from retrieval.store import Payload, Point, Store
from retrieval.terms import analyse_query

_ALL = ""  # key of the number of all passages; no term is empty
SPARE = 10  # candidates beyond 2k, since in a replaced document each passage may be there twice
MAX_K = 1000
ATTEMPTS = 3  # to read what a writer is replacing at the moment
MAX_QUERY = 20_000  # characters; BM25 and the embedder see no use in more
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Explanation:
    """A search with its reasons: `weight` of the dense leg, `terms` with their idf, `timings` in s.

    `evidence` is the score of the best hit: how well the base covers the question, 0..1.
    """

    hits: tuple[Hit, ...]
    weight: float
    known_share: float
    terms: Mapping[str, float]
    timings: Mapping[str, float]

    @property
    def evidence(self) -> float:
        """Score of the best hit, 0 without one."""
        return self.hits[0].score if self.hits else 0.0


class Index:
    """The documents of one knowledge base. Reads from any thread; writes one at a time."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder
        self._writing = threading.RLock()
        self._frequencies: dict[str, int] = {}  # passages that hold a term, since the last write
        self._version = 0  # counts documents' changes by this process
        self._journal = Journal(store)
        self._lookups = Lookups(store, lambda: self._version)

    # --- reading ---

    def search(self, query: str, k: int = 10, *, where: Filters | None = None) -> list[Hit]:
        """The `k` best passages for `query`, of those that `where` admits.

        Raises BadRequest for an empty query or a bad `k`, FilterError for a bad filter.
        """
        return list(self.explain(query, k, where=where).hits)

    def explain(self, query: str, k: int = 10, *, where: Filters | None = None) -> Explanation:
        """As `search`, with weights, terms and timings."""
        query = _checked(query, k)
        condition = self._lookups.condition(where)
        clock = _Clock()
        vector = self._embedder.embed_query(query)
        known = self._embedder.known_share(query)
        clock.lap("embed")
        terms = analyse_query(query)
        limit = max(CANDIDATES, 2 * k)
        weight = dense_weight(known)

        def attempt() -> tuple[list[Hit], dict[str, float]]:
            dense, lexical = self._store.search(
                vector, " ".join(terms), limit=limit, where=condition
            )
            clock.lap("search")
            weights = self.term_weights(terms)
            total = sum(weights.values())
            fused = fuse(dense, lexical, weight=weight, total_idf=total, keep=2 * k + SPARE)
            clock.lap("fuse")
            hits = self._current_hits(fused, k)
            clock.lap("read")
            return hits, weights

        hits, weights = self._undisturbed(attempt)
        return Explanation(tuple(hits), weight, known, weights, clock.laps)

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Weight of each term over the passages of this base, see `retrieval.fusion.idf`."""
        known = self._frequencies  # one dict from here on: a write in between puts a new one there
        if not known:
            known[_ALL] = self._store.count({"kind": "chunk"})
        unknown = [term for term in terms if term not in known]
        known.update(zip(unknown, self._store.term_counts(unknown), strict=True))
        return {term: idf(term, known[_ALL], known[term]) for term in terms}

    def documents(self) -> Iterator[Record]:
        """The ledger."""
        names = [field.name for field in fields(Record)]
        for point in self._store.scan({"kind": "document"}):
            yield Record(**{name: point.payload[name] for name in names if name in point.payload})

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
        head = payloads[0]
        return Document(
            uri=uri,
            sha256=row["sha256"],
            text="".join(payload["text"] for payload in payloads),
            title=row["title"],
            media_type=row["media_type"],
            pages=tuple(Page(*page) for page in head["pages"]),
            sections=tuple(Section(*section) for section in head["sections"]),
            metadata=head["metadata"],
            quality=head["quality"],
        )

    def count(self) -> tuple[int, int]:
        """(documents, chunks) in the base."""
        return self._store.count({"kind": "document"}), self._store.count({"kind": "chunk"})

    # --- writing ---

    def replace(self, batch: Sequence[Prepared]) -> None:
        """Write documents in their new version, then drop the old one. Durable on return."""
        batch = list({item.document.uri: item for item in batch}.values())
        texts = [chunk.embedded_text for item in batch for chunk in item.chunks]
        vectors = iter(self._embedder.embed(texts))
        uris = [item.document.uri for item in batch]
        with self._writing, self._journalled(uris, [item.document.id for item in batch]):
            chunks = [
                chunk_point(chunk, item.document, next(vectors), facts)
                for item in batch
                for facts in [facts_of(item.document)]
                for chunk in item.chunks
            ]
            contents = [point for item in batch for point in content_points(item.document)]
            self._store.write([*chunks, *contents])
            self._version += 1  # before the rows: who searches from here on finds the new chunks
            self._store.write([row_point(item) for item in batch])
            self._journal.restore([*chunks, *contents])
            self._frequencies = {}
            self._store.optimize(more_to_come=True)

    def rename(self, pairs: Sequence[tuple[str, FileEntry]]) -> None:
        """Give documents another uri and file. Vectors are copied; only a document whose title is
        its file's name is embedded anew."""
        with self._writing:
            for old, entry in pairs:
                self._rename(old, entry)

    def touch(self, entries: Sequence[FileEntry]) -> None:
        """Record new file times of documents whose bytes are the same."""
        with self._writing:
            rows = self._store.read([row_id(entry.uri) for entry in entries])
            self._store.write(
                [
                    replace(rows[id_], payload={**rows[id_].payload, **file_fields(entry)})
                    for entry in entries
                    if (id_ := row_id(entry.uri)) in rows
                ]
            )

    def remove(self, uris: Sequence[str]) -> None:
        """Drop documents; uris that do not exist are ignored."""
        with self._writing, self._journalled(uris):
            self._store.delete([row_id(uri) for uri in uris])
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

    def _current_hits(self, fused: Sequence[Fused], k: int) -> list[Hit]:
        """The first `k` candidates whose version is the one in the ledger."""
        hits: list[Hit] = []
        current: dict[str, str] = {}  # asked once for each uri: an answer is of one version
        for candidates in (fused[:k], fused[k:]):
            points = self._store.read([item.id for item in candidates], fields=CHUNK_FIELDS)
            uris = {point.payload["uri"] for point in points.values()} - current.keys()
            rows = self._store.read([row_id(uri) for uri in uris], fields=["document_id"])
            for uri in uris:
                row = rows.get(row_id(uri))
                current[uri] = row.payload["document_id"] if row else ""
            for item in candidates:
                point = points.get(item.id)
                if point and point.payload["document_id"] == current[point.payload["uri"]]:
                    hits.append(Hit(chunk_of(point), min(1.0, item.score), item.legs))
            if len(hits) >= k:  # else some were of a version that is going
                break
        return hits[:k]

    def _row_and_parts(self, uri: str) -> tuple[Payload | None, list[Payload]]:
        """The ledger row of a document and the parts of its text; no parts if one is missing."""
        row = self._row(uri)
        if row is None:
            return None, []
        parts = [content_id(row["document_id"], number) for number in range(row["parts"])]
        found = self._store.read(parts)
        complete = len(found) == len(parts)
        return row, [found[part].payload for part in parts] if complete else []

    def _row(self, uri: str) -> Payload | None:
        id_ = row_id(uri)
        point = self._store.read([id_]).get(id_)
        return None if point is None else point.payload

    def _rename(self, old: str, entry: FileEntry) -> None:
        document, row = self.document(old), self._row(old)
        if document is None or row is None:
            return
        named_after_file = document.title == PurePosixPath(old).stem
        title = PurePosixPath(entry.uri).stem if named_after_file else document.title
        renamed = replace(document, uri=entry.uri, title=title)
        with self._journalled([old, entry.uri], [renamed.id]):
            points = self._renamed_chunks(document, renamed, facts_of(renamed))
            self._store.write([*points, *content_points(renamed)])
            fresh = {
                **row,
                "uri": entry.uri,
                "document_id": renamed.id,
                "title": title,
                **file_fields(entry),
            }
            self._version += 1
            self._store.write([Point(row_id(entry.uri), fresh)])
            if old != entry.uri:
                self._store.delete([row_id(old)])

    def _renamed_chunks(self, document: Document, renamed: Document, facts: Payload) -> list[Point]:
        """The chunks under the new name, with their vectors unless the title is another one."""
        where = {"kind": "chunk", "document_id": document.id}
        points = list(self._store.scan(where, vectors=True))
        if renamed.title == document.title:
            return [renamed_chunk(point, renamed) for point in points]
        chunks = [
            replace(chunk_of(point), uri=renamed.uri, document_id=renamed.id, title=renamed.title)
            for point in points
        ]
        vectors = self._embedder.embed([chunk.embedded_text for chunk in chunks])
        return [
            chunk_point(chunk, renamed, vector, facts)
            for chunk, vector in zip(chunks, vectors, strict=True)
        ]

    @contextmanager
    def _journalled(self, uris: Sequence[str], documents: Sequence[str] = ()) -> Iterator[None]:
        """Remembers in the store what is being written, and sweeps up when it is."""
        self._journal.begin(uris, documents)
        yield
        self._journal.finish(uris)


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now


def _checked(query: str, k: int) -> str:
    query = query.strip()
    if not query:
        raise BadRequest("the question is empty")
    if not 1 <= k <= MAX_K:
        raise BadRequest(f"k is {k}: ask for 1 to {MAX_K} passages")
    # a command line whose bytes are no UTF-8 arrives with lone surrogates
    return query[:MAX_QUERY].encode("utf-8", "replace").decode()
