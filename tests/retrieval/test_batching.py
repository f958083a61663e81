from __future__ import annotations

import numpy as np

from retrieval.batching import BATCH_BYTES, BATCH_POINTS, batches
from retrieval.store import Point


def sizes(points: list[Point]) -> list[int]:
    found = list(batches(points))
    assert [point for batch in found for point in batch] == points
    return [len(batch) for batch in found]


def test_cuts_at_so_many_points() -> None:
    points = [Point(number, {"n": number}) for number in range(2 * BATCH_POINTS + 1)]
    assert sizes(points) == [BATCH_POINTS, BATCH_POINTS, 1]
    assert sizes([]) == []


def test_cuts_at_so_many_bytes() -> None:
    third = Point(1, {"nested": {"list": ["x" * (BATCH_BYTES // 3 - 100)]}})
    assert sizes([third] * 7) == [3, 3, 1]
    chinese = Point(1, {"text": "中" * (BATCH_BYTES // 3 - 100)})
    assert sizes([chinese, chinese]) == [1, 1]
    vector = Point(1, {}, np.zeros(BATCH_BYTES // 50, np.float32))
    assert sizes([vector] * 5) == [2, 2, 1]


def test_a_point_beyond_the_limit_stands_alone() -> None:
    large, small = Point(1, {"text": "x" * 2 * BATCH_BYTES}), Point(2, {})
    assert sizes([small, large, small, small]) == [1, 1, 2]
