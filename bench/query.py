"""A warm hybrid search against its parts: embedding the query and the engine's two raw queries.

python -m bench.query [--chunks N] [--queries N]

The base holds N chunks of real text (sample_docs, words shuffled) with vectors that scatter about
the real ones; the searches take turns with their bare parts.
"""

from __future__ import annotations

from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import a_folder, parser, peak_memory_mb, quantiles, report, temporary_base, timed
from bench.corpus import chunk_texts
from bench.synthetic import TEXTS, grow, questions
from qa import KnowledgeBase
from retrieval.edge_shard import search_params
from retrieval.edge_store import EdgeStore
from retrieval.embedding import Embedder
from retrieval.fusion import CANDIDATES
from retrieval.store import TERMS, VECTOR
from retrieval.terms import analyse_query

LIMITS = {"search p50 / parts p50": "<= 1.3"}


def main() -> None:
    """Build, measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--chunks", type=int, default=50_000)
    arguments.add_argument("--queries", type=int, default=200)
    arguments.add_argument("--folder", type=a_folder, default=Path("sample_docs"))
    given = arguments.parse_args()
    with temporary_base() as base:
        embedder = base._embedder
        texts = chunk_texts(given.folder, embedder, TEXTS)
        build, _ = timed(partial(grow, base, texts, given.chunks))
        asked = list(islice(cycle(questions(given.folder)), given.queries))
        searches, parts = [], []
        for question in asked[:70]:
            base.search(question)
        for number in range(len(asked)):
            # each question once in either role, far apart: the second to ask finds warm caches
            other = asked[(number + len(asked) // 2) % len(asked)]
            searches.append(timed(partial(base.search, asked[number]))[0])
            parts.append(timed(partial(_bare, base, embedder, other))[0])
    ratio = float(np.median(searches) / np.median(parts))
    rows: list[dict[str, Any]] = [
        {"what": "search", **quantiles(searches), "search p50 / parts p50": ratio},
        {"what": "embed the query + two raw queries", **quantiles(parts)},
        {"what": f"build {given.chunks} chunks, seconds", "p50_ms": "", "p99_ms": ""},
    ]
    rows[2] |= {"seconds": round(build, 1), "peak MB": peak_memory_mb()}
    report("query", rows, as_json=given.json, limits=LIMITS)


def _bare(base: KnowledgeBase, embedder: Embedder, question: str) -> None:
    from qdrant_edge import Query, QueryRequest, TextQuery

    vector = embedder.embed_query(question).tolist()
    terms = " ".join(analyse_query(question))
    store = base._opened.store
    assert isinstance(store, EdgeStore)
    params = search_params()
    with store._engine() as shard:
        for query in (Query.Nearest(vector, using=VECTOR), TextQuery(TERMS, terms)):
            shard.query(
                QueryRequest(query=query, limit=CANDIDATES, params=params, with_payload=False)
            )


if __name__ == "__main__":
    main()
