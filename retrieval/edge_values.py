"""Points and conditions in the embedded engine's own types, and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ingest.errors import BadRequest
from retrieval.conditions import And, Between, Compare, Match, Not, Or, Prefix, Where
from retrieval.store import VECTOR, Point, Scored


def to_engine(point: Point) -> Any:
    """A point for the engine. Raises BadRequest for what it cannot keep."""
    from qdrant_edge import Point as EnginePoint

    vector: Any = {} if point.vector is None else {VECTOR: point.vector.tolist()}
    try:
        return EnginePoint(point.id, vector, dict(point.payload))
    except (TypeError, ValueError) as exc:  # a lone surrogate, a value that JSON does not have
        reason = re.sub(r"\s+", " ", str(exc))[-200:]
        raise BadRequest(f"point {point.id} cannot be stored: {reason}") from exc


def from_engine(record: Any) -> Point:
    """A record that the engine has read."""
    vectors = record.vector  # the engine makes a list of it each time it is asked
    vector = vectors.get(VECTOR) if vectors else None
    array = None if vector is None else np.asarray(vector, np.float32)
    return Point(record.id, record.payload or {}, array)


def ranked(points: Sequence[Any]) -> list[Scored]:
    """What a leg found, best first, equal scores in order of id."""
    scored = [Scored(point.id, point.score) for point in points]
    if any(first.score == second.score for first, second in pairwise(scored)):
        scored.sort(key=lambda item: (-item.score, item.id))
    return scored


def filter_of(where: Where, unless: Where | None = None) -> Any:
    """What matches `where` and not `unless`."""
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
