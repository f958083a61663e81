"""How the two legs become one list, and what a score means.

strength = w * cosine + (1 - w) * coverage

`coverage` is the BM25 score over the sum of the question's term weights (idf): about 1 when the
passage holds every term once, .5 when it holds half of their weight. Both parts are absolute, so
that a score means the same for every question and a threshold can be set once; scaling each list
to its own minimum and maximum ranks worse (bench/RESULTS.md).

`w` falls with the share of the question's tokens that the embedder does not know: an English model
is blind to most Chinese characters, and its cosines there are noise.

The best candidates are looked at again with the question's vector moved towards the two first of
them (Rocchio 1971): what they say in other words counts too. A hit's score is the probability that
a passage of that strength answers its question; `evidence` that any passage does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from retrieval.embedding import UNSCALED, CosineScale, Vectors
from retrieval.hits import Leg
from retrieval.store import Scored

DENSE_WEIGHT = 0.55  # .5 to .6 within .001 of each other in the prototype
TUNED_WEIGHT = 0.6  # of an embedder that has learned from the documents; .55 and .65 were worse
KNOWN_POWER = 4  # in the prototype 2 .818, 3 .820, 4 .820, 6 .820
UNSEEN = 0.5  # brings the scores of Chinese questions to the scale of English ones
UNSEEN_NUMBER = 1.5
UNSEEN_NAME = 1.0
CANDIDATES = 100  # of each leg
MISSED = 0.8  # of the last cosine listed: what counts for a candidate that the dense leg left out
REFINED = 30  # candidates that are looked at again; 20 and 50 were within .0002
EVIDENT = 3  # hits that count as evidence: what the base says twice still leads the third
USUAL_COSINE = 0.4  # of the best passage for a question about the documents' subject
LEAST_SCORE = 0.001  # of the first hit: log-odds beyond it say no more
FEEDBACK, FEEDBACK_WEIGHT = 2, 0.4  # Rocchio's passages and their weight beside the question's 1
NEGLIGIBLE = 0.05  # weight below which the dense leg cannot change the order: Chinese, mostly
# Logistic regressions on questions with and without their passage in the base, sets of both
# languages, each set and each class of the same weight; bench.abstention and RESULTS.md. The
# coefficient of the cosine was set: it matters for questions in other words than the documents'.
SCORE_SLOPE, SCORE_OFFSET = 6.5, -4.2


class Fused(NamedTuple):
    """A candidate after fusion. `score` is its strength, not cut at 1: dense + lexical + feedback.

    `rank`, from 1, is its place before the feedback.
    """

    id: int
    score: float
    legs: dict[str, Leg]
    dense: float = 0.0
    lexical: float = 0.0
    feedback: float = 0.0
    rank: int = 0

    def moved(self, score: float) -> Fused:
        """The same with the strength that the feedback gives it."""
        return self._replace(score=score, feedback=score - self.dense - self.lexical)


class EvidenceWeights(NamedTuple):
    """Coefficients of `evidence`."""

    cosine: float
    covered: float
    length: float
    first: float
    lead: float
    offset: float


EVIDENCE = EvidenceWeights(
    cosine=4.0, covered=3.0, length=0.63, first=0.57, lead=5.36, offset=-4.71
)


def probability(strength: float) -> float:
    """The score of a hit, 0..1, from its strength; growing with it."""
    return _logistic(SCORE_SLOPE * strength + SCORE_OFFSET)


def evidence(
    *,
    known_share: float,
    cosine: float,
    covered: float,
    length: int,
    scores: Sequence[float],
    weights: EvidenceWeights,
) -> float:
    """Probability that the base answers the question, 0..1.

    `cosine` is the best of the dense leg, `covered` as `covered_share` has it, `length` the number
    of the question's terms: to cover half of a long question says more. `scores` are those of the
    first hits: the first as log-odds, and its lead over the last of them. Where the documents
    answer, few passages stand out; where they are merely about the subject, many are alike.
    """
    first = min(max(scores[0], LEAST_SCORE), 1 - LEAST_SCORE)
    lead = scores[0] - (scores[EVIDENT - 1] if len(scores) >= EVIDENT else 0.0)
    return _logistic(
        weights.cosine * known_share * (cosine - USUAL_COSINE)
        + weights.covered * covered
        + weights.length * math.log1p(length)
        + weights.first * math.log(first / (1 - first))
        + weights.lead * lead
        + weights.offset
    )


def covered_share(terms: Mapping[str, float], passage: frozenset[str] | set[str]) -> float:
    """Share of the terms' squared weights that the passage holds: a rare word that is missing
    says more than a common one that is there."""
    total = sum(weight**2 for weight in terms.values())
    held = sum(weight**2 for term, weight in terms.items() if term in passage)
    return held / total if total else 0.0


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, x))))


def dense_weight(known_share: float, *, tuned: bool = False) -> float:
    """Weight of the dense leg for a question of which the embedder knows `known_share`, 0..1.

    `tuned`: the embedder has learned from the documents of the base.
    """
    return float((TUNED_WEIGHT if tuned else DENSE_WEIGHT) * known_share**KNOWN_POWER)


def idf(term: str, documents: int, frequency: int, *, is_name: bool = False) -> float:
    """Weight of a term that `frequency` of `documents` passages hold, as BM25 has it.

    A term that none holds counts `UNSEEN` of that: it may be the question's only real word, or a
    pair of Chinese characters that is no word. With a digit in it, it is a number or a part number
    that the question is about and the documents do not know: `UNSEEN_NUMBER`; and a Latin word in
    a Chinese question is a name (`is_name`): `UNSEEN_NAME`.
    """
    frequency = min(frequency, documents)
    weight = math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5))
    if frequency:
        return weight
    if any(map(str.isdigit, term)):
        return weight * UNSEEN_NUMBER
    return weight * (UNSEEN_NAME if is_name else UNSEEN)


def fuse(
    dense: Sequence[Scored],
    lexical: Sequence[Scored],
    *,
    weight: float,
    total_idf: float,
    keep: int | None = None,
) -> list[Fused]:
    """The best `keep` (default: all) of both legs' candidates; equal scores in order of id.

    `weight` is that of the dense leg; `total_idf` sums the weights of the question's terms. A
    candidate that the dense leg left out counts `MISSED` of its last cosine, one that the lexical
    leg left out 0. Without terms the dense leg stands alone.
    """
    if total_idf <= 0:
        weight = 1.0
    missed = MISSED * max(0.0, dense[-1].score) if dense else 0.0
    words = {id_: score / total_idf for id_, score in lexical} if total_idf > 0 else {}
    near = dict.fromkeys(words, missed) | {id_: max(0.0, cosine) for id_, cosine in dense}
    parts = {
        id_: (weight * cosine, (1 - weight) * words.get(id_, 0.0)) for id_, cosine in near.items()
    }
    totals = {id_: dense_part + lexical_part for id_, (dense_part, lexical_part) in parts.items()}
    order = sorted(totals, key=lambda id_: (-totals[id_], id_))[:keep]
    legs: dict[int, dict[str, Leg]] = {id_: {} for id_ in order}
    for name, leg in (("dense", dense), ("lexical", lexical)):
        for rank, (id_, score) in enumerate(leg, 1):
            if id_ in legs:
                legs[id_][name] = Leg(rank, score)
    return [
        Fused(id_, totals[id_], legs[id_], *parts[id_], rank=rank)
        for rank, id_ in enumerate(order, 1)
    ]


def refine(
    fused: Sequence[Fused],
    question: Vectors,
    vectors: Mapping[int, Vectors],
    *,
    weight: float,
    scale: CosineScale = UNSCALED,
) -> list[Fused]:
    """`fused` with its first candidates, those in `vectors`, in a better order.

    Each gets its cosine to the question's vector moved towards the first `FEEDBACK` of them. The
    others follow, none stronger than the weakest of these.
    """
    seen = [item for item in fused if item.id in vectors]
    if not seen:
        return list(fused)
    near = np.array([vectors[item.id] for item in seen])
    moved = question + FEEDBACK_WEIGHT * near[:FEEDBACK].mean(axis=0)
    cosines = near @ (moved / max(float(np.linalg.norm(moved)), 1e-12))
    again = []
    for item, cosine in zip(seen, cosines.tolist(), strict=True):
        again.append(item.moved(weight * max(0.0, scale(cosine)) + item.lexical))
    again.sort(key=lambda item: (-item.score, item.id))
    floor = again[-1].score
    rest = [item for item in fused if item.id not in vectors]
    return again + [item if item.score <= floor else item.moved(floor) for item in rest]
