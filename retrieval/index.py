"""`Index`: documents in, hits out. All that other packages may call of the store.

A hit counts only if its version is the one in the ledger row. Writing that row is therefore the
moment at which a document changes, for readers in any thread and after a crash.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TypeVar

from ingest.documents import Chunk, Document, FileEntry, Prepared, Record
from ingest.errors import BadRequest, StorageError
from retrieval.copies import fold
from retrieval.embedding import Embedder
from retrieval.fusion import (
    CANDIDATES,
    EVIDENCE,
    NEGLIGIBLE,
    REFINED,
    Fused,
    covered_share,
    dense_weight,
    evidence,
    fuse,
    idf,
    probability,
    refine,
)
from retrieval.hits import Hit
from retrieval.points import (
    CHUNK_FIELDS,
    JOURNAL_ID,
    chunk_of,
    chunk_point,
    content_id,
    content_points,
    document_of,
    file_fields,
    indexed_terms,
    ledger,
    noted_row,
    packed,
    renamed_chunk,
    row_id,
    row_point,
    unpacked,
)
from retrieval.reranking import RERANKED, Reranker, rerank
from retrieval.reuse import embed_unknown, known_vectors
from retrieval.store import Payload, Point, Store, Where
from retrieval.terms import analyse_query, stems
from retrieval.widening import around, section_around

_ALL = ""  # key of the number of all passages; no term is empty
EVIDENT = 3  # hits whose words count as evidence
SPARE = 10  # candidates beyond 2k, since in a replaced document each passage may be there twice
MAX_K = 1000
ATTEMPTS = 3  # to read what a writer is replacing at the moment
MAX_QUERY = 20_000  # characters; BM25 and the embedder see no use in more
FILTERABLE = frozenset({"uri", "media_type", "title", "page"})


Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Explanation:
    """A search with its reasons: `weight` of the dense leg, `terms` with their idf, `timings` in s.

    `evidence` is the probability that the base answers the question, 0..1; it does not depend on
    `k`. `cut` says how many candidates are not among the hits, and why.
    """

    hits: tuple[Hit, ...]
    weight: float
    known_share: float
    terms: Mapping[str, float]
    timings: Mapping[str, float]
    evidence: float = 0.0
    cut: Mapping[str, int] = field(default_factory=dict)


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

    # --- reading ---

    def search(self, query: str, k: int = 10, *, where: Where | None = None) -> list[Hit]:
        """The `k` best passages for `query`. Raises BadRequest for an empty query or a bad `k`."""
        return list(self.explain(query, k, where=where).hits)

    def explain(self, query: str, k: int = 10, *, where: Where | None = None) -> Explanation:
        """As `search`, with weights, terms and timings."""
        query = _checked(query, k)
        condition = _condition(where)
        clock = _Clock()
        vector = self._embedder.embed_query(query)
        known = self._embedder.known_share(query)
        clock.lap("embed")
        terms = analyse_query(query)
        limit = max(CANDIDATES, 2 * k)
        weight = dense_weight(known)
        wanted = max(k, RERANKED) if self._reranker else k

        def attempt() -> Explanation:
            dense, lexical = self._store.search(
                vector, " ".join(terms), limit=limit, where=condition
            )
            clock.lap("search")
            weights = self.term_weights(terms)
            total = sum(weights.values())
            fused = fuse(dense, lexical, weight=weight, total_idf=total)
            if weight > NEGLIGIBLE:
                first = [item.id for item in fused[:REFINED]]
                vectors = {
                    id_: point.vector
                    for id_, point in self._store.read(first, fields=["uri"], vectors=True).items()
                    if point.vector is not None
                }
                fused = refine(fused, vector, vectors, weight=weight, total_idf=total)
            clock.lap("fuse")
            hits, outdated = self._current_hits(fused, max(wanted, EVIDENT))
            meant = {term: weights[term] for term in stems(weights)}
            found = evidence(
                known_share=known,
                cosine=max(0.0, dense[0].score) if dense else 0.0,
                lexical=lexical[0].score / total if lexical else 0.0,
                covered=max(
                    (covered_share(meant, set(indexed_terms(hit.chunk))) for hit in hits[:EVIDENT]),
                    default=0.0,
                ),
                weights=EVIDENCE,
            )
            clock.lap("read")
            cut = {
                "older version": outdated,
                "beyond k": len(fused) - outdated - len(hits[:wanted]),
            }
            return Explanation(
                tuple(hits[:wanted]),
                weight if total > 0 else 1.0,
                known,
                weights,
                clock.laps,
                found if hits else 0.0,
                {reason: count for reason, count in cut.items() if count > 0},
            )

        found = self._undisturbed(attempt)
        if self._reranker is None:
            return found
        hits = rerank(self._reranker, query, found.hits, k)
        clock.lap("rerank")
        beyond = found.cut.get("beyond k", 0) + len(found.hits) - len(hits)
        return replace(found, hits=tuple(hits), cut={**found.cut, "beyond k": beyond})

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Weight of each term over the passages of this base, see `retrieval.fusion.idf`."""
        known = self._frequencies  # one dict from here on: a write in between puts a new one there
        if not known:
            known[_ALL] = self._store.count({"kind": "chunk"})
        unknown = [term for term in terms if term not in known]
        known.update(zip(unknown, self._store.term_counts(unknown), strict=True))
        return {term: idf(term, known[_ALL], known[term]) for term in terms}

    def documents(self) -> Iterator[Record]:
        """The ledger: rows of documents, of what failed and of containers."""
        return ledger(self._store)

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
        """The innermost section that holds `chunk`, as a passage; `chunk` where there is none."""
        document = self.document(chunk.uri)
        if document is None or document.id != chunk.document_id:
            return chunk
        return section_around(document, chunk)

    def count(self) -> tuple[int, int]:
        """(documents, chunks) in the base; of what failed, those whose last version answers."""
        return self._store.count({"kind": "document"}), self._store.count({"kind": "chunk"})

    # --- writing ---

    def replace(self, batch: Sequence[Prepared]) -> None:
        """Write documents in their new version, then drop the old one. Durable on return."""
        batch = list({item.document.uri: item for item in batch}.values())
        texts = [chunk.embedded_text for item in batch for chunk in item.chunks]
        known = known_vectors(self._store, [item.document.uri for item in batch])
        vectors = iter(embed_unknown(self._embedder, texts, known))
        with self._writing, self._journalled([item.document.uri for item in batch]):
            chunks = [
                chunk_point(chunk, item.document, next(vectors))
                for item in batch
                for chunk in item.chunks
            ]
            contents = [point for item in batch for point in content_points(item.document)]
            self._store.write([*chunks, *contents])
            self._version += 1  # before the rows: who searches from here on finds the new chunks
            now = self._clock()
            self._store.write([row_point(item, now) for item in batch])
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
            self._store.write(
                [noted_row(record, rows.get(row_id(record.uri)), now) for record in records]
            )
            self._frequencies = {}

    def rename(self, pairs: Sequence[tuple[str, FileEntry]]) -> None:
        """Give documents another uri and file. Nothing is embedded: vectors are copied.

        Where the title is the file's name, it and the terms follow, and the vector goes on to know
        the old name until the passage changes.
        """
        with self._writing:
            for old, entry in pairs:
                self._rename(old, entry)

    def touch(self, entries: Sequence[FileEntry]) -> None:
        """Record new file times of documents whose bytes are the same."""
        with self._writing:
            rows = self._store.read([row_id(entry.uri) for entry in entries])
            self._store.write(
                [
                    replace(rows[id_], payload=packed(_at(unpacked(rows[id_].payload), entry)))
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
            for point in self._store.read([JOURNAL_ID]).values():
                self._sweep(json.loads(point.payload["uris"]))

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

    def _current_hits(self, fused: Sequence[Fused], k: int) -> tuple[list[Hit], int]:
        """The first `k` candidates whose version is the one in the ledger, and how many were of
        another."""
        hits: list[Hit] = []
        outdated = 0
        current: dict[str, str] = {}  # asked once for each uri: an answer is of one version
        for candidates in (fused[:k], fused[k : 2 * k + SPARE]):
            points = self._store.read([item.id for item in candidates], fields=CHUNK_FIELDS)
            uris = {point.payload["uri"] for point in points.values()} - current.keys()
            rows = self._store.read([row_id(uri) for uri in uris], fields=["document_id"])
            for uri in uris:
                row = rows.get(row_id(uri))
                current[uri] = row.payload["document_id"] if row else ""
            for item in candidates:
                point = points.get(item.id)
                if point and point.payload["document_id"] == current[point.payload["uri"]]:
                    hits.append(Hit(chunk_of(point), probability(item.score), item.legs))
                else:
                    outdated += 1
            hits = fold(hits)
            if len(hits) >= k:  # else some were copies, or of a version that is going
                break
        return hits[:k], outdated

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

    def _rename(self, old: str, entry: FileEntry) -> None:
        row = self._row(old)
        if row is None:
            return
        fresh = {**_at(row, entry), "uri": entry.uri}
        if row.get("container"):  # its file has moved, and with that what it holds
            fresh["container"] = entry.uri.removesuffix(old[len(row["container"]) :])
        document = self.document(old) if row["document_id"] else None
        with self._journalled([old, entry.uri]):
            if document is not None:
                named_after_file = document.title == PurePosixPath(old).stem
                title = PurePosixPath(entry.uri).stem if named_after_file else document.title
                renamed = replace(document, uri=entry.uri, title=title)
                where = {"kind": "chunk", "document_id": row["document_id"]}
                points = self._store.scan(where, vectors=True)
                chunks = [renamed_chunk(point, renamed) for point in points]
                self._store.write([*chunks, *content_points(renamed)])
                fresh |= {"document_id": renamed.id, "title": title}
            self._version += 1
            self._store.write([Point(row_id(entry.uri), packed(fresh))])
            if old != entry.uri:
                self._store.delete([row_id(old)])

    def _journalled(self, uris: Sequence[str]) -> _Journal:
        return _Journal(self, self._store, list(uris))

    def _sweep(self, uris: Sequence[str]) -> None:
        """Drop every version of `uris` that the ledger does not name, and the journal."""
        rows = self._store.read([row_id(uri) for uri in uris], fields=["document_id"])
        current = [point.payload["document_id"] for point in rows.values()]
        self._store.delete_where(
            {"kind": ["chunk", "content"], "uri": list(uris)},
            unless={"document_id": current} if current else None,
        )
        self._store.delete([JOURNAL_ID])


def _at(row: Payload, entry: FileEntry) -> Payload:
    """A row whose file lies elsewhere, or has other times."""
    return {**row, **file_fields(entry, member=bool(row.get("container")))}


class _Journal:
    """Remembers in the store what is being written, and sweeps up when it is."""

    def __init__(self, index: Index, store: Store, uris: list[str]) -> None:
        self._index, self._store, self._uris = index, store, uris

    def __enter__(self) -> None:
        self._index.recover()
        payload = {"kind": "journal", "uris": json.dumps(self._uris)}
        self._store.write([Point(JOURNAL_ID, payload)])

    def __exit__(self, kind: object, exc: object, traceback: object) -> None:
        if kind is None:
            self._index._sweep(self._uris)


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


def _condition(where: Where | None) -> Where | None:
    if not where:
        return None
    condition = {}
    for name, value in where.items():
        known = name in FILTERABLE or name.startswith("metadata.")
        if not known:
            names = ", ".join(sorted(FILTERABLE))
            raise BadRequest(f"unknown filter field '{name}': use {names} or metadata.NAME")
        condition[name] = value
    return condition
