"""Why a search found what it found: for `Index.explain` and `kbqa search --explain`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ingest.documents import Chunk
from retrieval.fusion import Fused
from retrieval.hits import Hit
from retrieval.points import chunk_id
from retrieval.terms import analyse, stems

Why = Literal["copy", "older version", "beyond k"]


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why a hit stands where it does: strength = dense + lexical + feedback.

    dense       weight x cosine to the question
    lexical     (1 - weight) x BM25 over the sum of the terms' weights
    feedback    what the vectors of the first hits moved it by
    rank        from 1: its place before that, and before a reranker
    heading     terms of the question in its title or headings, where they count thrice
    """

    strength: float
    dense: float
    lexical: float
    feedback: float
    rank: int
    heading: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A passage that was read and is not among the hits. `why` "copy": of the document `of`."""

    chunk: Chunk
    why: Why
    of: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A search with its reasons: `weight` of the dense leg, `terms` with their idf, `timings` in s.

    `evidence` is the probability that the base answers the question, 0..1; it does not depend on
    `k`. `cut` says how many candidates are not among the hits, and why; `dropped` names those of
    them that were read.
    """

    hits: tuple[Hit, ...]
    weight: float
    known_share: float
    terms: Mapping[str, float]
    timings: Mapping[str, float]
    evidence: float = 0.0
    cut: Mapping[str, int] = field(default_factory=dict)
    dropped: tuple[Dropped, ...] = ()
    candidates: Mapping[int, Fused] = field(default_factory=dict)

    def reasons(self, hit: Hit) -> Reasons:
        """Why one of `hits` stands where it does."""
        fused = self.candidates[id_of(hit.chunk)]
        asked = set(stems(self.terms))
        heading = dict.fromkeys(term for term in analyse(hit.chunk.header) if term in asked)
        return Reasons(
            fused.score, fused.dense, fused.lexical, fused.feedback, fused.rank, tuple(heading)
        )


def id_of(chunk: Chunk) -> int:
    """The id of a chunk's point, and so of the candidate that it was."""
    return chunk_id(chunk.document_id, chunk.position)


def copies_among(read: Sequence[Hit], kept: Sequence[Hit]) -> list[Dropped]:
    """Those of `read` that `kept` was folded over, see `retrieval.copies`."""
    there = {id_of(hit.chunk) for hit in kept}
    originals = {uri: hit.uri for hit in reversed(kept) for uri in hit.copies}
    return [
        Dropped(hit.chunk, "copy", originals.get(hit.uri, ""))
        for hit in read
        if id_of(hit.chunk) not in there
    ]
