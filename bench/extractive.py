"""The answer without an LLM: does it hold the gold answer?

python -m bench.extractive SETS_FOLDER [--set NAME] [--queries N]

Per set with gold answers: share of questions whose gold answer stands in the first 1, 2, 3 ranked
sentences, in the answer that `ask` gives (3 sentences at most), its median number of sentences, and
the share of questions refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.common import parser, report, temporary_base
from bench.sets import RetrievalSet, given_sets
from qa.extracting.scores import rank

LIMITS = {"answer (xquad_en, xquad_zh)": ">= .90"}


def main() -> None:
    """Measure every set with short gold answers and print."""
    sets, as_json = given_sets(parser(__doc__))
    rows = [measure(found) for found in sets if any(q.get("answers") for q in found.queries)]
    report("extractive answers", rows, as_json=as_json, limits=LIMITS)


def measure(found: RetrievalSet) -> dict[str, Any]:
    """Figures of one set."""
    within: list[list[bool]] = []
    answered, lengths, refused = [], [], 0
    with temporary_base() as base:
        base.ingest_documents(found.documents)
        for query in found.queries:
            if not query.get("answers"):
                continue
            answer = base.ask(query["text"])
            ranked = rank(query["text"], answer.hits, base._index, base._embedder)
            texts = [candidate.text for candidate in ranked[:3]]
            within.append([holds_answer(texts[: n + 1], query["answers"]) for n in range(3)])
            answered.append(holds_answer([answer.text], query["answers"]))
            lengths.append(len(answer.citations))
            refused += answer.abstained
    first, second, third = np.mean(within, axis=0)
    return {
        "set": found.name,
        "questions": len(within),
        "within 1": float(first),
        "within 2": float(second),
        "within 3": float(third),
        "answer": float(np.mean(answered)),
        "sentences (median)": float(np.median(lengths)),
        "refused": refused / len(within),
    }


def holds_answer(texts: Sequence[str], answers: Sequence[str]) -> bool:
    """Whether one of `answers` stands in the texts, whatever the case and white space."""
    whole = _squeezed(" ".join(texts))
    return any(_squeezed(answer) in whole for answer in answers)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text).lower()


if __name__ == "__main__":
    main()
