"""`Store` on a Qdrant server or cluster: all bases whose vectors are as long share a collection.

Only this file and its neighbours server_* know qdrant_client's API; importing it costs .9 s, so
nothing imports it unless a base lies on a server. Payload, vectors and indexes are those of
`retrieval.edge_store`: the terms are analysed by us, and the engine's Word tokenizer only cuts them
at blanks.

    kbqa_catalogue   one point per base: which version of it counts, and where its versions lie
    kbqa_384         the points of all bases with vectors of 384 numbers, told apart by `kb`
    kbqa-NAME        a base of its own, as versions of kbqa before 0.3 made them: still opened

BM25 on a server weighs terms by the whole collection; `term_counts` counts within the base.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from ingest.errors import BadRequest, StorageError
from retrieval.batching import batches
from retrieval.embedding import Vectors
from retrieval.gate import Shared
from retrieval.server_catalogue import SHARED_PREFIX, Entry, entry_of, forget, remember
from retrieval.server_client import is_local, url_of
from retrieval.server_collections import require_collection, text_query
from retrieval.server_errors import mapped
from retrieval.server_scope import Scope
from retrieval.store import TERMS, VECTOR, Point, Scored, Where

SCAN_PAGE = 1000
COUNT_THREADS = 8  # a question has some 10 terms, each a request of its own
_NAME = re.compile(r"[\w.-]{1,200}\Z", re.ASCII)  # the server allows 255 characters


class ServerStore:
    """A knowledge base on a server. Any number of processes and threads; closes its client."""

    exclusive = False
    """Whether this is the only process that has the base open."""

    _entry: Entry

    def __init__(self, client: QdrantClient, name: str, *, dimension: int | None = None) -> None:
        """Open the base `name`, or create it for vectors of `dimension`.

        Indexes that are missing, because someone was killed while creating the base, are made.
        Raises BadRequest for what is no name or no base of kbqa, StorageError if there is none and
        `dimension` is None.
        """
        self._client = client
        self._name = _checked(name)
        self._url = url_of(client)
        self._local = is_local(client)
        self._connection = Shared(client.close)  # held by all versions that are open
        self._closed = False
        self._pool = ThreadPoolExecutor(COUNT_THREADS, "kbqa-count")  # threads start when used
        try:
            with mapped(self._url):
                self._open(dimension)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def exists(client: QdrantClient, name: str) -> bool:
        """Whether there is a base `name` on the server."""
        with mapped(url_of(client)):
            return entry_of(client, _checked(name)) is not None

    @staticmethod
    def delete_base(client: QdrantClient, name: str) -> None:
        """Remove the base `name` with all its versions; interrupted, it goes on when called again.

        The catalogue forgets it last. A base that is not there is none to remove.
        """
        with mapped(url_of(client)):
            entry = entry_of(client, _checked(name))
            for collection, scope in entry.versions.values() if entry else ():
                _delete_version(client, collection, scope)
            forget(client, name)

    def write(self, points: Sequence[Point]) -> None:
        """Insert points or replace those of the same id."""
        for batch in batches(points):
            with mapped(self._url):
                structs = [self._to_engine(point) for point in batch]
                self._client.upsert(self._collection, structs, wait=True)

    def read(
        self, ids: Sequence[int], *, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> dict[int, Point]:
        """The points that exist among `ids`, with the named payload fields or all of them."""
        found: dict[int, Point] = {}
        payload = True if fields is None else list(fields)
        for first in range(0, len(ids), SCAN_PAGE):
            page = list(ids[first : first + SCAN_PAGE])
            with mapped(self._url):
                # not `retrieve`, which takes no filter and so no scope
                records, _ = self._client.scroll(
                    self._collection,
                    self._scope.of_ids(page),
                    limit=len(page),
                    with_payload=payload,
                    with_vectors=vectors,
                )
            found.update((point.id, point) for point in map(self._from_engine, records))
        return found

    def scan(
        self, where: Where, *, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> Iterator[Point]:
        """Every point that matches."""
        condition = self._scope.filter(where)
        payload = True if fields is None else list(fields)
        offset = None
        while True:
            with mapped(self._url):
                records, offset = self._client.scroll(
                    self._collection,
                    condition,
                    limit=SCAN_PAGE,
                    offset=offset,
                    with_payload=payload,
                    with_vectors=vectors,
                )
            yield from map(self._from_engine, records)
            if offset is None:
                return

    def delete(self, ids: Sequence[int]) -> None:
        """Remove points by id; ids that do not exist are ignored."""
        if ids:
            self._delete(self._scope.of_ids(ids))

    def delete_where(self, where: Where, *, unless: Where | None = None) -> None:
        """Remove the points that match `where` and do not match `unless`."""
        self._delete(self._scope.filter(where, unless))

    def search(
        self, vector: Vectors | None, terms: str, *, limit: int, where: Where | None = None
    ) -> tuple[list[Scored], list[Scored]]:
        """Both legs as one request: (cosine similarity, BM25), each best first, ties by id."""
        if limit < 1:
            return [], []
        queries: list[tuple[Any, str]] = []
        if vector is not None:
            queries.append((models.NearestQuery(nearest=vector.tolist()), VECTOR))
        if terms:
            queries.append((text_query(terms), TERMS))
        if not queries:
            return [], []
        condition = self._scope.filter(where)
        requests = [
            models.QueryRequest(
                query=query, using=using, filter=condition, limit=limit, with_payload=False
            )
            for query, using in queries
        ]
        with mapped(self._url):
            found = self._client.query_batch_points(self._collection, requests)
        legs = [self._ranked(response.points) for response in found]
        dense = legs.pop(0) if vector is not None else []
        return dense, legs.pop(0) if legs else []

    def count(self, where: Where) -> int:
        """Number of points that match, exact."""
        return self._count(self._scope.filter(where))

    def term_counts(self, terms: Sequence[str]) -> list[int]:
        """In how many points of this base each term occurs, exact."""
        filters = [self._scope.of_term(term) for term in terms]
        if self._local or len(filters) < 2:
            return list(map(self._count, filters))
        return list(self._pool.map(self._count, filters))

    def optimize(self, *, more_to_come: bool = False) -> None:
        """Nothing: a server indexes in the background by itself."""

    def close(self) -> None:
        """Close the connection. Closing twice does no harm."""
        if not self._closed:
            self._closed = True
            self._pool.shutdown()
            self._connection.let_go()

    def leave(self) -> None:
        """As `close`."""
        self.close()

    # --- versions, see `retrieval.reembedding` ---

    @property
    def tags(self) -> list[str]:
        """All versions, finished or not."""
        with mapped(self._url):
            return list((entry_of(self._client, self._name) or self._entry).versions)

    @property
    def previous(self) -> str | None:
        """Tag of the version that counted before this one; None if it is gone."""
        with mapped(self._url):
            entry = entry_of(self._client, self._name) or self._entry
        return entry.previous if entry.previous in entry.versions else None

    def beside(self, tag: str, dimension: int | None = None) -> ServerStore:
        """Another version of this base; made for vectors of `dimension` if it is not there.

        Both hold the connection; each is closed by itself.
        """
        other = ServerStore.__new__(ServerStore)
        other._client, other._name, other._url = self._client, self._name, self._url
        other._local, other._closed = self._local, False
        other._connection = self._connection.hold()
        other._pool = ThreadPoolExecutor(COUNT_THREADS, "kbqa-count")
        try:
            with mapped(self._url):
                other._open(dimension, tag)
        except BaseException:
            other.close()
            raise
        return other

    def switch(self, tag: str) -> None:
        """Let the version `tag` be the one that is opened from now on, in one request."""
        with mapped(self._url):
            entry = entry_of(self._client, self._name) or self._entry
            fresh = replace(entry, current=tag, previous=entry.current)
            self._entry = remember(self._client, fresh)

    def drop(self, tag: str) -> None:
        """Remove a version, which must not be the one that counts."""
        with mapped(self._url):
            entry = entry_of(self._client, self._name) or self._entry
            if tag not in entry.versions:
                return
            _delete_version(self._client, *entry.versions[tag])
            versions = {name: where for name, where in entry.versions.items() if name != tag}
            previous = None if entry.previous == tag else entry.previous
            self._entry = remember(
                self._client, replace(entry, previous=previous, versions=versions)
            )

    # --- inside ---

    def _open(self, dimension: int | None, tag: str | None = None) -> None:
        entry = entry_of(self._client, self._name)
        version = entry.current if entry and tag is None else tag or ""
        self.tag = version
        known = entry is not None and version in entry.versions
        if not known and dimension is None:
            raise StorageError(f"there is no knowledge base {self._name} at {self._url}")
        if known:
            assert entry is not None
            self._collection, scope = entry.versions[version]
        else:
            self._collection = f"{SHARED_PREFIX}{dimension}"
            scope = f"{self._name}@{version}" if version else self._name
        self._scope = Scope(scope)
        require_collection(self._client, self._collection, self._scope, dimension, base=self._name)
        if not known:
            entry = entry or Entry(self._name)
            versions = {**entry.versions, version: (self._collection, scope)}
            entry = remember(self._client, replace(entry, versions=versions))
        assert entry is not None
        self._entry = entry

    def _count(self, condition: models.Filter) -> int:
        with mapped(self._url):
            return self._client.count(self._collection, condition, exact=True).count

    def _delete(self, condition: models.Filter) -> None:
        with mapped(self._url):
            selector = models.FilterSelector(filter=condition)
            self._client.delete(self._collection, selector, wait=True)

    def _ranked(self, points: Sequence[models.ScoredPoint]) -> list[Scored]:
        scored = [Scored(self._scope.id(int(point.id)), point.score) for point in points]
        return sorted(scored, key=lambda item: (-item.score, item.id))

    def _to_engine(self, point: Point) -> models.PointStruct:
        vector: Any = {} if point.vector is None else {VECTOR: point.vector.tolist()}
        payload = self._scope.payload(point.payload)
        return models.PointStruct(id=self._scope.id(point.id), vector=vector, payload=payload)

    def _from_engine(self, record: models.Record) -> Point:
        vector = record.vector.get(VECTOR) if isinstance(record.vector, dict) else None
        array = None if vector is None else np.asarray(vector, np.float32)
        payload = self._scope.bare(record.payload or {})
        return Point(self._scope.id(int(record.id)), payload, array)


def _delete_version(client: QdrantClient, collection: str, scope: str | None) -> None:
    if not client.collection_exists(collection):
        return
    if scope is None:
        client.delete_collection(collection)
    else:
        client.delete(collection, models.FilterSelector(filter=Scope(scope).filter()), wait=True)


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise BadRequest(
            f"'{name}' is no name for a knowledge base on a server: letters, digits, - _ . only"
        )
    return name
