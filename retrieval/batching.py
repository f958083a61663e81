"""Points cut into requests that an engine takes in one piece."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from retrieval.store import Payload, Point

BATCH_POINTS = 500
# One batch is one record of the write-ahead log (segments of 32 MB) and one request to a server
# (which takes 32 MB); both need it in memory several times over.
BATCH_BYTES = 8_000_000


def batches(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Consecutive runs of `points`, each within both limits or a single point beyond them."""
    batch: list[Point] = []
    room = BATCH_BYTES
    for point in points:
        size = _size(point.payload) + (0 if point.vector is None else 20 * point.vector.size)
        if batch and (size > room or len(batch) == BATCH_POINTS):
            yield batch
            batch, room = [], BATCH_BYTES
        batch.append(point)
        room -= size
    if batch:
        yield batch


def _size(payload: Payload) -> int:
    """About as many bytes as it takes in JSON, of other scripts twice as many."""
    return len(json.dumps(payload, default=str))
