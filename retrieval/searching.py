"""One search: both legs, fused, read, with the evidence for an answer, and ranked again.

`retrieval.index` says what a base is and when it changes; here is what is asked of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ingest.errors import BadRequest
from retrieval.conditions import Condition
from retrieval.copies import fold
from retrieval.embedding import UNSCALED, CosineScale, Embedder, Vectors, scale_of
from retrieval.explaining import Dropped, Explanation, copies_among, id_of
from retrieval.fusion import (
    CANDIDATES,
    EVIDENCE,
    EVIDENT,
    NEGLIGIBLE,
    REFINED,
    Fused,
    covered_share,
    dense_weight,
    evidence,
    fuse,
    probability,
    refine,
)
from retrieval.hits import Hit
from retrieval.points import CHUNK_FIELDS, chunk_of, row_id
from retrieval.reranking import RERANKED, Reranker, rerank
from retrieval.store import TERMS, Scored, Store
from retrieval.terms import analyse_query, half_width, stems

SPARE = 10  # candidates beyond 2k, since in a replaced document each passage may be there twice
MAX_K = 1000
READ = (*CHUNK_FIELDS, "metadata", TERMS)
MAX_QUERY = 20_000  # characters; BM25 and the embedder see no use in more


class Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """The time since the last lap goes to `name`."""
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, ready to be looked for: `weight` is that of the dense leg, `wanted` how many hits
    are read, of which a reranker picks."""

    query: str
    k: int
    wanted: int
    condition: Condition | None
    vector: Vectors
    known_share: float
    terms: Sequence[str]
    clock: Clock
    scale: CosineScale

    @property
    def weight(self) -> float:
        """Of the dense leg."""
        return dense_weight(self.known_share, tuned=self.scale != UNSCALED)


def checked(query: str, k: int) -> str:
    """The query as it is looked for. Raises BadRequest for an empty one or a bad `k`."""
    query = query.strip()
    if not query:
        raise BadRequest("the question is empty")
    if not 1 <= k <= MAX_K:
        raise BadRequest(f"k is {k}: ask for 1 to {MAX_K} passages")
    # a command line whose bytes are no UTF-8 arrives with lone surrogates
    return query[:MAX_QUERY].encode("utf-8", "replace").decode()


def asked(
    query: str, k: int, condition: Condition | None, embedder: Embedder, *, reranks: bool
) -> Asked:
    """Embed and analyse a query that was `checked`."""
    clock = Clock()
    meant = half_width(query)
    vector = embedder.embed_query(meant)
    known = embedder.known_share(meant)
    clock.lap("embed")
    wanted = max(k, RERANKED) if reranks else k
    scale = scale_of(embedder)
    return Asked(query, k, wanted, condition, vector, known, analyse_query(query), clock, scale)


def found(
    asked: Asked, store: Store, term_weights: Callable[[Sequence[str]], dict[str, float]]
) -> Explanation:
    """What the store holds for it at this moment."""
    limit = max(CANDIDATES, 2 * asked.k)
    dense, lexical = store.search(
        asked.vector, " ".join(asked.terms), limit=limit, where=asked.condition
    )
    if asked.scale != UNSCALED:
        dense = [item._replace(score=asked.scale(item.score)) for item in dense]
    asked.clock.lap("search")
    weights = term_weights(asked.terms)
    total = sum(weights.values())
    wanted = max(asked.wanted, EVIDENT)
    fused = _fused(asked, store, dense, lexical, total, keep=_last_read(wanted))
    asked.clock.lap("fuse")
    hits, dropped, terms = _current_hits(store, fused, wanted, weights)
    proof = _evidence(asked, dense, weights, hits, terms) if hits else 0.0
    hits, beyond = hits[: asked.wanted], hits[asked.wanted :]
    dropped += [Dropped(hit.chunk, "beyond k") for hit in beyond]
    asked.clock.lap("read")
    return Explanation(
        tuple(hits),
        asked.weight if total > 0 else 1.0,
        asked.known_share,
        weights,
        asked.clock.laps,
        proof,
        _cut(dropped, len({item.id for item in (*dense, *lexical)}) - len(hits)),
        tuple(dropped),
        {item.id: item for item in fused},
    )


def reranked(asked: Asked, before: Explanation, reranker: Reranker) -> Explanation:
    """The best `k` of what was found, in the order of the reranker."""
    hits = rerank(reranker, asked.query, before.hits, asked.k)
    asked.clock.lap("rerank")
    there = {id_of(hit.chunk) for hit in hits}
    beyond = [hit.chunk for hit in before.hits if id_of(hit.chunk) not in there]
    dropped = (*before.dropped, *(Dropped(chunk, "beyond k") for chunk in beyond))
    cut = _cut(dropped, sum(before.cut.values()) + len(beyond))
    return replace(before, hits=tuple(hits), cut=cut, dropped=dropped)


def _cut(dropped: Sequence[Dropped], count: int) -> dict[str, int]:
    """How many of the candidates are not among the hits, and why; `count` with those not read."""
    reasons = Counter(item.why for item in dropped)
    reasons["beyond k"] += count - len(dropped)
    return {reason: number for reason, number in reasons.items() if number > 0}


def _fused(
    asked: Asked,
    store: Store,
    dense: Sequence[Scored],
    lexical: Sequence[Scored],
    total: float,
    *,
    keep: int,
) -> list[Fused]:
    """The first `keep` of both legs in one order, by all that the vectors of the first say."""
    fused = fuse(dense, lexical, weight=asked.weight, total_idf=total, keep=max(keep, REFINED))
    if asked.weight <= NEGLIGIBLE:
        return fused
    first = [item.id for item in fused[:REFINED]]
    points = store.read(first, fields=[], vectors=True)
    vectors = {id_: point.vector for id_, point in points.items() if point.vector is not None}
    weight = asked.weight if total > 0 else 1.0
    return refine(fused, asked.vector, vectors, weight=weight, scale=asked.scale)


def _last_read(k: int) -> int:
    """How many candidates are read at most for `k` hits."""
    return 2 * k + SPARE


def _evidence(
    asked: Asked,
    dense: Sequence[Scored],
    weights: Mapping[str, float],
    hits: Sequence[Hit],
    terms: Mapping[int, str],
) -> float:
    first = [set(terms[id_of(hit.chunk)].split()) for hit in hits[:EVIDENT]]
    meant = {term: weights[term] for term in stems(weights)}
    return evidence(
        known_share=asked.known_share,
        cosine=max(0.0, dense[0].score) if dense else 0.0,
        covered=max(covered_share(meant, passage) for passage in first),
        length=len(meant),
        scores=[hit.score for hit in hits[:EVIDENT]],
        weights=EVIDENCE,
    )


def _current_hits(
    store: Store, fused: Sequence[Fused], k: int, weights: Mapping[str, float]
) -> tuple[list[Hit], list[Dropped], dict[int, str]]:
    """The first candidates whose version is the one in the ledger, `k` if there are so many; what
    was read and is none of them; and the terms of all, by id."""
    read: list[Hit] = []
    older: list[Dropped] = []
    hits: list[Hit] = []
    terms: dict[int, str] = {}
    current: dict[str, str] = {}  # asked once for each uri: an answer is of one version
    for candidates in (fused[:k], fused[k : _last_read(k)]):
        points = store.read([item.id for item in candidates], fields=READ)
        terms |= {id_: point.payload[TERMS] for id_, point in points.items()}
        uris = {point.payload["uri"] for point in points.values()} - current.keys()
        rows = store.read([row_id(uri) for uri in uris], fields=["document_id"])
        for uri in uris:
            row = rows.get(row_id(uri))
            current[uri] = row.payload["document_id"] if row else ""
        for item in candidates:
            if (point := points.get(item.id)) is None:
                continue
            chunk = chunk_of(point)
            if chunk.document_id == current[chunk.uri]:
                said = point.payload.get("metadata") or {}
                read.append(Hit(chunk, probability(item.score), item.legs, metadata=said))
            else:
                older.append(Dropped(chunk, "older version"))
        hits = fold(read, weights)
        if len(hits) >= k:  # else some were copies, or of a version that is going
            break
    return hits, [*older, *copies_among(read, hits)], terms
