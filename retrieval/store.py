"""The vector store behind a knowledge base: the `Store` protocol and the schema of its points.

A store holds points: an id, a payload and, for chunks, a vector. Every store indexes the payload
field `terms` for BM25 (words between blanks, see `retrieval.terms`), the fields of `KEYWORD_FIELDS`
for exact matches (those of `PREFIX_FIELDS` for their beginnings too), `DATE_FIELDS` and
`INTEGER_FIELDS` for ranges. What the points mean is the business of `retrieval.index`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from retrieval.conditions import Where
from retrieval.embedding import Vectors

VECTOR = "dense"
TERMS = "terms"
KEYWORD_FIELDS = ("kind", "uri", "document_id", "media_type", "language", "tags")
PREFIX_FIELDS = ("uri", "media_type")
DATE_FIELDS = ("date",)
INTEGER_FIELDS = ("page",)
BM25_K, BM25_B = 1.2, 0.75  # Robertson and Zaragoza 2009; beats .9/.4 on nearly every set

Payload = Mapping[str, Any]

__all__ = ["Payload", "Point", "Scored", "Store", "Where"]


@dataclass(frozen=True, slots=True)
class Point:
    """What a store keeps. `id` has 63 bits; `vector` is None for points that are not searched."""

    id: int
    payload: Payload
    vector: Vectors | None = None


class Scored(NamedTuple):
    """A point that a leg found, best first."""

    id: int
    score: float


class Store(Protocol):
    """Points on disk or on a server. Reads may run in any thread while one thread writes.

    Each call is atomic by itself and durable when it returns. Errors are those of
    `ingest.errors`: Locked, StorageError, Unreachable, NotAuthorised, TimedOut.
    """

    def write(self, points: Sequence[Point]) -> None:
        """Insert points or replace those of the same id."""
        ...

    def read(
        self, ids: Sequence[int], *, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> dict[int, Point]:
        """The points that exist among `ids`, with the named payload fields or all of them."""
        ...

    def scan(
        self, where: Where, *, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> Iterator[Point]:
        """Every point that matches, in no particular order."""
        ...

    def delete(self, ids: Sequence[int]) -> None:
        """Remove points by id; ids that do not exist are ignored."""
        ...

    def delete_where(self, where: Where, *, unless: Where | None = None) -> None:
        """Remove the points that match `where` and do not match `unless`."""
        ...

    def search(
        self, vector: Vectors | None, terms: str, *, limit: int, where: Where | None = None
    ) -> tuple[list[Scored], list[Scored]]:
        """Both legs in one round trip: (cosine similarity, BM25), each best first, ties by id.

        A leg without a query (None, empty terms) is empty.
        """
        ...

    def count(self, where: Where) -> int:
        """Number of points that match, exact."""
        ...

    def term_counts(self, terms: Sequence[str]) -> list[int]:
        """In how many points each term occurs."""
        ...

    def optimize(self, *, more_to_come: bool = False) -> None:
        """Build the index over what has been written, if that is worth it.

        `more_to_come` says that writing goes on, so that it is worth it later.
        """
        ...

    def close(self) -> None:
        """Flush and release. A closed store may not be used again."""
        ...

    def leave(self) -> None:
        """As `close`, for a process that is about to end, which releases what it holds."""
        ...
