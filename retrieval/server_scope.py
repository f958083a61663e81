"""The scope of a base on a server: part of every request, so that no caller can forget it.

Many bases share one collection. A point carries the name of its base in the payload field `kb`,
and its id there is mixed with that name, so that the same document in two bases is two points.
Conditions in `qdrant_client`'s terms are made here and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from qdrant_client import models

from ingest.errors import BadRequest
from retrieval.conditions import And, Between, Compare, Match, Not, Or, Prefix, Where
from retrieval.store import TERMS, Payload

SCOPE_FIELD = "kb"


class Scope:
    """One base in a collection of many; `name` None is a collection that holds one base alone."""

    def __init__(self, name: str | None) -> None:
        self.name = name
        self._mask = 0 if name is None else _mask(name)

    def filter(self, where: Where | None = None, unless: Where | None = None) -> models.Filter:
        """The points of this base that match `where` and do not match `unless`."""
        must: list[Any] = [*self._own(), *([_condition(where)] if where else [])]
        return models.Filter(must=must, must_not=[_condition(unless)] if unless else None)

    def of_ids(self, ids: Sequence[int]) -> models.Filter:
        """Those of this base among `ids`."""
        there: Any = [self.id(id_) for id_ in ids]
        return models.Filter(must=[*self._own(), models.HasIdCondition(has_id=there)])

    def of_term(self, term: str) -> models.Filter:
        """The points of this base that hold a term."""
        holds = models.FieldCondition(key=TERMS, match=models.MatchText(text=term))
        return models.Filter(must=[*self._own(), holds])

    def id(self, id_: int) -> int:
        """A point's id in the collection from its id in the base, and the other way round."""
        return id_ ^ self._mask

    def payload(self, payload: Payload) -> dict[str, Any]:
        """A payload with the name of the base."""
        return dict(payload) if self.name is None else {**payload, SCOPE_FIELD: self.name}

    def bare(self, payload: dict[str, Any]) -> dict[str, Any]:
        """A payload as it was written."""
        if self.name is not None:
            payload.pop(SCOPE_FIELD, None)
        return payload

    def _own(self) -> list[Any]:
        return [] if self.name is None else [_match(SCOPE_FIELD, self.name)]


def _mask(name: str) -> int:
    digest = hashlib.blake2b(f"scope\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _condition(where: Where) -> Any:
    if isinstance(where, And):
        return models.Filter(must=[_condition(part) for part in where.parts])
    if isinstance(where, Or):
        if not where.parts:  # no alternative holds; an empty list would be no condition
            return models.HasIdCondition(has_id=[])
        return models.Filter(should=[_condition(part) for part in where.parts])
    if isinstance(where, Not):
        return models.Filter(must_not=[_condition(where.part)])
    if isinstance(where, Match):
        return _match(where.key, where.values)
    if isinstance(where, Prefix):
        return models.FieldCondition(key=where.key, match=models.MatchPrefix(prefix=where.prefix))
    if isinstance(where, Between):
        bounds: Any = {"gte": where.gte, "gt": where.gt, "lte": where.lte, "lt": where.lt}
        kind = models.DatetimeRange if where.of_moments else models.Range
        return models.FieldCondition(key=where.key, range=kind(**bounds))
    if isinstance(where, Compare):
        raise BadRequest(f"the filter on {where.field} was not compiled: see retrieval.filters")
    return models.Filter(must=[_match(field, value) for field, value in where.items()])


def _match(field: str, value: Any) -> models.FieldCondition | models.Filter:
    if isinstance(value, list | tuple | set | frozenset):
        if all(isinstance(item, str) for item in value):
            return models.FieldCondition(key=field, match=models.MatchAny(any=list(value)))
        return models.Filter(should=[_match(field, item) for item in value])
    if isinstance(value, float):
        return models.FieldCondition(key=field, range=models.Range(gte=value, lte=value))
    if not isinstance(value, str | int) or (isinstance(value, int) and abs(value) >= 2**63):
        raise BadRequest(
            f"cannot filter {field} by {value!r}: use a text, a number, a bool or a list of them"
        )
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))
