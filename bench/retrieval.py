"""Retrieval quality through the real pipeline: chunker, embedder, store, fusion.

python -m bench.retrieval SETS_FOLDER [--set NAME] [--queries N]

Per set: nDCG@10 of the dense leg alone, the lexical leg alone, reciprocal rank fusion and ours;
recall@10 and MRR of ours. A document's place is that of its best chunk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.common import parser, report, temporary_base
from bench.sets import RetrievalSet, given_sets, ndcg, recall, reciprocal_rank
from qa import KnowledgeBase
from retrieval.hits import Hit

RRF_K = 60  # Cormack et al. 2009
DEPTH = 100


def main() -> None:
    """Measure every set and print."""
    sets, as_json = given_sets(parser(__doc__))
    rows = [measure(found) for found in sets]
    if len(rows) > 1:
        figures = [name for name in rows[0] if name not in ("set", "documents", "queries")]
        mean = {name: float(np.mean([row[name] for row in rows])) for name in figures}
        rows.append({"set": "mean", "documents": "", "queries": "", **mean})
    report("retrieval, nDCG@10", rows, as_json=as_json)


def measure(found: RetrievalSet) -> dict[str, Any]:
    """Figures of one set."""
    with temporary_base() as base:
        base.ingest_documents(found.documents)
        ranked = [(query["id"], rankings(base, query["text"])) for query in found.queries]
    row: dict[str, Any] = {
        "set": found.name,
        "documents": len(found.documents),
        "queries": len(ranked),
    }
    for name in ("dense", "lexical", "rrf", "ours"):
        scores = [ndcg(ranking[name], found.relevant[id_]) for id_, ranking in ranked]
        row[name] = float(np.mean(scores))
    ours = [(ranking["ours"], found.relevant[id_]) for id_, ranking in ranked]
    row["recall@10"] = float(np.mean([recall(*pair) for pair in ours]))
    row["MRR"] = float(np.mean([reciprocal_rank(*pair) for pair in ours]))
    return row


def rankings(base: KnowledgeBase, query: str) -> Mapping[str, list[str]]:
    """Documents by leg, and as they are fused by reciprocal rank and by us, the best first."""
    hits = base.search(query, 2 * DEPTH)
    by_rrf = sorted(hits, key=lambda h: -sum(1 / (RRF_K + leg.rank) for leg in h.legs.values()))
    return {
        "dense": _documents(_leg(hits, "dense")),
        "lexical": _documents(_leg(hits, "lexical")),
        "rrf": _documents(by_rrf),
        "ours": _documents(hits),
    }


def _leg(hits: Sequence[Hit], name: str) -> list[Hit]:
    found = [hit for hit in hits if name in hit.legs]
    return sorted(found, key=lambda hit: hit.legs[name].rank)


def _documents(hits: Sequence[Hit]) -> list[str]:
    return list(dict.fromkeys(hit.uri for hit in hits))


if __name__ == "__main__":
    main()
