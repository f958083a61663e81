"""Where the coefficients of `qa.extracting.scores` come from.

python -m bench.fit_sentences SETS_FOLDER [--set NAME ...] [--queries N]

Asks a base of each set all its questions with short answers and fits a conditional logit over the
sentences found: each set of the same weight. Prints how well the sentences of each set are ranked
by coefficients from the other sets, and the coefficients from all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.common import parser, report, temporary_base
from bench.extractive import holds_answer
from bench.sets import RetrievalSet, given_sets
from qa import KnowledgeBase
from qa.extracting.scores import PASSAGES, Features, seen
from retrieval.terms import analyse_query

PENALTY = 1.0  # of the squared coefficients; .3 and 3 were alike
STEPS, RATE = 600, 0.05  # of Adam (Kingma and Ba 2015): more change no digit that is printed
SET_WEIGHT = 1000.0  # questions that a set counts for


class Asked(NamedTuple):
    """Sentences of one question: what is seen of them (n, features), and which hold the answer."""

    rows: NDArray[np.float64]
    right: NDArray[np.bool_]


def main() -> None:
    """Fit, with each set left out and with all, and print."""
    sets, as_json = given_sets(parser(__doc__))
    asked = {found.name: _asked(found) for found in sets if any(_gold(q) for q in found.queries)}
    rows = [{"set": name, **quality(asked[name], fit(_others(asked, name)))} for name in asked]
    weights = fit(list(asked.values()))
    rows.append({"set": "(coefficients)", **dict(zip(Features._fields, weights, strict=True))})
    report("sentence ranking, coefficients from the other sets", rows, as_json=as_json)


def fit(sets: Sequence[Sequence[Asked]]) -> list[float]:
    """Coefficients that make the sentences with the answer likeliest; of each feature one."""
    usable = [[q for q in asked if q.right.any() and not q.right.all()] for asked in sets]
    questions = [question for asked in usable for question in asked]
    rows = np.concatenate([question.rows for question in questions])
    right = np.concatenate([question.right for question in questions])
    sizes = [len(question.right) for question in questions]
    number = np.repeat(np.arange(len(questions)), sizes)
    starts = np.cumsum([0, *sizes[:-1]])
    share = np.concatenate([[SET_WEIGHT / len(sets) / len(s)] * len(s) for s in usable])[number]

    def gradient(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        scores = rows @ weights
        likely = np.exp(scores - np.maximum.reduceat(scores, starts)[number])
        chance = likely / np.add.reduceat(likely, starts)[number]
        of_right = likely * right / np.add.reduceat(likely * right, starts)[number]
        slope: NDArray[np.float64] = (share * (chance - of_right)) @ rows + PENALTY * weights
        return slope

    weights, mean, square = (np.zeros(rows.shape[1]) for _ in range(3))
    for step in range(1, STEPS + 1):
        slope = gradient(weights)
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        weights -= RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return [round(float(weight), 2) for weight in weights]


def quality(asked: Sequence[Asked], weights: Sequence[float]) -> dict[str, float]:
    """Share of the questions whose answer stands in the first 1, 2, 3 sentences."""
    ordered = [q.right[np.argsort(-(q.rows @ np.array(weights)), kind="stable")] for q in asked]
    return {f"within {n}": float(np.mean([o[:n].any() for o in ordered])) for n in (1, 2, 3)}


def _asked(found: RetrievalSet) -> list[Asked]:
    with temporary_base() as base:
        base.ingest_documents(found.documents)
        return [_seen(base, query["text"], _gold(query)) for query in found.queries if _gold(query)]


def _seen(base: KnowledgeBase, question: str, answers: Sequence[str]) -> Asked:
    hits = base.search(question, PASSAGES)
    terms = analyse_query(question)
    sentences, rows = seen(question, hits, base._index, base._embedder, terms=terms)
    right = [holds_answer([sentence.text], answers) for sentence in sentences]
    return Asked(np.reshape(rows, (len(sentences), len(Features._fields))), np.array(right, bool))


def _gold(query: dict[str, list[str]]) -> list[str]:
    return query.get("answers") or []


def _others(asked: dict[str, list[Asked]], left_out: str) -> list[list[Asked]]:
    return [questions for name, questions in asked.items() if name != left_out]


if __name__ == "__main__":
    main()
