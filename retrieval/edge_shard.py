"""A shard of the embedded engine: how it keeps, indexes and merges; making one, opening one."""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from retrieval.edge_errors import mapped
from retrieval.store import (
    DATE_FIELDS,
    INTEGER_FIELDS,
    KEYWORD_FIELDS,
    PREFIX_FIELDS,
    TERMS,
    VECTOR,
)

# A segment is built in memory, and a search asks each: an eighth of the base keeps their number the
# same at any size. The floor is 13,000 vectors of 384 floats.
SEGMENTS, MAX_SEGMENT_KB = 8, 20_000
HNSW_M, HNSW_EF, FULL_SCAN_KB = 16, 100, 10_000  # the engine's defaults
NEW = ".new-"  # how the folder of a shard in the making begins
INDEXING_THRESHOLD_KB = 1000  # the engine's own unit and trigger; 650 vectors of 384 floats
# The graph is walked on vectors of one byte a dimension: 2.3 times faster to build, 1.8 to search,
# and a quarter of the memory. The CANDIDATES it finds are then compared by their whole vectors:
# recall@10 at 30,000 vectors .999, without that .991 (bench.scale).


def create(shard: Path, dimension: int) -> None:
    """Make an empty shard beside its place and move it there, so that it is whole or not there."""
    from qdrant_edge import EdgeShard

    temporary = Path(tempfile.mkdtemp(prefix=NEW, dir=shard.parent))
    with mapped(shard.parent):
        engine = EdgeShard.create(str(temporary), _config(dimension, 0))
        index_fields(engine)
        engine.flush()
        engine.close()
    temporary.chmod(0o755)
    os.rename(temporary, shard)


def load(shard: Path, vectors: int = 0) -> Any:
    """Open a shard; with segments for so many vectors, if given, instead of as it was."""
    from qdrant_edge import EdgeShard

    if not vectors:
        return EdgeShard.load(str(shard))
    return EdgeShard.load(str(shard), _config(_dimension(shard), vectors))


def leave(engine: Any, lock: Any) -> None:
    """Leave a shard, which was flushed, and its lock to the end of the process.

    The engine drops the files of a shard that it closes from the system's cache, and the next
    process reads them from the disk: of 1,700 documents .2 s.
    """
    for held in (engine, lock):  # not closed by the interpreter either, as it ends
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))


def points_in(engine: Any) -> int:
    """How many points there are, of every kind."""
    from qdrant_edge import CountRequest, Filter

    return int(engine.count(CountRequest(filter=Filter(), exact=True)))


def search_params() -> Any:
    """Of a search: what the bytes find is compared again by the whole vectors."""
    from qdrant_edge import QuantizationSearchParams, SearchParams

    return SearchParams(quantization=QuantizationSearchParams(rescore=True))


def _config(dimension: int, vectors: int) -> Any:
    """How the engine keeps, indexes and merges a base of so many vectors."""
    from qdrant_edge import (
        Distance,
        EdgeConfig,
        EdgeOptimizersConfig,
        EdgeVectorParams,
        HnswIndexConfig,
        Memory,
        ScalarQuantizationConfig,
        ScalarType,
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
        quantization_config=ScalarQuantizationConfig(ScalarType.Int8, memory=Memory.Cold),
    )


def _dimension(shard: Path) -> int:
    said = json.loads((shard / "edge_config.json").read_text("utf-8"))
    return int(said["vectors"][VECTOR]["size"])


def index_fields(engine: Any) -> None:
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
