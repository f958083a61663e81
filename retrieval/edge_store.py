"""`Store` on `qdrant-edge-py`: Qdrant's engine inside this process, its data in one folder.

The only file that knows qdrant_edge's API.

    FOLDER/lock         held while a process has the base open
    FOLDER/holder.json  who that is, for the message to the one who comes second
    FOLDER/shard/       the engine's own files; see `retrieval.versions` for others beside it
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from ingest.errors import BadRequest, KbqaError, Locked, StorageError
from retrieval.batching import batches
from retrieval.conditions import And, Between, Compare, Match, Not, Or, Prefix, Where
from retrieval.embedding import Vectors
from retrieval.gate import Gate, Shared
from retrieval.store import (
    BM25_B,
    BM25_K,
    DATE_FIELDS,
    INTEGER_FIELDS,
    KEYWORD_FIELDS,
    PREFIX_FIELDS,
    TERMS,
    VECTOR,
    Point,
    Scored,
)
from retrieval.versions import (
    Pointer,
    note_closed,
    read_pointer,
    shard_folder,
    tags_in,
    take_closed,
    write_pointer,
)

SCAN_PAGE = 1000
# An unindexed segment rebuilds its text index at every load (90 ms per 1,000 chunks), an indexed
# one does not; indexing costs .35 ms a chunk.
OPTIMIZE_FROM = 3000
OPTIMIZE_AMIDST = 8000  # while more is being written: bounds the memory of the unindexed segment
# A segment is built in memory, and a search asks each: an eighth of the base keeps their number the
# same at any size. The floor is 13,000 vectors of 384 floats.
SEGMENTS, MAX_SEGMENT_KB = 8, 20_000
HNSW_M, HNSW_EF, FULL_SCAN_KB = 16, 100, 10_000  # the engine's defaults
INDEXING_THRESHOLD_KB = 1000  # the engine's own unit and trigger; 650 vectors of 384 floats
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
        self._gate = Gate()
        self._written = 0  # vectors that are not indexed
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _acquire(folder, lock_timeout)  # held by all versions that are open
        except OSError as exc:
            raise StorageError(f"cannot open {folder}: {exc.strerror or exc}") from exc
        try:
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
            self._update(UpdateOperation.upsert_points([_to_engine(point) for point in batch]))
            self._written += sum(point.vector is not None for point in batch)

    def read(
        self, ids: Sequence[int], *, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> dict[int, Point]:
        """The points that exist among `ids`, with the named payload fields or all of them."""
        if not ids:
            return {}
        payload = True if fields is None else list(fields)
        with self._engine() as shard:
            records = shard.retrieve(list(ids), payload, vectors)
        return {point.id: point for point in map(_from_engine, records)}

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
                filter=_filter(where),
                with_payload=payload,
                with_vector=vectors,
            )
            with self._engine() as shard:
                records, offset = shard.scroll(request)
            yield from map(_from_engine, records)
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

        operation = UpdateOperation.delete_points_by_filter(_filter(where, unless))
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
        condition = _filter(where) if where else None
        requests = [
            QueryRequest(query=query, limit=limit, filter=condition, with_payload=False)
            for query in queries
        ]
        with self._engine() as shard:
            found = shard.query_batch(QueryBatchRequest(requests))
        legs = [_ranked(points) for points in found]
        dense = legs.pop(0) if vector is not None else []
        return dense, legs.pop(0) if legs else []

    def count(self, where: Where) -> int:
        """Number of points that match, exact."""
        return self._count(_filter(where), exact=True)

    def term_counts(self, terms: Sequence[str]) -> list[int]:
        """In how many points each term occurs, as the length of its posting list."""
        from qdrant_edge import FieldCondition, Filter, MatchText

        filters = [Filter(must=[FieldCondition(TERMS, match=MatchText(term))]) for term in terms]
        # not exact: 15 times faster, and for one term the estimate is the posting list's length
        return [self._count(condition, exact=False) for condition in filters]

    def optimize(self, *, more_to_come: bool = False) -> None:
        """Index what has been written since the last time, if it is enough.

        The engine keeps what it has freed; it is closed and opened again to give it back, for which
        readers wait a few tenths of a second.
        """
        if self._written < (OPTIMIZE_AMIDST if more_to_come else OPTIMIZE_FROM):
            return
        self._require_space()
        self._reopen()  # with the size of segments that the base has grown into
        with self._engine() as shard:
            shard.optimize()
        self._written = 0
        self._reopen()

    def close(self) -> None:
        """Flush and release the folder. Closing twice does no harm."""
        with self._gate.alone():
            shard, self._shard = self._shard, None
        if shard is None:
            return
        try:
            with _mapped(self._folder):
                shard.flush()
                points = _points(shard)
                shard.close()
            with contextlib.suppress(OSError):
                note_closed(self._folder, self.tag, points)
        finally:
            self._lock.let_go()

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
        other._gate, other._written, other._shard = Gate(), 0, None
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
        shutil.rmtree(shard_folder(self._folder, tag))

    # --- inside ---

    def _open(self, dimension: int | None) -> Any:
        shard = shard_folder(self._folder, self.tag)
        if not shard.is_dir():
            if dimension is None:
                raise StorageError(f"there is no knowledge base in {self._folder}")
            self._require_space()
            _create(shard, dimension)
        with _mapped(self._folder, loading=True):
            engine = _load(shard)
            _index_fields(engine)
            there = _points(engine)
        expected = take_closed(self._folder, self.tag)
        if expected is not None and there < expected:  # the engine does not notice a cut file
            engine.close()
            raise StorageError(
                f"the knowledge base in {self._folder} is damaged: {expected - there} of "
                f"{expected} points are missing; restore it from a backup, or delete the folder "
                "and ingest again"
            )
        self._written = self._unindexed(engine)
        return engine

    @staticmethod
    def _unindexed(engine: Any) -> int:
        """Vectors without an index when a base is opened; rows and texts have none to index."""
        from qdrant_edge import CountRequest

        chunks = engine.count(CountRequest(filter=_filter({"kind": "chunk"}), exact=False))
        return max(0, int(chunks) - int(engine.info().indexed_vectors_count))

    def _reopen(self) -> None:
        vectors = self.count({"kind": "chunk"})
        with self._gate.alone(), _mapped(self._folder, loading=True):
            self._shard.flush()
            self._shard.close()
            self._shard = _load(shard_folder(self._folder, self.tag), vectors)

    @contextlib.contextmanager
    def _engine(self) -> Iterator[Any]:
        with self._gate.shared(), _mapped(self._folder):
            if self._shard is None:
                raise StorageError(f"the knowledge base in {self._folder} is closed")
            yield self._shard

    def _count(self, condition: Any, *, exact: bool) -> int:
        from qdrant_edge import CountRequest

        with self._engine() as shard:
            return int(shard.count(CountRequest(filter=condition, exact=exact)))

    def _update(self, operation: Any, *, grows: bool = True) -> None:
        if grows:
            self._require_space()
        with self._engine() as shard:
            shard.update(operation)

    def _require_space(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < FREE_BYTES:
            raise StorageError(
                f"the disk that holds {self._folder} is nearly full: {free // 2**20} MB free, "
                f"{FREE_BYTES // 2**20} MB needed; nothing is lost, free space and run it again"
            )


def _points(engine: Any) -> int:
    from qdrant_edge import CountRequest, Filter

    return int(engine.count(CountRequest(filter=Filter(), exact=True)))


def _load(shard: Path, vectors: int = 0) -> Any:
    """Open a shard; with segments for so many vectors, if given, instead of as it was."""
    from qdrant_edge import EdgeShard

    if not vectors:
        return EdgeShard.load(str(shard))
    return EdgeShard.load(str(shard), _config(_dimension(shard), vectors))


def _dimension(shard: Path) -> int:
    said = json.loads((shard / "edge_config.json").read_text("utf-8"))
    return int(said["vectors"][VECTOR]["size"])


def _config(dimension: int, vectors: int) -> Any:
    """How the engine keeps, indexes and merges a base of so many vectors."""
    from qdrant_edge import (
        Distance,
        EdgeConfig,
        EdgeOptimizersConfig,
        EdgeVectorParams,
        HnswIndexConfig,
        Memory,
    )

    kilobytes = vectors * dimension * 4 // 1024
    return EdgeConfig(
        vectors={
            VECTOR: EdgeVectorParams(size=dimension, distance=Distance.Dot, memory=Memory.Cold)
        },
        optimizers=EdgeOptimizersConfig(
            default_segment_number=SEGMENTS,
            indexing_threshold=INDEXING_THRESHOLD_KB,
            max_segment_size=max(MAX_SEGMENT_KB, kilobytes // SEGMENTS),
        ),
        hnsw_config=HnswIndexConfig(HNSW_M, HNSW_EF, FULL_SCAN_KB, memory=Memory.Cold),
    )


def _index_fields(engine: Any) -> None:
    """Make the payload indexes that are not there yet: all, or those that came with a version."""
    from qdrant_edge import (
        DatetimeIndexParams,
        IntegerIndexParams,
        KeywordIndexParams,
        Memory,
        TextIndexParams,
        TextScoringParams,
        TokenizerType,
        UpdateOperation,
    )

    wanted: dict[str, Any] = {
        TERMS: TextIndexParams(
            tokenizer=TokenizerType.Word,
            lowercase=True,
            scoring=TextScoringParams(),
            memory=Memory.Cold,
        )
    }
    for name in KEYWORD_FIELDS:
        prefix = name in PREFIX_FIELDS
        wanted[name] = KeywordIndexParams(memory=Memory.Cold, prefix=prefix)
    for name in DATE_FIELDS:
        wanted[name] = DatetimeIndexParams(memory=Memory.Cold)
    for name in INTEGER_FIELDS:
        wanted[name] = IntegerIndexParams(lookup=True, range=True, memory=Memory.Cold)
    there = engine.info().payload_schema
    for name, params in wanted.items():
        if name not in there:
            engine.update(UpdateOperation.create_field_index(name, params))


def _create(shard: Path, dimension: int) -> None:
    """Make an empty shard beside its place and move it there, so that it is whole or not there."""
    from qdrant_edge import EdgeShard

    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=shard.parent))
    with _mapped(shard.parent):
        engine = EdgeShard.create(str(temporary), _config(dimension, 0))
        _index_fields(engine)
        engine.flush()
        engine.close()
    temporary.chmod(0o755)
    os.rename(temporary, shard)


def _acquire(folder: Path, timeout: float) -> Shared:
    lock = FileLock(folder / "lock", timeout=timeout, thread_local=False)
    try:
        lock.acquire()
    except Timeout as exc:
        raise Locked(f"{folder} is in use by {_holder(folder)}; wait for it or end it") from exc
    command = " ".join([Path(sys.argv[0]).name or "python", *sys.argv[1:]])[:80]
    holder = {"pid": os.getpid(), "command": command, "since": time.strftime("%H:%M:%S")}
    with contextlib.suppress(OSError):  # it only serves a message
        (folder / "holder.json").write_text(json.dumps(holder), "utf-8")

    def release() -> None:
        with contextlib.suppress(OSError):
            (folder / "holder.json").unlink()
        lock.release()

    return Shared(release)


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / "holder.json").read_text("utf-8"))
        return f"process {holder['pid']} ({holder['command']}, since {holder['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"


def _to_engine(point: Point) -> Any:
    from qdrant_edge import Point as EnginePoint

    vector: Any = {} if point.vector is None else {VECTOR: point.vector.tolist()}
    try:
        return EnginePoint(point.id, vector, dict(point.payload))
    except (TypeError, ValueError) as exc:  # a lone surrogate, a value that JSON does not have
        reason = re.sub(r"\s+", " ", str(exc))[-200:]
        raise BadRequest(f"point {point.id} cannot be stored: {reason}") from exc


def _from_engine(record: Any) -> Point:
    vector = record.vector.get(VECTOR) if record.vector else None
    array = None if vector is None else np.asarray(vector, np.float32)
    return Point(record.id, record.payload or {}, array)


def _ranked(points: Sequence[Any]) -> list[Scored]:
    scored = [Scored(point.id, point.score) for point in points]
    if any(first.score == second.score for first, second in pairwise(scored)):
        scored.sort(key=lambda item: (-item.score, item.id))
    return scored


def _filter(where: Where, unless: Where | None = None) -> Any:
    from qdrant_edge import Filter

    must_not: Any = [_condition(unless)] if unless else None
    return Filter(must=[_condition(where)], must_not=must_not)


def _condition(where: Where) -> Any:
    from qdrant_edge import (
        FieldCondition,
        Filter,
        HasIdCondition,
        MatchPrefix,
        RangeDateTime,
        RangeFloat,
    )

    if isinstance(where, And):
        return Filter(must=[_condition(part) for part in where.parts])
    if isinstance(where, Or):
        if not where.parts:  # no alternative holds; an empty list would be no condition
            return HasIdCondition(set())
        return Filter(should=[_condition(part) for part in where.parts])
    if isinstance(where, Not):
        return Filter(must_not=[_condition(where.part)])
    if isinstance(where, Match):
        return _match(where.key, where.values)
    if isinstance(where, Prefix):
        return FieldCondition(where.key, match=MatchPrefix(where.prefix))
    if isinstance(where, Between):
        kind = RangeDateTime if where.of_moments else RangeFloat
        bounds: Any = {"gte": where.gte, "gt": where.gt, "lte": where.lte, "lt": where.lt}
        return FieldCondition(where.key, range=kind(**bounds))
    if isinstance(where, Compare):
        raise BadRequest(f"the filter on {where.field} was not compiled: see retrieval.filters")
    return Filter(must=[_match(field, value) for field, value in where.items()])


def _match(field: str, value: Any) -> Any:
    from qdrant_edge import FieldCondition, Filter, MatchAny, MatchValue, RangeFloat

    if isinstance(value, list | tuple | set | frozenset):
        if all(isinstance(item, str) for item in value):
            return FieldCondition(field, match=MatchAny(list(value)))
        return Filter(should=[_match(field, item) for item in value])
    if isinstance(value, float):
        return FieldCondition(field, range=RangeFloat(gte=value, lte=value))
    if isinstance(value, bool):
        value = np.bool_(value)  # the engine would take a bool for the integer that it also is
    elif not isinstance(value, str | int) or (isinstance(value, int) and abs(value) >= 2**63):
        raise BadRequest(
            f"cannot filter {field} by {value!r}: use a text, a number, a bool or a list of them"
        )
    return FieldCondition(field, match=MatchValue(value))


@contextlib.contextmanager
def _mapped(folder: Path, *, loading: bool = False) -> Iterator[None]:
    """Turn the engine's exceptions into ours; it raises plain `Exception` and Rust panics."""
    quiet = _silent_stderr() if loading else contextlib.nullcontext()
    try:
        with quiet:
            yield
    except (KbqaError, OSError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as exc:  # PanicException derives from BaseException
        message = re.sub(r"\s+", " ", str(exc))
        if "WouldBlock" in message:
            raise Locked(f"{folder} is in use by {_holder(folder)}; wait for it or end it") from exc
        if any(sign in message for sign in ("No space left", "StorageFull", "Not enough space")):
            raise StorageError(f"the disk that holds {folder} is full; free some space") from exc
        if "Permission denied" in message or "PermissionDenied" in message:
            raise StorageError(f"no permission to write in {folder}") from exc
        if loading or type(exc).__name__ == "PanicException":
            raise StorageError(
                f"the knowledge base in {folder} is damaged ({message[:120]}); restore it from a "
                "backup, or delete the folder and ingest again"
            ) from exc
        raise StorageError(f"the store in {folder} failed: {message[:200]}") from exc


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep the report that a Rust panic writes to file descriptor 2 from the user's terminal."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
