"""Does kbqa know when the documents do not answer? Figures of `Explanation.evidence`.

python -m bench.abstention SETS_FOLDER [--set NAME] [--queries N]

far: a third of the articles is left out of the base and every question asked; those whose article
is out have no answer. near: each question is asked with and without its own passages in the base.
AUROC, and the share of the unanswerable refused at the threshold that refuses 5 % of the others.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.common import parser, report, temporary_base
from bench.sets import RetrievalSet, given_sets
from qa import KnowledgeBase

SETS = ("xquad_en", "xquad_zh", "drcd_zh_hant")
LIMITS = {
    "far AUROC": ">= .99 / .985 / .95 (xquad_en / xquad_zh / drcd_zh_hant)",
    "far refused": ">= .95 / .93 / .70",
    "near AUROC": ">= .95 / .93 / .88",
}


def main() -> None:
    """Measure every set and print."""
    sets, as_json = given_sets(parser(__doc__))
    rows = [measure(found) for found in sets if found.name in SETS or len(sets) == 1]
    report("abstention", rows, as_json=as_json, limits=LIMITS)


def measure(found: RetrievalSet) -> dict[str, Any]:
    """Figures of one set."""
    titles = sorted({document.title for document in found.documents})
    held = set(random.Random(0).sample(titles, len(titles) // 3))
    articles = {document.uri: document.title for document in found.documents}
    with temporary_base() as base:
        base.ingest_documents(d for d in found.documents if d.title not in held)
        far: tuple[list[float], list[float]] = ([], [])
        for query in found.queries:
            own = {articles[uri] for uri in found.relevant[query["id"]] if uri in articles}
            if own:
                far[bool(own <= held)].append(_evidence(base, query["text"]))
    near = _near(found)
    return {
        "set": found.name,
        "queries": len(found.queries),
        "far AUROC": auroc(*far),
        "far refused": refused(*far),
        "near AUROC": auroc(*near),
        "near refused": refused(*near),
    }


def _near(found: RetrievalSet) -> tuple[list[float], list[float]]:
    """Evidence with and without the own passages, removed and put back question by question."""
    documents = {document.uri: document for document in found.documents}
    with_own: list[float] = []
    without: list[float] = []
    asked: dict[frozenset[str], list[str]] = {}
    for query in found.queries:
        own = frozenset(found.relevant[query["id"]].keys() & documents.keys())
        asked.setdefault(own, []).append(query["text"])
    with temporary_base() as base:
        base.ingest_documents(found.documents)
        for own, questions in asked.items():
            if not own:
                continue
            with_own.extend(_evidence(base, question) for question in questions)
            for uri in own:
                base.remove(uri)
            without.extend(_evidence(base, question) for question in questions)
            base.ingest_documents(documents[uri] for uri in own)
    return with_own, without


def _evidence(base: KnowledgeBase, question: str) -> float:
    return base.explain(question).evidence


def auroc(answerable: Sequence[float], unanswerable: Sequence[float]) -> float:
    """Chance that an answerable question has more evidence than an unanswerable one."""
    first, second = np.array(answerable)[:, None], np.array(unanswerable)[None]
    return float(np.mean((first > second) + 0.5 * (first == second)))


def refused(answerable: Sequence[float], unanswerable: Sequence[float]) -> float:
    """Share of the unanswerable below the threshold that 5 % of the answerable do not reach."""
    return float(np.mean(np.array(unanswerable) < np.quantile(answerable, 0.05)))


if __name__ == "__main__":
    main()
