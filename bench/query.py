"""A warm hybrid search against its parts: embedding the query and the engine's two raw queries.

python -m bench.query [--chunks N] [--queries N]

The base holds N chunks of real text (sample_docs, words shuffled) with vectors that scatter about
the real ones; the searches take turns with their bare parts.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import parser, peak_memory_mb, quantiles, report, temporary_base
from bench.corpus import chunk_texts
from ingest.documents import Chunk, Document, Prepared
from qa import KnowledgeBase
from retrieval.edge_store import EdgeStore
from retrieval.embedding import Embedder, Vectors
from retrieval.fusion import CANDIDATES
from retrieval.store import TERMS, VECTOR
from retrieval.terms import analyse_query

LIMITS = {"search p50 / parts p50": "<= 1.3"}
CHUNKS_PER_DOCUMENT = 20
SPREAD = 0.6  # length of the noise added to a real vector: its cosine to it is about .86


def main() -> None:
    """Build, measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--chunks", type=int, default=50_000)
    arguments.add_argument("--queries", type=int, default=200)
    arguments.add_argument("--folder", type=Path, default=Path("sample_docs"))
    given = arguments.parse_args()
    with temporary_base() as base:
        embedder = base._embedder
        build = _fill(base, given.folder, given.chunks)
        questions = list(islice(cycle(_questions(given.folder)), given.queries))
        searches, parts = [], []
        for question in questions[:70]:
            base.search(question)
        for number in range(len(questions)):
            # each question once in either role, far apart: the second to ask finds warm caches
            other = questions[(number + len(questions) // 2) % len(questions)]
            searches.append(_seconds(partial(base.search, questions[number])))
            parts.append(_seconds(partial(_bare, base, embedder, other)))
    ratio = float(np.median(searches) / np.median(parts))
    rows: list[dict[str, Any]] = [
        {"what": "search", **quantiles(searches), "search p50 / parts p50": ratio},
        {"what": "embed the query + two raw queries", **quantiles(parts)},
        {"what": f"build {given.chunks} chunks, seconds", "p50_ms": "", "p99_ms": ""},
    ]
    rows[2] |= {"seconds": round(build, 1), "peak MB": peak_memory_mb()}
    report("query", rows, as_json=given.json, limits=LIMITS)


def _seconds(call: Any) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _bare(base: KnowledgeBase, embedder: Embedder, question: str) -> None:
    from qdrant_edge import Query, QueryRequest, TextQuery

    vector = embedder.embed_query(question).tolist()
    terms = " ".join(analyse_query(question))
    store = base._opened.store
    assert isinstance(store, EdgeStore)
    with store._engine() as shard:
        for query in (Query.Nearest(vector, using=VECTOR), TextQuery(TERMS, terms)):
            shard.query(QueryRequest(query=query, limit=CANDIDATES, with_payload=False))


def _questions(folder: Path) -> list[str]:
    lines = (folder / "questions.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


def _fill(base: KnowledgeBase, folder: Path, count: int) -> float:
    """Write `count` chunks through the index; returns the seconds, indexing included."""
    texts = chunk_texts(folder, base._embedder, 120)
    vectors = base._embedder.embed(texts)
    index = base._index
    started = time.perf_counter()
    scattered = _Scattered(base._embedder, vectors)
    index._embedder = scattered
    try:
        documents = _documents(texts, count)
        while batch := list(islice(documents, 50)):
            index.replace(batch)
    finally:
        index._embedder = base._embedder
    index.optimize()
    return time.perf_counter() - started


def _documents(texts: Sequence[str], count: int) -> Iterator[Prepared]:
    chooser = random.Random(7)
    for number in range(-(-count // CHUNKS_PER_DOCUMENT)):
        pieces = [_shuffled(chooser.choice(texts), chooser) for _ in range(CHUNKS_PER_DOCUMENT)]
        document = Document.from_text("\n\n".join(pieces), uri=f"document-{number}.txt")
        chunks, start = [], 0
        for position, piece in enumerate(pieces):
            end = start + len(piece)
            chunks.append(
                Chunk(document.id, document.uri, "", start, end, piece, position=position)
            )
            start = end + 2
        yield Prepared(document, chunks)


def _shuffled(text: str, chooser: random.Random) -> str:
    words = text.split()
    chooser.shuffle(words)
    return " ".join(words)


class _Scattered:
    """Gives vectors near real ones in place of embedding 50,000 texts."""

    def __init__(self, embedder: Embedder, vectors: Vectors) -> None:
        self.name, self.dimension = embedder.name, embedder.dimension
        self.max_tokens = embedder.max_tokens
        self._real = embedder
        self._vectors = vectors
        self._random = np.random.default_rng(7)

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = self._random.integers(0, len(self._vectors), len(texts))
        noise = self._random.normal(size=(len(texts), self.dimension)).astype(np.float32)
        noise *= SPREAD / np.linalg.norm(noise, axis=1, keepdims=True)
        near = self._vectors[rows] + noise
        unit: Vectors = near / np.linalg.norm(near, axis=1, keepdims=True)
        return unit

    def embed_query(self, text: str) -> Vectors:
        return self._real.embed_query(text)

    def token_starts(self, text: str) -> list[int]:
        return self._real.token_starts(text)

    def known_share(self, text: str) -> float:
        return self._real.known_share(text)

    def close(self) -> None:
        """Nothing of its own."""


if __name__ == "__main__":
    main()
