"""Opens a shard of the embedded engine and reads in it: a program of its own, for it may end it.

See `retrieval.edge_guard`. It imports nothing of ours, to start fast.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

SECONDS = 1.0  # of processor time, after which it is enough
PAGE = 200
UNREADABLE = 3  # exit code; a base that cannot even be opened is left to the one who asked


def main() -> None:
    """Look at the shard that the first argument describes."""
    from qdrant_edge import EdgeShard

    shard, *names = json.loads(sys.argv[1])
    engine = EdgeShard.load(shard)
    try:
        _read_in(engine, *names)
    except BaseException as exc:  # noqa: BLE001 - Rust panics derive from it
        os.write(1, " ".join(str(exc).split())[:120].encode())  # to the one who asked
        sys.exit(UNREADABLE)
    engine.close()


def _read_in(engine: Any, vector: str, terms: str, keywords: Sequence[str]) -> None:
    """Each point of some pages, looked for by its vector, its terms and its keywords."""
    from qdrant_edge import CountRequest, Filter, ScrollRequest

    engine.count(CountRequest(filter=Filter(), exact=True))
    offset = None
    while time.process_time() < SECONDS:
        request = ScrollRequest(limit=PAGE, offset=offset, with_payload=True, with_vector=True)
        records, offset = engine.scroll(request)
        for record in records:
            _search(engine, record, vector, terms, keywords)
        if offset is None:
            break


def _search(engine: Any, record: Any, vector: str, terms: str, keywords: Sequence[str]) -> None:
    from qdrant_edge import (
        CountRequest,
        FieldCondition,
        Filter,
        MatchValue,
        Query,
        QueryRequest,
        TextQuery,
    )

    payload = record.payload or {}
    if record.vector:
        near = Query.Nearest(record.vector[vector], using=vector)
        engine.query(QueryRequest(query=near, limit=10))
    if payload.get(terms):
        engine.query(QueryRequest(query=TextQuery(terms, payload[terms]), limit=10))
    for name in keywords:
        if isinstance(payload.get(name), str):
            condition = Filter(must=[FieldCondition(name, match=MatchValue(payload[name]))])
            engine.count(CountRequest(filter=condition, exact=True))
