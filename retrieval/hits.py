"""`Hit`: a chunk that a search found, and what each leg thought of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ingest.documents import Chunk, Value


class Leg(NamedTuple):
    """Place of a chunk in one leg's list: `rank` from 1, `score` as the leg gives it."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found by a search.

    `score` is 0..1 with one meaning on every path: how well the passage covers the question
    (see `retrieval.fusion`), falling with rank. `legs` holds "dense" and "lexical" where
    that leg found the chunk. `copies` are the uris of other documents that say the same, as far as
    it was asked, and were left out for it. `metadata` is the document's.
    """

    chunk: Chunk
    score: float
    legs: Mapping[str, Leg] = field(default_factory=dict)
    copies: tuple[str, ...] = ()
    metadata: Mapping[str, Value] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """Identity of the document the passage stands in."""
        return self.chunk.uri

    @property
    def text(self) -> str:
        """The passage."""
        return self.chunk.text
