"""`Store` on `qdrant-edge-py`: Qdrant's engine inside this process, its data in one folder.

The only file, with its neighbours edge_*, that knows qdrant_edge's API.

    FOLDER/lock, holder.json  see `retrieval.edge_lock`
    FOLDER/closed.json        see `retrieval.edge_guard`
    FOLDER/shard/             the engine's own files; see `retrieval.versions` for others beside it
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ingest.errors import Closed, StorageError
from retrieval.batching import batches
from retrieval.edge_aside import discard, exchange, indexed_copy, sweep
from retrieval.edge_errors import CURE, mapped
from retrieval.edge_guard import Seal, break_seal, check, probe, seal, sealed
from retrieval.edge_lock import acquire
from retrieval.edge_shard import create, index_fields, leave, load, points_in, search_params
from retrieval.edge_values import filter_of, from_engine, ranked, to_engine
from retrieval.embedding import Vectors
from retrieval.gate import Gate, Use
from retrieval.store import BM25_B, BM25_K, TERMS, VECTOR, Point, Scored, Where
from retrieval.versions import Pointer, read_pointer, shard_folder, tags_in, write_pointer

SCAN_PAGE = 1000
# An unindexed segment rebuilds its text index at every load (90 ms per 1,000 chunks), an indexed
# one does not; indexing costs .35 ms a chunk.
OPTIMIZE_FROM = 3000
OPTIMIZE_AMIDST = 8000  # while more is being written: bounds the memory of the unindexed segment
AMIDST_SHARE = 1 / 64  # or of a large base: fewer rounds of indexing, each of which opens it anew
GROWN = 1.25  # times larger than when the size of segments was last set: worth opening it anew
# The engine maps its files into memory, and writing to a map on a full disk ends the process. So
# there must be room for a new log segment (32 MB) and the growth of the storages beforehand.
FREE_BYTES = 96 * 1024 * 1024


class EdgeStore:
    """An embedded knowledge base. One process at a time; any number of threads."""

    exclusive = True
    """Whether this is the only process that has the base open."""

    def __init__(self, folder: Path, *, dimension: int | None = None, lock_timeout: float) -> None:
        """Open the base in `folder`, or create it for vectors of `dimension`.

        Waits `lock_timeout` seconds for another process to let go of it. Raises Locked, or
        StorageError when the folder cannot be written or is damaged.
        """
        self._folder = folder
        self._shard: Any = None
        self._seal = Seal()
        self._gate = Gate()
        self._writing = threading.Lock()
        self._use = Use()
        self._written = 0  # vectors that are not indexed
        self._sized_for = 0  # vectors for which the size of segments was set by this process
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = acquire(folder, lock_timeout)  # held by all versions that are open
        except OSError as exc:
            raise StorageError(f"cannot open {folder}: {exc.strerror or exc}") from exc
        try:
            sweep(folder)
            self._pointer = read_pointer(folder)
            self.tag = self._pointer.current
            self._shard = self._open(dimension)
        except BaseException:
            self._lock.let_go()
            raise

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is a base in `folder`."""
        return shard_folder(folder, read_pointer(folder).current).is_dir()

    def write(self, points: Sequence[Point]) -> None:
        """Insert points or replace those of the same id."""
        from qdrant_edge import UpdateOperation

        for batch in batches(points):
            self._update(UpdateOperation.upsert_points([to_engine(point) for point in batch]))
            self._written += sum(point.vector is not None for point in batch)

    def read(
        self, ids: Sequence[int], *, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> dict[int, Point]:
        """The points that exist among `ids`, with the named payload fields or all of them."""
        if not ids:
            return {}
        payload = True if fields is None else list(fields) or False  # [] would read all of it
        with self._engine() as shard:
            records = shard.retrieve(list(ids), payload, vectors)
        return {point.id: point for point in map(from_engine, records)}

    def scan(
        self, where: Where, *, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> Iterator[Point]:
        """Every point that matches, ordered by id."""
        from qdrant_edge import ScrollRequest

        payload = True if fields is None else list(fields)
        offset = None
        while True:
            request = ScrollRequest(
                limit=SCAN_PAGE,
                offset=offset,
                filter=filter_of(where),
                with_payload=payload,
                with_vector=vectors,
            )
            with self._engine() as shard:
                records, offset = shard.scroll(request)
            yield from map(from_engine, records)
            if offset is None:
                return

    def delete(self, ids: Sequence[int]) -> None:
        """Remove points by id; ids that do not exist are ignored."""
        from qdrant_edge import UpdateOperation

        if ids:
            self._update(UpdateOperation.delete_points(list(ids)), grows=False)

    def delete_where(self, where: Where, *, unless: Where | None = None) -> None:
        """Remove the points that match `where` and do not match `unless`."""
        from qdrant_edge import UpdateOperation

        operation = UpdateOperation.delete_points_by_filter(filter_of(where, unless))
        self._update(operation, grows=False)

    def search(
        self, vector: Vectors | None, terms: str, *, limit: int, where: Where | None = None
    ) -> tuple[list[Scored], list[Scored]]:
        """Both legs as one batch: (cosine similarity, BM25), each best first, ties by id."""
        from qdrant_edge import Bm25Params, Query, QueryBatchRequest, QueryRequest, TextQuery

        queries: list[Any] = []
        if vector is not None:
            queries.append(Query.Nearest(vector.tolist(), using=VECTOR))
        if terms:
            queries.append(TextQuery(TERMS, terms, Bm25Params(BM25_K, BM25_B)))
        if not queries:
            return [], []
        condition = filter_of(where) if where else None
        params = search_params()
        requests = [
            QueryRequest(
                query=query, limit=limit, filter=condition, params=params, with_payload=False
            )
            for query in queries
        ]
        self._use.note()
        with self._engine() as shard:
            found = shard.query_batch(QueryBatchRequest(requests))
        legs = [ranked(points) for points in found]
        dense = legs.pop(0) if vector is not None else []
        return dense, legs.pop(0) if legs else []

    def count(self, where: Where) -> int:
        """Number of points that match, exact."""
        return self._count(filter_of(where), exact=True)

    def term_counts(self, terms: Sequence[str]) -> list[int]:
        """In how many points each term occurs, as the length of its posting list."""
        from qdrant_edge import FieldCondition, Filter, MatchText

        filters = [Filter(must=[FieldCondition(TERMS, match=MatchText(term))]) for term in terms]
        # not exact: 15 times faster, and for one term the estimate is the posting list's length
        return [self._count(condition, exact=False) for condition in filters]

    def optimize(self, *, more_to_come: bool = False) -> None:
        """Index what has been written since the last time, if it is enough.

        The engine keeps what it has freed; it is closed and opened again to give it back, for which
        readers wait a few tenths of a second. The indexing itself they do not wait for, see
        `retrieval.edge_aside`.
        """
        if self._written < OPTIMIZE_FROM:
            return
        vectors = self.count({"kind": "chunk"})
        if more_to_come and self._written < max(OPTIMIZE_AMIDST, vectors * AMIDST_SHARE):
            return
        self._require_space()
        if self._use.is_recent and self._optimize_aside(vectors):
            return
        if vectors > GROWN * self._sized_for:
            self._reopen(vectors)
        with self._engine() as shard:
            shard.optimize()
        self._written = 0
        self._reopen(0)

    def close(self) -> None:
        """Flush and release the folder. Closing twice does no harm."""
        self._end(leaving=False)

    def leave(self) -> None:
        """As `close`, for a process that is about to end: it holds the folder until then."""
        self._end(leaving=True)

    # --- versions, see `retrieval.reembedding` ---

    @property
    def previous(self) -> str | None:
        """Tag of the version that counted before this one; None if it is gone."""
        previous = read_pointer(self._folder).previous
        return previous if previous in self.tags else None

    @property
    def tags(self) -> list[str]:
        """All versions, finished or not."""
        return tags_in(self._folder)

    def beside(self, tag: str, dimension: int | None = None) -> EdgeStore:
        """Another version of this base; made for vectors of `dimension` if it is not there.

        Both hold the base; each is closed by itself.
        """
        other = EdgeStore.__new__(EdgeStore)
        other._folder, other._pointer, other.tag = self._folder, self._pointer, tag
        other._gate, other._shard = Gate(), None
        other._writing, other._use = threading.Lock(), self._use
        other._written = other._sized_for = 0
        other._seal = Seal()
        other._lock = self._lock.hold()
        try:
            other._shard = other._open(dimension)
        except BaseException:
            other._lock.let_go()
            raise
        return other

    def switch(self, tag: str) -> None:
        """Let the version `tag` be the one that is opened from now on, in one step."""
        self._pointer = Pointer(tag, read_pointer(self._folder).current)
        write_pointer(self._folder, self._pointer)

    def drop(self, tag: str) -> None:
        """Remove a version, which must not be the one that counts, nor open."""
        break_seal(self._folder, tag)
        shutil.rmtree(shard_folder(self._folder, tag))

    # --- inside ---

    def _end(self, *, leaving: bool) -> None:
        with self._gate.alone():
            shard, self._shard = self._shard, None
        if shard is None:
            return
        try:
            with mapped(self._folder):
                shard.flush()
                points = points_in(shard)
                if not leaving:
                    shard.close()
            with contextlib.suppress(OSError):  # without it the next one looks closer
                seal(self._folder, self.tag, points, before=self._seal)
        finally:
            if leaving:
                leave(shard, self._lock)
            else:
                self._lock.let_go()

    def _open(self, dimension: int | None) -> Any:
        shard = shard_folder(self._folder, self.tag)
        if not shard.is_dir():
            if dimension is None:
                raise StorageError(f"there is no knowledge base in {self._folder}")
            self._require_space()
            break_seal(self._folder, self.tag)  # of a version of that tag that is gone
            create(shard, dimension)
        else:
            self._seal = self._unsealed(shard)
        with mapped(self._folder, loading=True):
            engine = load(shard)
            index_fields(engine)
            there = points_in(engine)
        expected = self._seal.points
        if there < expected:  # the engine does not notice a cut file
            engine.close()
            raise StorageError(
                f"{self._damaged()}: {expected - there} of {expected} points are missing; {CURE}"
            )
        self._written = self._unindexed(engine)
        return engine

    def _unsealed(self, shard: Path) -> Seal:
        """What is known of a shard that is about to be opened, which is nothing after a crash.

        Raises StorageError if it is not as it was left.
        """
        try:
            found = sealed(self._folder, self.tag)
            if found is None:
                probe(shard)
            else:
                check(shard, found)
                break_seal(self._folder, self.tag)
        except StorageError as exc:
            self._require_space()  # without it the engine may be ended as it opens a whole base
            raise StorageError(f"{self._damaged()}: {exc}; {CURE}") from exc
        except OSError as exc:
            raise StorageError(f"cannot open {self._folder}: {exc.strerror or exc}") from exc
        return found or Seal()

    def _damaged(self) -> str:
        return f"the knowledge base in {self._folder} is damaged"

    @staticmethod
    def _unindexed(engine: Any) -> int:
        """Vectors without an index when a base is opened; rows and texts have none to index."""
        from qdrant_edge import CountRequest

        chunks = engine.count(CountRequest(filter=filter_of({"kind": "chunk"}), exact=False))
        return max(0, int(chunks) - int(engine.info().indexed_vectors_count))

    def _optimize_aside(self, vectors: int) -> bool:
        """As `optimize`, by another process, while this one answers; False where that fails."""
        shard = shard_folder(self._folder, self.tag)
        grown = vectors if vectors > GROWN * self._sized_for else 0
        with self._writing:
            with self._engine() as engine:
                engine.flush()
                points = points_in(engine)
            made = indexed_copy(shard, grown)
            if made is None:
                return False
            copy, copied = made
            try:
                if copied != points or not self._change_places(shard, copy):
                    return False
            finally:
                discard(copy)  # or what was in its place
        self._sized_for = grown or self._sized_for
        return True

    def _change_places(self, shard: Path, copy: Path) -> bool:
        with self._gate.alone(), mapped(self._folder, loading=True):
            if self._shard is None:
                raise Closed(f"the knowledge base in {self._folder} is closed")
            self._shard.flush()
            self._shard.close()
            try:
                exchange(copy, shard)
            except OSError:
                self._shard = load(shard)
                return False
            try:
                self._shard = load(shard)
            except BaseException:
                exchange(copy, shard)
                self._shard = load(shard)
                raise
        self._written = 0
        return True

    def _reopen(self, vectors: int) -> None:
        """Close and open again; with segments for a base of so many vectors, unless 0."""
        with self._gate.alone(), mapped(self._folder, loading=True):
            self._shard.flush()
            self._shard.close()
            self._shard = load(shard_folder(self._folder, self.tag), vectors)
        self._sized_for = vectors or self._sized_for

    @contextlib.contextmanager
    def _engine(self) -> Iterator[Any]:
        with self._gate.shared(), mapped(self._folder):
            if self._shard is None:
                raise Closed(f"the knowledge base in {self._folder} is closed")
            yield self._shard

    def _count(self, condition: Any, *, exact: bool) -> int:
        from qdrant_edge import CountRequest

        with self._engine() as shard:
            return int(shard.count(CountRequest(filter=condition, exact=exact)))

    def _update(self, operation: Any, *, grows: bool = True) -> None:
        if grows:
            self._require_space()
        with self._writing, self._engine() as shard:
            shard.update(operation)

    def _require_space(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < FREE_BYTES:
            raise StorageError(
                f"the disk that holds {self._folder} is nearly full: {free // 2**20} MB free, "
                f"{FREE_BYTES // 2**20} MB needed; nothing is lost, free space and run it again"
            )
